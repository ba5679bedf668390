"""The values of options, each read strictly: a server's word is not to be trusted. No I/O."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from sriovbond.dhcp.packet import MalformedError

_ADDRESS_BYTES: Final = 4
_MOST_ADDRESSES: Final = 16
_MOST_ROUTES: Final = 64
_MOST_DOMAINS: Final = 32
_MOST_JUMPS: Final = 16
_MOST_DOMAIN: Final = 253
_MOST_WORDS: Final = 64
_LEAST_PREFIX: Final = 8  # of a class A network: a shorter mask is no network's
_LONGEST_OF_A_NETWORK: Final = 30  # a longer one has hosts only (RFC 3021)
_LONGEST_PREFIX: Final = 32
_LABEL_BITS, _POINTER = 0x3F, 0xC0
_DOMAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ANY: Final = IPv4Address(0)


def address(value: bytes) -> str:
    """Return the address of a host. Raises MalformedError."""
    if len(value) != _ADDRESS_BYTES:
        raise MalformedError(f"an address of {len(value)} bytes")
    host = IPv4Address(value)
    # 0.0.0.0/8 and 255.255.255.255 are no host's (RFC 1122, 3.2.1.3)
    if host.packed[0] == 0 or host.is_loopback or host.is_multicast or host.packed == b"\xff" * 4:
        raise MalformedError(f"{host} is no address of a host")
    return str(host)


def addresses(value: bytes) -> tuple[str, ...]:
    """Return the first 16 addresses of hosts, each once. Raises MalformedError."""
    if not value or len(value) % _ADDRESS_BYTES:
        raise MalformedError(f"addresses of {len(value)} bytes")
    parts = [value[at : at + _ADDRESS_BYTES] for at in range(0, len(value), _ADDRESS_BYTES)]
    return tuple(dict.fromkeys(map(address, parts)))[:_MOST_ADDRESSES]


def prefix(value: bytes) -> int:
    """Return the length of a mask's prefix. Raises MalformedError."""
    bits = int.from_bytes(value, "big")
    length = bits.bit_count()
    is_whole = bits == (2**length - 1) << (_LONGEST_PREFIX - length) if length <= 32 else False  # noqa: PLR2004 - bits
    if len(value) != _ADDRESS_BYTES or not is_whole or length < _LEAST_PREFIX:
        raise MalformedError(f"{value.hex()} is no mask")
    return length


def class_prefix(host: str) -> int:
    """Return the prefix that an address has by its class, where a server gives no mask."""
    first = IPv4Address(host).packed[0]
    return 8 if first < 128 else 16 if first < 192 else 24  # noqa: PLR2004 - classes A, B, C


def host(text: str, length: int) -> str:
    """Return an address that is a host's in its network. Raises MalformedError."""
    network = IPv4Interface(f"{text}/{length}").network
    ends = {str(network.network_address), str(network.broadcast_address)}
    if length <= _LONGEST_OF_A_NETWORK and text in ends:
        raise MalformedError(f"{text} is no host's address in {network}")
    return text


def words(value: bytes) -> str:
    """Return a server's words for people: cut, and without control characters."""
    text = value.decode("ascii", "replace")
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:_MOST_WORDS]


def is_of_everything(network: str) -> bool:
    """Return whether a route is the default one, or leads so much there that it is one in parts."""
    return IPv4Network(network).prefixlen < _LEAST_PREFIX


def number(value: bytes, size: int) -> int:
    """Return an unsigned number of that many bytes. Raises MalformedError."""
    if len(value) != size:
        raise MalformedError(f"a number of {len(value)} bytes rather than {size}")
    return int.from_bytes(value, "big")


def domain(value: bytes) -> str:
    """Return a domain's name. Raises MalformedError, also for what resolv.conf cannot have."""
    text = value.rstrip(b"\0").decode("ascii", "replace").rstrip(".")
    return _checked(text.split("."))


def domains(value: bytes) -> tuple[str, ...]:
    """Return the first 32 domains of a search list (RFC 3397), each once. Raises MalformedError."""
    found: list[str] = []
    place = 0
    while place < len(value) and len(found) < _MOST_DOMAINS:
        labels, place = _labels(value, place)
        found.append(_checked(labels))
    return tuple(dict.fromkeys(found))


def routes(value: bytes) -> tuple[tuple[str, str], ...]:
    """Return network and gateway of each classless route (RFC 3442), 64 at most.

    A gateway of 0.0.0.0 is none: the network is on the link. Raises MalformedError.
    """
    return tuple(dict.fromkeys(_routes(value)))[:_MOST_ROUTES]


def _routes(value: bytes) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(value):
        length = value[place]
        size = (length + 7) // 8
        end = place + 1 + size + _ADDRESS_BYTES
        if length > _LONGEST_PREFIX or end > len(value):
            raise MalformedError("a classless route is cut short")
        network = value[place + 1 : place + 1 + size] + bytes(_ADDRESS_BYTES - size)
        yield f"{_network(network, length)}/{length}", _gateway(value[end - _ADDRESS_BYTES : end])
        place = end


def _network(value: bytes, length: int) -> IPv4Address:
    """Return a network without bits of hosts, which some servers leave there (RFC 3442)."""
    mask = (2**length - 1) << (_LONGEST_PREFIX - length)
    return IPv4Address(int.from_bytes(value, "big") & mask)


def _gateway(value: bytes) -> str:
    return "0.0.0.0" if value == _ANY.packed else address(value)  # noqa: S104 - no bind


def _labels(value: bytes, place: int) -> tuple[list[str], int]:
    """Return the labels of a name, and the place behind it; a pointer leads backwards only."""
    labels: list[str] = []
    after, jumps = 0, 0
    while True:
        size = value[place] if place < len(value) else _POINTER - 1
        if size >= _POINTER:
            after = after or place + 2
            place, jumps = _jump(value, place), jumps + 1
        elif size > _LABEL_BITS or jumps > _MOST_JUMPS or len(labels) > _MOST_DOMAIN:
            raise MalformedError("a name of a search list is malformed")
        elif size == 0:
            return labels, after or place + 1
        else:
            labels.append(value[place + 1 : place + 1 + size].decode("ascii", "replace"))
            place += 1 + size


def _jump(value: bytes, place: int) -> int:
    target = int.from_bytes(value[place : place + 2], "big") & 0x3FFF
    if place + 2 > len(value) or target >= place:
        raise MalformedError("a name of a search list points forwards")
    return target


def _checked(labels: list[str]) -> str:
    name = ".".join(labels)
    is_name = all(_DOMAIN.fullmatch(label) for label in labels)
    if not is_name or not name or len(name) > _MOST_DOMAIN:
        raise MalformedError(f"{name!r} is no name of a domain")
    return name
