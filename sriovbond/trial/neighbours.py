"""Entries of neighbours and of bridges' tables: which there are, and those that a person made.

The kernel forgets these with the link that they are of, when it goes down or leaves its bridge.
"""

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sriovbond.kernel import messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import LinkMessage
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

# include/uapi/linux/neighbour.h
NUD_REACHABLE, NUD_STALE, NUD_DELAY, NUD_PROBE = 0x02, 0x04, 0x08, 0x10
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_NTF_MASTER, _NTF_EXT_LEARNED, _NTF_STICKY = 0x04, 0x10, 0x40
_NDA_DST, _NDA_LLADDR, _NDA_VLAN, _NDA_MASTER = 1, 2, 5, 9
_HEADER: Final = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_REPLACE: Final = nl.NLM_F_CREATE | nl.NLM_F_REPLACE


@dataclass(frozen=True, slots=True)
class NeighbourEntry:
    """An entry: a neighbour's address and MAC (hex), or a MAC in the table of a port's bridge.

    `vlan` is that of a bridge's entry, 0 for none.
    """

    family: int
    index: int
    state: int
    mac: str
    address: str = ""
    flags: int = 0
    vlan: int = 0

    @property
    def identity(self) -> tuple[object, ...]:
        """What distinguishes it from others of its link, and from itself when it was changed."""
        return self.family, self.state, self.mac, self.address, self.vlan

    @property
    def words(self) -> str:
        """It in words."""
        return self.address or self.mac + (f" in VLAN {self.vlan}" if self.vlan else "")


def read_all(netlink: Netlink, family: int = socket.AF_UNSPEC) -> Iterator[NeighbourEntry]:
    """Yield the neighbours of IPv4 and IPv6, or for AF_BRIDGE what bridges have of their ports.

    Raises KernelError.
    """
    body = _HEADER.pack(family, 0, 0, 0, 0)
    request = NetlinkRequest(nl.RTM_GETNEIGH, "list the neighbours", body)
    for entry in netlink.dump(request):
        kind, index, state, flags, _ = _HEADER.unpack_from(entry)
        parts = by_number(entry, _HEADER.size)
        row = NeighbourEntry(kind, index, state, parts.get(_NDA_LLADDR, b"").hex(), flags=flags)
        if kind in (socket.AF_INET, socket.AF_INET6) and _NDA_DST in parts:
            yield replace(row, address=socket.inet_ntop(kind, parts[_NDA_DST]))
        elif kind == socket.AF_BRIDGE and _NDA_MASTER in parts:
            yield replace(row, vlan=messages.whole(parts.get(_NDA_VLAN, b"")))


def set_by_hand(netlink: Netlink) -> dict[int, tuple[NeighbourEntry, ...]]:
    """Return the entries that stay until a person removes them, by their link. Raises KernelError.

    A port's own MAC is among what its bridge has of it.
    """
    rows = (*read_all(netlink), *read_all(netlink, socket.AF_BRIDGE))
    by_link: dict[int, list[NeighbourEntry]] = {}
    for row in rows:
        if _is_by_hand(row):
            by_link.setdefault(row.index, []).append(row)
    return {index: tuple(entries) for index, entries in by_link.items()}


def _is_by_hand(row: NeighbourEntry) -> bool:
    if row.family == socket.AF_BRIDGE:
        is_lasting = row.state & (_NUD_NOARP | _NUD_PERMANENT)
        return bool(is_lasting) and not row.flags & _NTF_EXT_LEARNED
    return bool(row.state & _NUD_PERMANENT and row.mac)


def missing(
    before: Sequence[NeighbourEntry], now: Iterable[NeighbourEntry]
) -> list[NeighbourEntry]:
    """Return the entries of a link that it has no longer."""
    present = {row.identity for row in now}
    return [row for row in before if row.identity not in present]


def put(netlink: Netlink, link: LinkMessage, row: NeighbourEntry) -> None:
    """Put an entry on a link, which may have another index by now. Idempotent.

    Raises KernelError.
    """
    is_bridges = row.family == socket.AF_BRIDGE
    flags = row.flags & _NTF_STICKY | (_NTF_MASTER if is_bridges else 0)
    parts = [messages.attribute(_NDA_LLADDR, bytes.fromhex(row.mac))]
    if row.address:
        parts.append(messages.attribute(_NDA_DST, socket.inet_pton(row.family, row.address)))
    if row.vlan:
        parts.append(messages.attribute(_NDA_VLAN, struct.pack("=H", row.vlan)))
    body = _HEADER.pack(row.family, link.index, row.state, flags, 0) + b"".join(parts)
    where = f"its bridge's entry of {link.name}" if is_bridges else f"neighbour of {link.name}"
    doing = f"put {row.words} back as {where}"
    netlink.send(NetlinkRequest(nl.RTM_NEWNEIGH, doing, body, _REPLACE))


def doubt(netlink: Netlink, row: NeighbourEntry) -> None:
    """Have the kernel ask a neighbour for its MAC anew. Raises KernelError."""
    body = _HEADER.pack(row.family, row.index, NUD_PROBE, 0, 0)
    body += messages.attribute(_NDA_DST, socket.inet_pton(row.family, row.address))
    body += messages.attribute(_NDA_LLADDR, bytes.fromhex(row.mac))
    doing = f"ask {row.address} for its address anew"
    netlink.send(NetlinkRequest(nl.RTM_NEWNEIGH, doing, body, nl.NLM_F_REPLACE))


Entries = Mapping[int, tuple[NeighbourEntry, ...]]
"""The entries of links, by their indices."""
