"""The sockets of a client: whole packets for what has no address yet, UDP for its own server."""

import ctypes
import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from sriovbond.dhcp import frame, packet
from sriovbond.dhcp.frame import CLIENT_PORT, SERVER_PORT
from sriovbond.dhcp.packet import DhcpMessage, MalformedError
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFF_LOWER_UP, IFF_UP

_ETH_P_IP: Final = 0x0800
_EVERYBODY: Final = b"\xff" * 6
_BROADCAST: Final = b"\xff" * 4
_SO_ATTACH_FILTER: Final = 26  # include/uapi/asm-generic/socket.h
_SOL_PACKET, _PACKET_AUXDATA = 263, 8  # include/uapi/linux/if_packet.h
_NOT_SUMMED: Final = 0x8  # TP_STATUS_CSUMNOTREADY
_ANCILLARY_BYTES: Final = 64
_MOST_PACKETS: Final = 64
_LINKS_AND_ADDRESSES: Final = 0x1 | 0x10  # RTMGRP_LINK, RTMGRP_IPV4_IFADDR
_INDEX_AT: Final = 20  # in ifinfomsg and in ifaddrmsg, behind the header of netlink
_EVENT: Final = struct.Struct("=4xH18xI")  # the type, and ifinfomsg's flags
_EVENT_BYTES: Final = 64
_STEP: Final = struct.Struct("=HBBI")  # sock_filter
_PROGRAM: Final = struct.Struct("@HP")  # sock_fprog
TO_CLIENTS: Final = (
    (0x30, 0, 0, 9),  # load the protocol
    (0x15, 0, 10, socket.IPPROTO_UDP),
    (0x28, 0, 0, 6),  # load flags and fragment's offset
    (0x45, 8, 0, 0x3FFF),  # a fragment is no whole message
    (0xB1, 0, 0, 0),  # load the header's length
    (0x48, 0, 0, 2),  # load the port behind it
    (0x15, 0, 5, CLIENT_PORT),
    (0x50, 0, 0, 8),  # load the operation, behind the header of UDP
    (0x15, 0, 3, packet.REPLY),
    (0x40, 0, 0, 8 + packet.COOKIE_AT),
    (0x15, 0, 1, int.from_bytes(packet.COOKIE, "big")),
    (0x06, 0, 0, 0xFFFF),  # take it
    (0x06, 0, 0, 0),  # drop it
)
"""A filter for the kernel (classic BPF): the client receives a server's messages alone."""


