"""The kernel's limit: the least messages that make a bond and take it away, made beforehand.

Encoded here by the numbers of if_link.h, not by our code: it is what our code is measured by.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sriovbond.kernel import links, netns
from tests.support.pods import Pod

RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR = 16, 17, 20
REQUEST_AND_ACK, MADE_ANEW = 0x5, 0x600  # NLM_F_REQUEST | NLM_F_ACK, NLM_F_CREATE | NLM_F_EXCL
IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 3, 10, 18, 1, 2
IFA_ADDRESS, IFA_LOCAL = 1, 2
MODE, MIIMON, FAIL_OVER_MAC, NUM_PEER_NOTIF = 1, 3, 13, 16  # IFLA_BOND_*
OPTIONS: Final = (
    (MODE, b"\1"),
    (MIIMON, b"\x64\0\0\0"),
    (FAIL_OVER_MAC, b"\1"),
    (NUM_PEER_NOTIF, b"\x0f"),
)
DOWN, UP = 0, 1  # IFF_UP
INDEX: Final = 40_000  # asked for, so that nothing need be read
ADDRESSES: Final = (
    (socket.AF_INET, 24, "198.51.100.9"),
    (socket.AF_INET6, 64, "2001:db8:51::9"),
)
_HEADER: Final = struct.Struct("=IHHII")
_ERROR: Final = struct.Struct("=iHHIIii")


@dataclass(frozen=True, slots=True)
class Messages:
    """What is sent for an ADD and for a DEL, by a socket that is in the pod already."""

    socket: socket.socket
    make: tuple[bytes, ...]
    take_away: tuple[bytes, ...]

    def add(self) -> None:
        self._send(self.make)

    def delete(self) -> None:
        self._send(self.take_away)

    def _send(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.socket.send(message)
            code = struct.unpack_from("=i", self.socket.recv(4096), _HEADER.size)[0]
            assert code == 0, f"the kernel refuses {message.hex()}: {code}"


@contextmanager
def messages(pod: Pod, members: Sequence[str], *, addressed: bool) -> Iterator[Messages]:
    """Make all messages for a bond over these links, which are up, with addresses if asked."""
    with netns.opened(pod.path) as space:
        indices = [link.index for name in members if (link := links.find(space.netlink, name))]
        with space.run(_socket) as talk:
            yield Messages(
                talk, tuple(_make(indices, addressed=addressed)), (_link(RTM_DELLINK, INDEX),)
            )


def _socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)


def _make(members: Sequence[int], *, addressed: bool) -> Iterator[bytes]:
    options = b"".join(_attribute(number, value) for number, value in OPTIONS)
    info = _attribute(IFLA_INFO_KIND, b"bond") + _attribute(IFLA_INFO_DATA, options)
    named = _attribute(IFLA_IFNAME, b"bond0\0") + _attribute(IFLA_LINKINFO, info)
    yield _link(RTM_NEWLINK, INDEX, named, MADE_ANEW)
    for member in members:
        yield _link(RTM_NEWLINK, member, change=(DOWN, UP))  # the bond takes no other
        yield _link(RTM_NEWLINK, member, _attribute(IFLA_MASTER, struct.pack("=I", INDEX)))
    yield _link(RTM_NEWLINK, INDEX, change=(UP, UP))
    for family, prefix, address in ADDRESSES if addressed else ():
        packed = socket.inet_pton(family, address)
        body = struct.pack("=BBBBI", family, prefix, 0, 0, INDEX)
        body += _attribute(IFA_LOCAL, packed) + _attribute(IFA_ADDRESS, packed)
        yield _message(RTM_NEWADDR, body, MADE_ANEW)


def _link(
    type_: int,
    index: int,
    attributes: bytes = b"",
    flags: int = 0,
    change: tuple[int, int] = (0, 0),
) -> bytes:
    return _message(type_, struct.pack("=BxHiII", 0, 0, index, *change) + attributes, flags)


def _message(type_: int, body: bytes, flags: int) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), type_, REQUEST_AND_ACK | flags, 1, 0) + body


def _attribute(number: int, payload: bytes) -> bytes:
    filled = payload + bytes(-len(payload) % 4)
    return struct.pack("=HH", 4 + len(payload), number) + filled
