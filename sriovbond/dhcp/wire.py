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

_ETH_P_IP: Final = 0x0800
_EVERYBODY: Final = b"\xff" * 6
_BROADCAST: Final = b"\xff" * 4
_SO_ATTACH_FILTER: Final = 26  # include/uapi/asm-generic/socket.h
_SOL_PACKET, _PACKET_AUXDATA = 263, 8  # include/uapi/linux/if_packet.h
_NOT_SUMMED: Final = 0x8  # TP_STATUS_CSUMNOTREADY
_ANCILLARY_BYTES: Final = 64
_MOST_PACKETS: Final = 64
_STEP: Final = struct.Struct("=HBBI")  # sock_filter
_PROGRAM: Final = struct.Struct("@HP")  # sock_fprog
_TO_CLIENTS: Final = (
    (0x30, 0, 0, 9),  # load the protocol
    (0x15, 0, 6, socket.IPPROTO_UDP),
    (0x28, 0, 0, 6),  # load flags and fragment's offset
    (0x45, 4, 0, 0x1FFF),  # a later fragment has no ports
    (0xB1, 0, 0, 0),  # load the header's length
    (0x48, 0, 0, 2),  # load the port behind it
    (0x15, 0, 1, CLIENT_PORT),
    (0x06, 0, 0, 0xFFFF),  # take it
    (0x06, 0, 0, 0),  # drop it
)
"""A filter for the kernel (classic BPF): the client receives no other packet."""


@dataclass(slots=True)
class DhcpSocket:
    """An interface as a client of DHCP uses it; `name` has the `index` that it was opened by."""

    name: str
    index: int
    packets: socket.socket
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
        if self.datagrams:
            self.datagrams.close()


@contextmanager
def opened(name: str, index: int) -> Iterator[DhcpSocket]:
    """Open an interface. Raises OSError."""
    wire = DhcpSocket(name, index, _packets(name))
    try:
        yield wire
    finally:
        wire.close()


def _packets(name: str) -> socket.socket:
    """Return a socket that has the interface's packets to clients of DHCP, without Ethernet."""
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_PACKET, kind, 0)
    try:
        _attach_filter(made, _TO_CLIENTS)
        made.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        made.bind((name, _ETH_P_IP))  # from here on it receives: the filter is there before
    except BaseException:
        made.close()
        raise
    return made


def _attach_filter(to: socket.socket, steps: Sequence[tuple[int, int, int, int]]) -> None:
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


def is_gone(error: OSError) -> bool:
    """Return whether an interface is gone, or is another one by now."""
    return error.errno in {errno.ENODEV, errno.ENXIO}
