import pytest

from sriovbond.cni.decoding import MAX_JSON_BYTES, JsonObject, decode_object
from sriovbond.cni.wire import CniError


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"[]", r"found \[\]"),
        (b"null", "found None"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": 1e999}', "out of range"),
        (b'{"a": "\xff"}', "can't decode byte 0xff"),
        (b'{"a": ' * 5000, "RecursionError|recursion"),
        (b"1" * 5000, "digits"),
        (b" " * (MAX_JSON_BYTES + 1), f"at most {MAX_JSON_BYTES} bytes"),
    ],
)
def test_what_is_not_one_json_object_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(CniError, match=found) as caught:
        decode_object(content, "stdin")

    assert caught.value.code == 6
    assert "stdin" in caught.value.msg


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert decode_object(b'{"a": 1, "a": 2}', "stdin") == {"a": 2}


def test_null_is_as_good_as_absent() -> None:
    node = JsonObject(dict.fromkeys(("text", "number", "list", "child", "address")), "x")

    assert node.text("text") == ""
    assert node.number("number") is None
    assert node.texts("list") == ()
    assert node.children("list") == ()
    assert node.child("child").values == {}
    assert node.address("address") is None


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        ("text", 1),
        ("required_text", None),
        ("number", "1"),
        ("number", -1),
        ("number", True),
        ("number", 1.0),
        ("texts", "a"),
        ("texts", [1]),
        ("child", []),
        ("children", {}),
        ("children", [None]),
        ("address", "192.0.2.1/24"),
        ("address", "fe80::1%eth0"),
        ("interface", None),
        ("interface", "192.0.2.1"),
        ("interface", "192.0.2.1/255.255.255.0"),
        ("interface", "192.0.2.1/33"),
        ("interface", "fe80::1%eth0/64"),
        ("network", "default"),
        ("network", "192.0.2.0"),
    ],
)
def test_a_malformed_value_is_refused_with_its_place(reader: str, value: object) -> None:
    node = JsonObject({"key": value}, "prevResult.ips[0]")

    with pytest.raises(CniError, match=r"cannot read prevResult\.ips\[0\]\.key: ") as caught:
        getattr(node, reader)("key")

    assert caught.value.code == 6


def test_a_long_value_is_cut_in_the_error() -> None:
    with pytest.raises(CniError) as caught:
        JsonObject({"key": "x" * 100_000}, "stdin").number("key")

    assert len(caught.value.msg) < 200


def test_host_bits_of_a_destination_are_cleared() -> None:
    node = JsonObject({"dst": "10.1.2.3/16"}, "route")

    assert str(node.network("dst")) == "10.1.0.0/16"
