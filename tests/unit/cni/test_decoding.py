import json
import tracemalloc

import pytest

from sriovbond.cni.decoding import (
    MAX_ELEMENTS,
    MAX_JSON_BYTES,
    JsonObject,
    decode_object,
    find_duplicate_keys,
)
from sriovbond.cni.wire import CniError
from tests.support.memory import traced


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
        (b'{"a": ' * 500_000, "RecursionError|recursion"),  # Python 3.12 takes thousands
        (b"1" * 5000, "digits"),
        (b" " * (MAX_JSON_BYTES + 1), f"at most {MAX_JSON_BYTES} bytes"),
    ],
)
def test_a_text_that_is_not_one_json_object_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(CniError, match=found) as caught:
        decode_object(content, "stdin")

    assert caught.value.code == 6
    assert "stdin" in caught.value.msg


def test_of_a_key_given_twice_the_last_counts() -> None:
    assert decode_object(b'{"a": 1, "a": 2}', "stdin") == {"a": 2}


def test_duplicate_keys_are_named_with_their_place_at_any_depth() -> None:
    content = b'{"a": 1, "b": [{"c": {"d": [], "d": null}}], "a": "x"}'

    assert find_duplicate_keys(decode_object(content, "stdin")) == (
        "the key 'a' is duplicated, as 1 and as 'x'; remove one of them",
        "the key 'b.0.c.d' is duplicated, as [] and as None; remove one of them",
    )


@pytest.mark.parametrize(
    "content",
    [
        b'{"ipam": {"token": "secret-1", "token": "secret-2"}}',
        b'{"IPAM": {"a": [{"token": "secret-1", "token": 2}]}}',
        b'{"args": {"cni": {"token": 1, "token": "secret-2"}}}',
        b'{"ipam": {"token": "secret-1"}, "ipam": {"token": "secret-2"}}',
    ],
)
def test_of_a_duplicated_key_of_another_plugin_the_values_are_kept_secret(content: bytes) -> None:
    [words] = find_duplicate_keys(decode_object(content, "stdin"))

    assert words.endswith("' is duplicated; remove one of them")
    assert "secret" not in words


def test_a_key_in_two_objects_is_not_given_twice() -> None:
    assert (
        find_duplicate_keys(decode_object(b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}', "stdin"))
        == ()
    )


def test_of_many_keys_given_twice_a_few_are_named() -> None:
    content = "{" + ", ".join(f'"{number % 50}": 1' for number in range(100)) + "}"

    assert len(find_duplicate_keys(decode_object(content.encode(), "stdin"))) == 10


def test_long_keys_do_not_multiply_where_keys_given_twice_are_looked_for() -> None:
    inner = "".join(f'"a{number}": 1, ' for number in range(20_000))
    content = f'{{"{"k" * 1_000_000}": {{{inner}"b": 1, "b": 2}}}}'
    value = decode_object(content.encode(), "stdin")
    tracemalloc.start()

    [words] = find_duplicate_keys(value)

    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000
    assert len(words) < 200
    assert words.endswith("k.b' is duplicated, as 1 and as 2; remove one of them")


def test_deep_nesting_is_no_trouble_for_who_looks_for_keys_given_twice() -> None:
    content = b'{"a": ' * 900 + b'{"b": 1, "b": 2}' + b"}" * 900

    assert "b' is duplicated" in find_duplicate_keys(decode_object(content, "stdin"))[0]


def test_null_counts_as_absent() -> None:
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


@pytest.mark.parametrize("element", ["[]", '{"": 0}', '""'])
def test_a_text_of_too_many_elements_is_refused_before_it_is_decoded(element: str) -> None:
    content = f'{{"a": [{", ".join([element] * 60_000)}]}}'.encode()

    with traced() as memory, pytest.raises(CniError, match="at most 50000") as caught:
        decode_object(content, "stdin", MAX_ELEMENTS)

    assert caught.value.code == 6
    assert memory.peak_bytes < 100_000
    assert len(decode_object(content, "a file of an administrator")) == 1


def test_a_long_text_of_few_elements_is_decoded() -> None:
    content = json.dumps({"a": "x" * 1_000_000}).encode()

    assert decode_object(content, "stdin", MAX_ELEMENTS) == {"a": "x" * 1_000_000}
