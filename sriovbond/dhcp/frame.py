"""A payload of UDP as a packet of IPv4 with its checksums, as a packet socket has it. No I/O."""

import struct
from typing import Final

from sriovbond.dhcp.packet import MOST_BYTES, MalformedError

SERVER_PORT, CLIENT_PORT = 67, 68
_IP: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")
_PSEUDO: Final = struct.Struct("!4s4sBBH")
_PROTOCOL: Final = 17
_VERSION_AND_LENGTH: Final = 0x45
_LEAST_IP: Final = 5  # words of 4 bytes
_FRAGMENT: Final = 0x3FFF  # more fragments, and the offset
_LOW_DELAY: Final = 0x10  # as other clients: switches give it a better queue
_LIFE: Final = 64


def wrap(payload: bytes, source: bytes, target: bytes) -> bytes:
    """Return the packet that carries a client's payload to a server's port."""
    length = _UDP.size + len(payload)
    udp = _UDP.pack(CLIENT_PORT, SERVER_PORT, length, 0) + payload
    check = checksum(_PSEUDO.pack(source, target, 0, _PROTOCOL, length) + udp) or 0xFFFF
    udp = _UDP.pack(CLIENT_PORT, SERVER_PORT, length, check) + payload
    rest = (_LOW_DELAY, _IP.size + length, 0, 0, _LIFE, _PROTOCOL)
    head = _IP.pack(_VERSION_AND_LENGTH, *rest, 0, source, target)
    return _IP.pack(_VERSION_AND_LENGTH, *rest, checksum(head), source, target) + udp


def unwrap(packet: bytes, *, is_summed: bool = True) -> bytes:
    """Return the payload that a packet carries to a client's port. Raises MalformedError.

    Where it is not `is_summed`, UDP's checksum is left to the hardware: it is from this machine.
    """
    if not _IP.size <= len(packet) <= MOST_BYTES + 128:
        raise MalformedError(f"a packet of {len(packet)} bytes")
    first, _, total, _, fragment, _, protocol, _, source, target = _IP.unpack_from(packet)
    size = (first & 0xF) * 4
    is_whole = first >> 4 == 4 and first & 0xF >= _LEAST_IP and size + _UDP.size <= total  # noqa: PLR2004 - IPv4
    if not is_whole or total > len(packet) or protocol != _PROTOCOL or fragment & _FRAGMENT:
        raise MalformedError("it is no whole packet of UDP")
    if checksum(packet[:size]):
        raise MalformedError("the checksum of IPv4 is wrong")
    return _payload(packet[size:total], source, target, is_summed=is_summed)


def _payload(udp: bytes, source: bytes, target: bytes, *, is_summed: bool) -> bytes:
    _, port, length, check = _UDP.unpack_from(udp)
    if port != CLIENT_PORT or not _UDP.size <= length <= len(udp):
        raise MalformedError("it is not to a client of DHCP")
    pseudo = _PSEUDO.pack(source, target, 0, _PROTOCOL, length)
    if check and is_summed and checksum(pseudo + udp[:length]):
        raise MalformedError("the checksum of UDP is wrong")
    return udp[_UDP.size : length]


def checksum(data: bytes) -> int:
    """Return the checksum of the internet (RFC 1071); 0 for data that has its right one in it."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
