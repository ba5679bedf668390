"""Bridges: their options, what they have for a port, and which VLANs a port takes."""

import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.kernel import links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import IFLA_AF_SPEC, IFLA_INFO_DATA, IFLA_MASTER, LinkMessage
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.nodenet.model import Bridge, BridgeOptions, BridgePort, PortVlan, Stp
from sriovbond.reshape import keeping
from sriovbond.reshape.site import Site, info, pack, port_info
from sriovbond.survey import answers
from sriovbond.survey.answers import PortVlans
from sriovbond.survey.bridges import OPTIONS, PROTOCOLS, TICKS

# include/uapi/linux/if_bridge.h and if_link.h
_IFLA_BRIDGE_FLAGS, _IFLA_BRIDGE_VLAN_INFO = 0, 2
_BRIDGE_FLAGS_SELF: Final = (2).to_bytes(2, sys.byteorder)
_PVID, _UNTAGGED, _RANGE_BEGIN, _RANGE_END = 0x2, 0x4, 0x8, 0x10
_VLAN: Final = struct.Struct("=HH")
_FILTERING, _DEFAULT_PVID = 7, 39  # IFLA_BR_VLAN_FILTERING, IFLA_BR_VLAN_DEFAULT_PVID
_PROTOCOL_NUMBERS: Final = {name: number for number, name in PROTOCOLS.items()}
_ROUTERS: Final = {"disabled": 0, "auto": 1, "enabled": 2}
_STP: Final[Mapping[str, str]] = {
    "enabled": "STP_STATE",
    "forward_delay": "FORWARD_DELAY",
    "hello_time": "HELLO_TIME",
    "max_age": "MAX_AGE",
    "priority": "PRIORITY",
}
_IN_TICKS: Final = frozenset({"FORWARD_DELAY", "HELLO_TIME", "MAX_AGE", "AGEING_TIME"})
_FLAGS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 25, 27, 28, 29, 30, 31, 32, 33, 37, 39, 40, 42, 43)
"""The IFLA_BRPORT_* that br_setport() takes, but for the port's state and its backup's index."""


def data(bridge: Bridge | None) -> bytes:
    """Return the options as a new bridge is made with."""
    return pack(ifinfmsg.ifinfo.bridge_data, _values((bridge or Bridge()).options))


def change(site: Site, name: str, options: BridgeOptions) -> None:
    """Change options. Raises KernelError.

    Another default PVID is taken only while the bridge does not filter VLANs.
    """
    link, values = site.link(name), _values(options)
    doing = f"set {', '.join(_words(values))} of the bridge {name}"
    is_filtering = _is_filtering(link)
    if "IFLA_BR_VLAN_DEFAULT_PVID" in values and is_filtering:
        set_filtering(site, name, is_on=False)
    site.change(link, doing, info("bridge", pack(ifinfmsg.ifinfo.bridge_data, values)))
    if "IFLA_BR_VLAN_DEFAULT_PVID" in values and is_filtering:
        set_filtering(site, name, is_on=True)


def set_filtering(site: Site, name: str, *, is_on: bool) -> None:
    """Have a bridge filter VLANs, or not; nothing is sent where it is so. Raises KernelError."""
    link = site.link(name)
    if _is_filtering(link) != is_on:
        payload = pack(ifinfmsg.ifinfo.bridge_data, {"IFLA_BR_VLAN_FILTERING": int(is_on)})
        words = "on" if is_on else "off"
        site.change(link, f"set VLAN filtering {words} of {name}", info("bridge", payload))


def is_filtering(site: Site, name: str) -> bool:
    """Return whether a bridge filters VLANs."""
    return _is_filtering(site.link(name))


