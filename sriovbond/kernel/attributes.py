"""Netlink attributes read one by one (netlink(7)), never beyond the enclosing payload.

The only module that parses them. One too short, or longer than the rest, ends the iteration: what
follows cannot be distinguished from garbage.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

HEADER: Final = struct.Struct("=HH")
_read_head: Final = HEADER.unpack_from


def by_number(payload: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes from `offset` on, a multiple of 4, by their numbers."""
    payloads = {}
    head, end = HEADER.size, len(payload)
    last = end - head
    while offset <= last:
        length, number = _read_head(payload, offset)
        after = offset + length
        if length < head or after > end:
            break
        payloads[number & 0x3FFF] = payload[offset + head : after]  # NLA_TYPE_MASK
        offset = (after + 3) & ~3
    return payloads


def walk(payload: bytes, offset: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield number, place and payload of each attribute from `offset` on, a multiple of 4."""
    head, end = HEADER.size, len(payload)
    while offset + head <= end:
        length, number = _read_head(payload, offset)
        after = offset + length
        if length < head or after > end:
            return
        start = offset + head
        yield number & 0x3FFF, start, payload[start:after]  # NLA_TYPE_MASK
        offset = (after + 3) & ~3


def are_whole(payload: bytes, offset: int = 0) -> bool:
    """Return whether the attributes from `offset` on fill the payload to its end."""
    head, end = HEADER.size, len(payload)
    while offset + head <= end:
        after = offset + _read_head(payload, offset)[0]
        if not offset + head <= after <= end:
            return False
        offset = (after + 3) & ~3
    return offset >= end


def bytes_of(payloads: Mapping[int, bytes]) -> int:
    """Return the bytes that these attributes take: the whole payload, unless one was duplicate."""
    return sum((HEADER.size + len(payload) + 3) & ~3 for payload in payloads.values())
