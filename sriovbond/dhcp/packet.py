"""A message of DHCP as bytes: encoded, and decoded with bounds (RFC 2131, 2132, 3396). No I/O."""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

MOST_BYTES: Final = 4096
"""Of a message that is decoded: what a server may send with jumbo frames, and no more."""
MOST_OPTION: Final = 255
_HEAD: Final = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
COOKIE: Final = b"\x63\x82\x53\x63"
COOKIE_AT: Final = _HEAD.size
_LEAST_BYTES: Final = 300  # of BOOTP (RFC 1542): some relays drop less
REPLY: Final = 2
_REQUEST, _ETHERNET, _MAC_BYTES = 1, 1, 6
_PAD, _END, _OVERLOAD = 0, 255, 52
_NOWHERE: Final = bytes(4)


class MalformedError(ValueError):
    """A message, or one of its options, is none that the protocol allows."""


class MessageKind(IntEnum):
    """What a message is (option 53)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class DhcpOption(IntEnum):
    """The options that are sent or read."""

    MASK = 1
    ROUTER = 3
    SERVERS = 6
    HOSTNAME = 12
    DOMAIN = 15
    MTU = 26
    REQUESTED = 50
    LEASE_TIME = 51
    KIND = 53
    SERVER = 54
    PARAMETERS = 55
    TEXT = 56
    MOST_BYTES = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    CLIENT_ID = 61
    SEARCH = 119
    ROUTES = 121


@dataclass(frozen=True, slots=True)
class DhcpMessage:
    """A message; addresses are 4 bytes, `options` are by number, each whole."""

    xid: int
    mac: bytes
    options: Mapping[int, bytes] = field(default_factory=dict)
    seconds: int = 0
    own: bytes = _NOWHERE
    """The address that the client has (ciaddr)."""
    given: bytes = _NOWHERE
    """The address that the server gives (yiaddr)."""
    is_reply: bool = False

    @property
    def kind(self) -> int:
        """What it is, 0 where it does not say."""
        value = self.options.get(DhcpOption.KIND, b"")
        return value[0] if len(value) == 1 else 0


def encode(message: DhcpMessage) -> bytes:
    """Return the payload of UDP. Raises MalformedError for an option that is too long."""
    head = _HEAD.pack(
        REPLY if message.is_reply else _REQUEST,
        _ETHERNET,
        _MAC_BYTES,
        0,
        message.xid,
        min(message.seconds, 0xFFFF),
        0,
        message.own,
        message.given,
        _NOWHERE,
        _NOWHERE,
        message.mac,
        b"",
        b"",
    )
    options = b"".join(_encode_option(*row) for row in message.options.items())
    payload = head + COOKIE + options + bytes([_END])
    return payload + bytes(max(0, _LEAST_BYTES - len(payload)))


def decode(payload: bytes) -> DhcpMessage:
    """Return the message that a payload of UDP is. Raises MalformedError."""
    start = _HEAD.size + len(COOKIE)
    if not start <= len(payload) <= MOST_BYTES:
        raise MalformedError(f"it has {len(payload)} bytes")
    row = _HEAD.unpack_from(payload)
    operation, hardware, size, xid, seconds = row[0], row[1], row[2], row[4], row[5]
    is_known = operation in {_REQUEST, REPLY} and (hardware, size) == (_ETHERNET, _MAC_BYTES)
    if not is_known or payload[_HEAD.size : start] != COOKIE:
        raise MalformedError("it is no message of DHCP over Ethernet")
    own, given, mac, name, file = row[7], row[8], row[11], row[12], row[13]
    options = _options(payload[start:], file, name)
    is_reply = operation == REPLY
    return DhcpMessage(xid, mac[:_MAC_BYTES], options, seconds, own, given, is_reply=is_reply)


def _encode_option(number: int, value: bytes) -> bytes:
    if len(value) > MOST_OPTION:
        raise MalformedError(f"option {number} has {len(value)} bytes, the most is {MOST_OPTION}")
    return bytes([number, len(value)]) + value


def _options(area: bytes, file: bytes, name: bytes) -> dict[int, bytes]:
    """Return the options by number; parts of one are put together in their order (RFC 3396)."""
    options = _united({}, area)
    overload = options.get(_OVERLOAD, b"\0")
    for bit, further in ((1, file), (2, name)):
        if len(overload) == 1 and overload[0] & bit:
            options = _united(options, further)
    return options


def _united(options: dict[int, bytes], area: bytes) -> dict[int, bytes]:
    united = dict(options)
    for number, value in _walk(area):
        united[number] = united.get(number, b"") + value
    return united


def _walk(area: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and value of each option up to the end, which a server may leave out."""
    place = 0
    while place < len(area) and area[place] != _END:
        number = area[place]
        place += 1
        if number == _PAD:
            continue
        size = area[place] if place < len(area) else len(area)
        value = area[place + 1 : place + 1 + size]
        if len(value) != size:
            raise MalformedError(f"option {number} is cut short")
        place += 1 + size
        yield number, value
