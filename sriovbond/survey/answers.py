"""The kernel's answers, requested once for each kind of object."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.kernel import attributes, carried, links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import AddressMessage, LinkMessage, RouteMessage
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

# include/uapi/linux/if_link.h, rtnetlink.h and if_bridge.h
_RTEXT_FILTER_BRVLAN_COMPRESSED: Final = 4
_IFLA_BRIDGE_VLAN_INFO: Final = 2
IFLA_INET6_ADDR_GEN_MODE: Final = 8
_RANGE_BEGIN, _RANGE_END = 0x8, 0x10
_RULE: Final = struct.Struct("=BBBBBBBBI")  # fib_rule_hdr
_MOST_ROUTES: Final = 200_000
_MOST_RULES: Final = 100_000


@dataclass(frozen=True, slots=True)
class PortVlans:
    """VLANs from `first` to `last` of a bridge's port, with BRIDGE_VLAN_INFO_* flags."""

    first: int
    last: int
    flags: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What the kernel reports of a namespace; `vlans` are by the port's index, `rules` bodies."""

    links: tuple[LinkMessage, ...]
    vlans: dict[int, tuple[PortVlans, ...]]
    addresses: tuple[AddressMessage, ...]
    routes: tuple[RouteMessage, ...]
    rules: tuple[bytes, ...]


def ask(netlink: Netlink) -> Answers:
    """Return what there is. Raises KernelError, also where there are more routes than 200,000."""
    return Answers(
        links=tuple(_ask_links(netlink)),
        vlans=ask_vlans(netlink),
        addresses=tuple(carried.all_addresses(netlink)),
        routes=tuple(_ask_routes(netlink)),
        rules=tuple(ask_rules(netlink)),
    )


def _ask_links(netlink: Netlink) -> list[LinkMessage]:
    """Return all links; one with IPv6 has how its addresses are made, too.

    Linux 5.10 leaves that out with the statistics: it is read with them then.
    """
    brief = links.read_all_with_vfs(netlink)
    if all(map(_has_interface_id, brief)):
        return brief
    request = NetlinkRequest(nl.RTM_GETLINK, "list the links", messages.link(0))
    whole = {message.index: message for message in map(messages.read_link, netlink.dump(request))}
    return [_with_families(message, whole.get(message.index)) for message in brief]


def _has_interface_id(message: LinkMessage) -> bool:
    inet6 = message.of_family(socket.AF_INET6)
    return inet6 is None or IFLA_INET6_ADDR_GEN_MODE in inet6


def _with_families(message: LinkMessage, whole: LinkMessage | None) -> LinkMessage:
    if whole is None or messages.IFLA_AF_SPEC not in whole.attributes:
        return message
    families = whole.attributes[messages.IFLA_AF_SPEC]
    return replace(message, attributes=message.attributes | {messages.IFLA_AF_SPEC: families})


def _ask_routes(netlink: Netlink) -> Iterator[RouteMessage]:
    request = NetlinkRequest(nl.RTM_GETROUTE, "list the routes", messages.route(socket.AF_UNSPEC))
    for body in netlink.dump_at_most(request, _MOST_ROUTES):
        if body[0] in carried.FAMILIES:
            yield messages.read_route(body)


def ask_rules(netlink: Netlink) -> Iterator[bytes]:
    """Yield the routing rules in the kernel's order."""
    body = _RULE.pack(socket.AF_UNSPEC, *(0,) * 8)
    request = NetlinkRequest(nl.RTM_GETRULE, "list the routing rules", body)
    for rule in netlink.dump_at_most(request, _MOST_RULES):
        if rule[0] in carried.FAMILIES and len(rule) >= _RULE.size:
            yield rule


def ask_vlans(netlink: Netlink) -> dict[int, tuple[PortVlans, ...]]:
    """Return the VLANs of each port of a bridge, and of each bridge itself, by their indexes."""
    mask = messages.word(messages.IFLA_EXT_MASK, _RTEXT_FILTER_BRVLAN_COMPRESSED)
    body = messages.link(0, mask, family=socket.AF_BRIDGE)
    request = NetlinkRequest(nl.RTM_GETLINK, "list the VLANs of bridges", body)
    answered = map(messages.read_link, netlink.dump(request))
    payloads = {row.index: row.attributes.get(messages.IFLA_AF_SPEC) for row in answered}
    return {index: tuple(_read_vlans(part)) for index, part in payloads.items() if part}


def _read_vlans(payload: bytes) -> Iterator[PortVlans]:
    first = 0
    for number, _, entry in attributes.walk(payload):
        if number != _IFLA_BRIDGE_VLAN_INFO:
            continue
        info = ifinfmsg.af_spec_bridge.vlan_info(messages.attribute(number, entry))
        info.decode()
        flags, tag = info["flags"], info["vid"]
        if flags & _RANGE_BEGIN:
            first = tag
        else:
            yield PortVlans(first if flags & _RANGE_END else tag, tag, flags)