class LinkNotices:
    """The kernel's notifications of one link: a look at it now and then misses a short outage."""

    def __init__(self, index: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            attach_filter(self._socket, _of_link(index))
            self._socket.bind((0, _LINKS_AND_ADDRESSES))
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor that is readable when something was reported."""
        return self._socket.fileno()

    def take(self) -> bool:
        """Return whether the link was down, or lost an address, since the last call."""
        has_lost = False
        for _ in range(_MOST_PACKETS):
            try:
                has_lost |= _is_loss(self._socket.recv(_EVENT_BYTES))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                has_lost = True  # more was reported than there is room for
        return has_lost

    def close(self) -> None:
        """Close it. Idempotent."""
        self._socket.close()


@dataclass(slots=True)
class DhcpSocket:
    """An interface as a client of DHCP uses it; `name` has the `index` that it was opened by."""

    name: str
    index: int
    packets: socket.socket
    events: LinkNotices
    datagrams: socket.socket | None = None
    own: str = ""

    def fileno(self) -> int:
        """Return the descriptor that is readable when a message is there."""
        return self.packets.fileno()

    def send(self, message: DhcpMessage, to: str = "") -> None:
        """Send a message to the server of that address, else to all. Raises OSError."""
        payload = packet.encode(message)
        if to and self.datagrams:
            self.datagrams.sendto(payload, (to, SERVER_PORT))
            return
        source = message.own if any(message.own) else bytes(4)
        where = (self.name, _ETH_P_IP, 0, 0, _EVERYBODY)
        self.packets.sendto(frame.wrap(payload, source, _BROADCAST), where)

    def receive(self) -> Iterator[DhcpMessage]:
        """Yield what has come, 64 messages at most; what is malformed is left out.

        Raises OSError where the interface is down or gone.
        """
        for _ in range(_MOST_PACKETS):
            try:
                data, ancillary, _, sender = self.packets.recvmsg(
                    packet.MOST_BYTES, socket.CMSG_SPACE(_ANCILLARY_BYTES)
                )
            except BlockingIOError:
                return
            if sender[2] != socket.PACKET_OUTGOING:
                with suppress(MalformedError):
                    payload = frame.unwrap(data, is_summed=_is_summed(ancillary))
                    yield packet.decode(payload)

    def take_address(self, own: str) -> None:
        """Use an address for what goes to one server; none for an empty text. Raises OSError."""
        if own == self.own:
            return
        if self.datagrams:
            self.datagrams.close()
            self.datagrams = None
        self.own = ""
        if own:
            self.datagrams = _datagrams(self.name, own)
            self.own = own

    def drain(self) -> None:
        """Drop what came by UDP: all is read as packets, too."""
        for _ in range(_MOST_PACKETS if self.datagrams else 0):
            try:
                self.datagrams and self.datagrams.recv(1)
            except OSError:
                return

    def close(self) -> None:
        """Close the sockets. Idempotent."""
        self.packets.close()
        self.events.close()
        if self.datagrams:
            self.datagrams.close()


@contextmanager
def opened(name: str, index: int) -> Iterator[DhcpSocket]:
    """Open an interface. Raises OSError."""
    events = LinkNotices(index)
    try:
        wire = DhcpSocket(name, index, _packets(name), events)
    except BaseException:
        events.close()
        raise
    try:
        yield wire
    finally:
        wire.close()


def _is_loss(event: bytes) -> bool:
    """Return whether a message reports a link without carrier, or an address that is gone."""
    if len(event) < _EVENT.size:
        return False
    kind, flags = _EVENT.unpack_from(event)
    is_down = flags & (IFF_UP | IFF_LOWER_UP) != IFF_UP | IFF_LOWER_UP
    return kind == nl.RTM_DELADDR or (kind == nl.RTM_NEWLINK and bool(is_down))


def _of_link(index: int) -> tuple[tuple[int, int, int, int], ...]:
    """Return the filter for one link: its index is behind the first word of each message."""
    return (
        (0x20, 0, 0, _INDEX_AT),
        (0x15, 0, 1, socket.htonl(index)),  # loaded in the order of the network
        (0x06, 0, 0, 0xFFFF),
        (0x06, 0, 0, 0),
    )


def _packets(name: str) -> socket.socket:
    """Return a socket that has the interface's packets to clients of DHCP, without Ethernet."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_PACKET, kind, 0)
    try:
        attach_filter(made, TO_CLIENTS)
        made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        made.bind((name, _ETH_P_IP))  # from here on it receives: the filter is there before
    except BaseException:
        made.close()
        raise
    return made


def attach_filter(to: socket.socket, steps: Sequence[tuple[int, int, int, int]]) -> None:
    """Have the kernel drop what a program of classic BPF does not take. Raises OSError."""
    code = b"".join(_STEP.pack(*step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _PROGRAM.pack(len(steps), ctypes.addressof(buffer))
    to.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def _datagrams(name: str, own: str) -> socket.socket:
    """Return a socket with a client's port, which the kernel would answer as closed."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_INET, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
        made.bind((own, CLIENT_PORT))
    except BaseException:
        made.close()
        raise
    return made


def _is_summed(ancillary: Sequence[tuple[int, int, bytes]]) -> bool:
    """Return whether UDP's checksum is there: what this machine sends itself may have none yet."""
    for level, kind, value in ancillary:
        if (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA) and len(value) >= 4:  # noqa: PLR2004 - bytes
            return not int.from_bytes(value[:4], "little") & _NOT_SUMMED
    return True