def add_port(site: Site, owner: str, port: str) -> None:
    """Put a port into a bridge, without addresses of its own. Raises KernelError."""
    bridge, link = site.link(owner), site.link(port)
    if link.number(IFLA_MASTER) != bridge.index:
        keeping.strip(site, link)
        words, attribute = f"put {port} into {owner}", messages.word(IFLA_MASTER, bridge.index)
        if not link.number(IFLA_MASTER):
            site.change(link, words, attribute)
            return
        with keeping.kept_uppers(site, port):
            site.change(link, words, attribute)
            if link.is_up:
                site.set_up(site.link(port))  # a bond takes down what leaves it


def configure_port(site: Site, owner: str, port: BridgePort) -> None:
    """Give a port its cost, priority, hairpin mode and VLANs. Raises KernelError."""
    values = {
        "IFLA_BRPORT_MODE": None if port.stp_hairpin_mode is None else int(port.stp_hairpin_mode),
        "IFLA_BRPORT_COST": port.stp_path_cost,
        "IFLA_BRPORT_PRIORITY": port.stp_priority,
    }
    known = {name: value for name, value in values.items() if value is not None}
    name = port.name or ""
    if known:
        payload = pack(ifinfmsg.ifinfo.bridge_slave_data, known)
        doing = f"set {', '.join(_words(known))} of {name} in {owner}"
        site.change(site.link(name), doing, port_info("bridge", payload))
    if port.vlan is not None:
        _set_vlans(site, owner, name, port.vlan)


def flags_of(link: LinkMessage) -> bytes:
    """Return what a bridge has for a port, as far as it can be written again."""
    payload = link.info.get(messages.IFLA_INFO_SLAVE_DATA, b"")
    parts = by_number(payload)
    return b"".join(
        messages.attribute(number, parts[number]) for number in _FLAGS if number in parts
    )


def restore_flags(site: Site, name: str, flags: bytes) -> None:
    """Give a port what a bridge had for it. Raises KernelError."""
    link = site.link(name)
    if flags_of(link) != flags:
        site.change(link, f"restore what its bridge has for {name}", port_info("bridge", flags))


def vlans_of(site: Site, name: str) -> tuple[PortVlans, ...]:
    """Return the VLANs of a port or a bridge, also while the bridge does not filter them."""
    return answers.ask_vlans(site.netlink).get(site.link(name).index, ())


def restore_vlans(site: Site, name: str, wish: Sequence[PortVlans]) -> None:
    """Give a port or a bridge these VLANs and no others; nothing is sent where it has them.

    Raises KernelError.
    """
    link = site.link(name)
    present = _singles(vlans_of(site, name))
    flags_by_tag = _singles(wish)
    new = {tag: flags for tag, flags in flags_by_tag.items() if present.get(tag) != flags}
    for row in _runs(new):
        words = f"{row.first}-{row.last}" if row.first != row.last else str(row.last)
        _send(site, nl.RTM_SETLINK, link, f"give {name} the VLAN {words}", row)
    for row in _runs({tag: 0 for tag in present if tag not in flags_by_tag}):
        words = f"{row.first}-{row.last}" if row.first != row.last else str(row.last)
        _send(site, nl.RTM_DELLINK, link, f"take the VLAN {words} from {name}", row)


def _set_vlans(site: Site, owner: str, name: str, vlan: PortVlan) -> None:
    """Set the VLANs of a port; the bridge filters as long as a port has other ones than usual."""
    pvid = _number(site.link(owner), _DEFAULT_PVID)
    usual = (PortVlans(pvid, pvid, _PVID | _UNTAGGED),) if pvid else ()
    if vlan != PortVlan():
        set_filtering(site, owner, is_on=True)
        restore_vlans(site, name, tuple(_wish(vlan, usual)))
        return
    restore_vlans(site, name, usual)
    if all(_singles(rows) == _singles(usual) for rows in _vlans_of_ports(site, owner)):
        set_filtering(site, owner, is_on=False)


def _vlans_of_ports(site: Site, owner: str) -> list[tuple[PortVlans, ...]]:
    bridge, vlans = site.link(owner), answers.ask_vlans(site.netlink)
    ports = links.read_all(site.netlink, f"list the ports of {owner}")
    return [vlans.get(row.index, ()) for row in ports if row.number(IFLA_MASTER) == bridge.index]


