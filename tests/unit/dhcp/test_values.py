"""Each option is read strictly: what resolv.conf or the kernel could not have is malformed."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sriovbond.dhcp import values
from sriovbond.dhcp.lease import ON_LINK
from sriovbond.dhcp.packet import MalformedError

READERS: tuple[Callable[[bytes], object], ...] = (
    values.address,
    values.addresses,
    values.prefix,
    values.domain,
    values.domains,
    values.routes,
)


def test_compressed_names_of_a_search_list_are_whole() -> None:
    value = b"\x03eng\x05apple\x03com\x00\x09marketing\xc0\x04"  # RFC 3397, section 2

    assert values.domains(value) == ("eng.apple.com", "marketing.apple.com")


def test_classless_routes_are_those_of_the_rfc() -> None:
    value = bytes([0, 192, 0, 2, 1, 8, 10, 192, 0, 2, 7, 25, 10, 0, 0, 129, 0, 0, 0, 0])

    assert values.routes(value) == (
        ("0.0.0.0/0", "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.7"),
        ("10.0.0.128/25", ON_LINK),
    )


def test_a_mask_is_a_prefix_and_without_one_the_class_counts() -> None:
    assert values.prefix(bytes([255, 255, 252, 0])) == 22
    assert [values.class_prefix(f"{n}.0.2.1") for n in (10, 172, 192)] == [8, 16, 24]


@pytest.mark.parametrize(
    ("reading", "value"),
    [
        (values.address, bytes(4)),
        (values.address, b"\xff" * 4),
        (values.address, bytes([127, 0, 0, 1])),
        (values.address, bytes([224, 0, 0, 1])),
        (values.address, bytes(3)),
        (values.addresses, b""),
        (values.addresses, bytes([192, 0, 2, 1, 9])),
        (values.prefix, bytes(4)),
        (values.prefix, bytes([128, 0, 0, 0])),
        (values.prefix, bytes([254, 0, 0, 0])),
        (values.prefix, bytes([255, 0, 255, 0])),
        (values.prefix, b"\xff" * 5),
        (values.domain, b"example.org\nnameserver 192.0.2.66"),
        (values.domain, b"a b"),
        (values.domain, b"-x.org"),
        (values.domain, b".".join([b"a" * 60] * 5)),
        (values.domain, b""),
        (values.domains, b"\x03a\nb\x00"),
        (values.domains, b"\x03abc"),
        (values.domains, b"\xc0\x00"),
        (values.domains, b"\x01a\xc0\x05\x01b\x00"),
        (values.domains, b"\xc0"),
        (values.routes, bytes([33, 1, 2, 3, 4, 5, 192, 0, 2, 1])),
        (values.routes, bytes([24, 10, 0, 0, 192, 0, 2])),
        (values.routes, bytes([8, 10, 127, 0, 0, 1])),
    ],
)
def test_a_value_that_its_option_cannot_have_is_malformed(
    reading: Callable[[bytes], object], value: bytes
) -> None:
    with pytest.raises(MalformedError):
        reading(value)


@pytest.mark.parametrize(("text", "length"), [("192.0.2.0", 24), ("192.0.2.127", 25)])
def test_the_ends_of_a_network_are_no_hosts(text: str, length: int) -> None:
    with pytest.raises(MalformedError, match="no host's address"):
        values.host(text, length)


@pytest.mark.parametrize(("text", "length"), [("192.0.2.0", 31), ("192.0.2.255", 32)])
def test_a_network_of_hosts_alone_has_no_ends(text: str, length: int) -> None:
    assert values.host(text, length) == text


def test_parts_of_everything_are_a_default_route() -> None:
    networks = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "64.0.0.0/7", "10.0.0.0/8")

    assert [values.is_of_everything(row) for row in networks] == [True, True, True, True, False]


def test_lists_are_bounded() -> None:
    hosts = b"".join(bytes([192, 0, 2, n]) for n in range(1, 200))
    routes = b"".join(bytes([24, 10, 0, n, 192, 0, 2, 1]) for n in range(200))
    domains = b"".join(b"\x04d" + str(100 + n).encode() + b"\x00" for n in range(200))

    assert len(values.addresses(hosts)) == 16
    assert len(values.routes(routes)) == 64
    assert len(values.domains(domains)) == 32


@pytest.mark.parametrize("reading", READERS)
@given(value=some.binary(max_size=80))
def test_garbage_is_a_value_or_malformed(reading: Callable[[bytes], object], value: bytes) -> None:
    try:
        read = reading(value)
    except MalformedError:
        return
    assert "\n" not in str(read)