def _wish(vlan: PortVlan, usual: Sequence[PortVlans]) -> Iterator[PortVlans]:
    """Yield the VLANs that a document means: the usual one is native to a trunk without another."""
    if vlan.mode == "access" or vlan.enable_native:
        tag = vlan.tag or (usual[0].last if usual else 1)
        yield PortVlans(tag, tag, _PVID | _UNTAGGED)
    elif vlan.mode == "trunk":
        yield from usual
    for row in vlan.trunk_tags or ():
        if row.id_range:
            yield PortVlans(row.id_range.min or 0, row.id_range.max or 0, 0)
        elif row.id is not None:
            yield PortVlans(row.id, row.id, 0)


def _singles(rows: Iterable[PortVlans]) -> dict[int, int]:
    """Return the flags of each VLAN; of one that is twice, the first."""
    tags: dict[int, int] = {}
    for row in rows:
        for tag in range(row.first, row.last + 1):
            tags.setdefault(tag, row.flags & (_PVID | _UNTAGGED))
    return tags


def _runs(tags: Mapping[int, int]) -> Iterator[PortVlans]:
    """Yield the VLANs as ranges; a PVID is a range of its own."""
    row: PortVlans | None = None
    for tag, flags in sorted(tags.items()):
        if row and tag == row.last + 1 and flags == row.flags and not flags & _PVID:
            row = PortVlans(row.first, tag, flags)
            continue
        if row:
            yield row
        row = PortVlans(tag, tag, flags)
    if row:
        yield row


def _send(site: Site, type_: int, link: LinkMessage, doing: str, row: PortVlans) -> None:
    entries = (
        [(row.flags | _RANGE_BEGIN, row.first), (row.flags | _RANGE_END, row.last)]
        if row.first != row.last
        else [(row.flags, row.last)]
    )
    nested = b"".join(
        messages.attribute(_IFLA_BRIDGE_VLAN_INFO, _VLAN.pack(*entry)) for entry in entries
    )
    if link.kind == "bridge":
        nested += messages.attribute(_IFLA_BRIDGE_FLAGS, _BRIDGE_FLAGS_SELF)
    body = messages.link(
        link.index, messages.attribute(IFLA_AF_SPEC, nested), family=socket.AF_BRIDGE
    )
    site.netlink.send(NetlinkRequest(type_, doing, body))


def _number(link: LinkMessage, number: int) -> int:
    return messages.whole(by_number(link.info.get(IFLA_INFO_DATA, b"")).get(number, b""))


def _is_filtering(link: LinkMessage) -> bool:
    return bool(_number(link, _FILTERING))


def _values(options: BridgeOptions | None) -> dict[str, Any]:
    """Return options by the kernel's names, in its units."""
    if options is None:
        return {}
    table = {**OPTIONS, "mac_ageing_time": "AGEING_TIME", "vlan_protocol": "VLAN_PROTOCOL"}
    table["vlan_default_pvid"] = "VLAN_DEFAULT_PVID"
    rows = [(table.get(row.name), getattr(options, row.name)) for row in fields(BridgeOptions)]
    stp = options.stp or Stp()
    rows += [(name, getattr(stp, field)) for field, name in _STP.items()]
    return {
        f"IFLA_BR_{name}": _encode(name, value)
        for name, value in rows
        if name and value is not None
    }


def _encode(name: str, value: Any) -> Any:  # noqa: ANN401 - a value of the document
    if name in _IN_TICKS:
        return value * TICKS
    if name == "MCAST_ROUTER":
        return _ROUTERS[value]
    if name == "VLAN_PROTOCOL":
        return _PROTOCOL_NUMBERS[value]
    return int(value) if isinstance(value, bool) else value


def _words(values: Mapping[str, object]) -> list[str]:
    return [f"{name.removeprefix('IFLA_').lower()} {value}" for name, value in values.items()]
