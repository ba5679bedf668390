"""A lease on its interface: address with its lifetime, routes; put there, compared, and taken off.

Stateless: what the kernel has for a time, or from DHCP, on the interface is the client's.
"""

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from sriovbond.dhcp import values
from sriovbond.dhcp.files import LinkBefore
from sriovbond.dhcp.lease import ON_LINK, DhcpLease
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import KernelError
from sriovbond.kernel import attributes, carried, messages, secondaries
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_F_NOPREFIXROUTE,
    IFA_F_PERMANENT,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_MAX_MTU,
    IFLA_MIN_MTU,
    IFLA_MTU,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    AddressMessage,
    LinkMessage,
    RouteMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

METRIC: Final = 100
"""Of routes where the document gives none, as NetworkManager's for Ethernet."""
_MOST_METRICS: Final = 32
_IFA_CACHEINFO: Final = 6
_CACHE: Final = struct.Struct("=IIII")
_RTPROT_DHCP: Final = 16
_VRF, _IFLA_VRF_PORT_TABLE = b"vrf\0", 1  # include/uapi/linux/if_link.h
_UNICAST, _UNIVERSE, _LINK = 1, 0, 253
_MAIN: Final = 254
_FLAGS_AT: Final = 8  # in rtmsg
_LONGEST_S: Final = 2**31 - 1  # one without an end would be no lease to the kernel
_LEAST_MTU: Final = 1280  # with less a link has no IPv6
_REPLACE: Final = nl.NLM_F_CREATE | nl.NLM_F_REPLACE
_NEW: Final = nl.NLM_F_CREATE | nl.NLM_F_EXCL


@dataclass(frozen=True, slots=True)
class LeasedRoute:
    """A route of a lease: network, gateway or none, and table; the metric is the link's."""

    network: str
    gateway: str
    table: int


def put(
    netlink: Netlink, link: LinkMessage, wish: DhcpWish, lease: DhcpLease, left_s: int
) -> list[str]:
    """Give a link what a lease has, for `left_s`; what it had from another goes after that.

    Returns which routes the kernel refused, after trying all. Idempotent: lifetimes alone are
    written again. Raises KernelError.
    """
    put_address(netlink, link, wish, lease, left_s)
    return list(put_routes(netlink, link, wish, lease).values())


def put_address(
    netlink: Netlink, link: LinkMessage, wish: DhcpWish, lease: DhcpLease, left_s: int
) -> None:
    """Give a link the address of a lease, for `left_s`; one that it has for good stays so.

    Idempotent. Raises KernelError.
    """
    own = [row for row in _addresses(netlink, link) if _is_leased(row, lease)]
    if any(_is_permanent(row) for row in own):
        return
    wish = _with_table(wish, link)
    has_route = not wish.auto_route_table_id
    # the kernel does not change that of an address that is there
    with_other_route = [row for row in own if _has_prefix_route(row) != has_route]
    secondaries.remove_addresses(netlink, link, with_other_route)
    doing = f"put the leased address {lease.text} on {link.name}"
    body = _address(link, wish, lease, max(1, min(left_s, _LONGEST_S)))
    netlink.send(NetlinkRequest(nl.RTM_NEWADDR, doing, body, _REPLACE))


def put_routes(
    netlink: Netlink, link: LinkMessage, wish: DhcpWish, lease: DhcpLease
) -> dict[LeasedRoute, str]:
    """Give a link the routes of a lease that it has the address of; remove those of another lease.

    The other lease's address goes, too. Returns the routes that the kernel refused, with its word:
    the others are there all the same. Idempotent. Raises KernelError.
    """
    wish = _with_table(wish, link)
    present = list(_leased_routes(netlink, link))
    known = {_as_leased(row) for row in present if _is_of(row, wish, lease)}
    refused: dict[LeasedRoute, str] = {}
    for row in routes_of(wish, lease):
        if row not in known:
            try:
                _put_route(netlink, link, wish, row, lease.address)
            except KernelError as error:
                refused[row] = error.message
    for route in present:
        if not _is_of(route, wish, lease):
            _remove_route(netlink, link, route)
    others = [row for row in _passing(netlink, link) if not _is_leased(row, lease)]
    secondaries.remove_addresses(netlink, link, others)
    return refused


def take_off(netlink: Netlink, link: LinkMessage) -> None:
    """Take off what a link has for a time, and routes of DHCP. Idempotent. Raises KernelError."""
    for route in _leased_routes(netlink, link):
        _remove_route(netlink, link, route)
    secondaries.remove_addresses(netlink, link, _passing(netlink, link))


def restore(netlink: Netlink, link: LinkMessage, before: LinkBefore | None) -> None:
    """Restore what a lease changed of a link itself, where it is as the lease had it.

    Idempotent. Raises KernelError.
    """
    if before is None or before.index != link.index:
        return
    if not before.is_promoting:
        secondaries.set_kept(netlink, link, is_on=False)
    if before.leased_mtu and before.leased_mtu == link.number(IFLA_MTU) != before.mtu:
        _set_mtu(netlink, link, before.mtu)


def is_whole(
    netlink: Netlink,
    link: LinkMessage,
    wish: DhcpWish,
    lease: DhcpLease,
    refused: Collection[LeasedRoute] = (),
) -> bool:
    """Return whether a link has the address of a lease, and its routes but for those refused."""
    has_address = any(_is_leased(row, lease) for row in _addresses(netlink, link))
    wish = _with_table(wish, link)
    present = {_as_leased(row) for row in _leased_routes(netlink, link)}
    return has_address and present.issuperset({*routes_of(wish, lease)} - {*refused})


def take_mtu(netlink: Netlink, link: LinkMessage, mtu: int) -> bool:
    """Give a link the MTU of a lease, where it can have that; return whether it can.

    Raises KernelError.
    """
    most = link.number(IFLA_MAX_MTU) or mtu
    is_possible = max(_LEAST_MTU, link.number(IFLA_MIN_MTU)) <= mtu <= most
    if is_possible and mtu != link.number(IFLA_MTU):
        _set_mtu(netlink, link, mtu)
    return is_possible


def _set_mtu(netlink: Netlink, link: LinkMessage, mtu: int) -> None:
    doing = f"set the MTU of {link.name} to {mtu}, as DHCP has it"
    body = messages.link(link.index, messages.word(IFLA_MTU, mtu))
    netlink.send(NetlinkRequest(nl.RTM_NEWLINK, doing, body))


def routes_of(wish: DhcpWish, lease: DhcpLease) -> list[LeasedRoute]:
    """Return the routes that a lease gives, those over the link alone first; of it what is wished.

    The gateway of one that is beyond the lease's network is itself over the link.
    """
    table = wish.auto_route_table_id or _MAIN
    rows = [LeasedRoute(network, gateway, table) for network, gateway in _wished(wish, lease)]
    own = IPv4Interface(lease.text).network
    beyond = {row.gateway for row in rows if row.gateway != ON_LINK} - _reachable(rows, own)
    rows += [LeasedRoute(f"{gateway}/32", ON_LINK, table) for gateway in beyond]
    if wish.auto_route_table_id:
        rows.append(LeasedRoute(str(own), ON_LINK, table))
    return sorted(dict.fromkeys(rows), key=lambda row: (row.gateway != ON_LINK, row.network))


def _with_table(wish: DhcpWish, link: LinkMessage) -> DhcpWish:
    """Return the wish with a table: where the document has none, a VRF's port has that of the VRF.

    In the main one its routes would lead what is not the VRF's into it.
    """
    if wish.auto_route_table_id or link.info.get(IFLA_INFO_SLAVE_KIND) != _VRF:
        return wish
    port = attributes.by_number(link.info.get(IFLA_INFO_SLAVE_DATA, b""))
    return replace(wish, auto_route_table_id=messages.whole(port.get(_IFLA_VRF_PORT_TABLE, b"")))


def _wished(wish: DhcpWish, lease: DhcpLease) -> Iterator[tuple[str, str]]:
    for network, gateway in lease.routes:
        is_default = values.is_of_everything(network)
        if (wish.auto_gateway if is_default else wish.auto_routes) is not False:
            yield network, gateway


def _reachable(rows: Iterable[LeasedRoute], own: IPv4Network) -> set[str]:
    """Return the gateways that are on the link: in the lease's network, or in one over the link."""
    known = list(rows)
    on_link = [own, *(IPv4Network(row.network) for row in known if row.gateway == ON_LINK)]
    gateways = {row.gateway for row in known}
    return {one for one in gateways if any(IPv4Address(one) in network for network in on_link)}


def _address(link: LinkMessage, wish: DhcpWish, lease: DhcpLease, life_s: int) -> bytes:
    parts = [messages.attribute(_IFA_CACHEINFO, _CACHE.pack(life_s, life_s, 0, 0))]
    metric = wish.prefix_route_metric or wish.auto_route_metric
    if metric:
        parts.append(messages.word(IFA_RT_PRIORITY, metric))
    if wish.auto_route_table_id:
        parts.append(messages.word(IFA_FLAGS, IFA_F_NOPREFIXROUTE))
    return messages.own_address(link.index, IPv4Interface(lease.text), *parts)


def _put_route(
    netlink: Netlink, link: LinkMessage, wish: DhcpWish, row: LeasedRoute, source: str
) -> None:
    """Add a route; without a metric of the document's by the first that no other route has."""
    metric = METRIC if wish.auto_route_metric is None else wish.auto_route_metric
    last = metric + (_MOST_METRICS if wish.auto_route_metric is None else 1) - 1
    while True:
        try:
            body = _route(link, row, source, metric)
            doing = f"add the leased route to {row.network} over {link.name}"
            netlink.send(NetlinkRequest(nl.RTM_NEWROUTE, doing, body, _NEW))
        except KernelError as error:
            if error.errno != errno.EEXIST or metric >= last:
                raise
            metric += 1
        else:
            return


def _route(link: LinkMessage, row: LeasedRoute, source: str, metric: int) -> bytes:
    network = IPv4Network(row.network)
    is_on_link = row.gateway == ON_LINK
    parts = [messages.word(RTA_TABLE, row.table), messages.word(RTA_OIF, link.index)]
    if network.prefixlen:
        parts.append(messages.attribute(RTA_DST, network.network_address.packed))
    if not is_on_link:
        parts.append(messages.attribute(RTA_GATEWAY, IPv4Address(row.gateway).packed))
    parts.append(messages.attribute(RTA_PREFSRC, IPv4Address(source).packed))
    if metric:
        parts.append(messages.word(RTA_PRIORITY, metric))
    kind = {"protocol": _RTPROT_DHCP, "scope": _LINK if is_on_link else _UNIVERSE, "type": _UNICAST}
    return messages.route(socket.AF_INET, network.prefixlen, *parts, **kind)


def _leased_routes(netlink: Netlink, link: LinkMessage) -> Iterator[RouteMessage]:
    # of a node's routes, which may be the Internet's, others take no memory
    for row in carried.unicast_routes(netlink, over=[link.index]):
        is_leased = (row.family, row.protocol) == (socket.AF_INET, _RTPROT_DHCP)
        if is_leased and row.number(RTA_OIF) == link.index:
            yield row


def _as_leased(row: RouteMessage) -> LeasedRoute:
    network = f"{row.address(RTA_DST) or ON_LINK}/{row.prefix}"
    gateway = row.address(RTA_GATEWAY) or ON_LINK
    return LeasedRoute(network, gateway, row.number(RTA_TABLE) or row.table)


def _is_of(row: RouteMessage, wish: DhcpWish, lease: DhcpLease) -> bool:
    """Return whether a route is one of the lease, with a metric that the document may mean."""
    metric, wished = row.number(RTA_PRIORITY), wish.auto_route_metric
    is_meant = METRIC <= metric < METRIC + _MOST_METRICS if wished is None else metric == wished
    is_own = row.address(RTA_PREFSRC) == lease.address
    return is_own and is_meant and _as_leased(row) in routes_of(wish, lease)


def _remove_route(netlink: Netlink, link: LinkMessage, row: RouteMessage) -> None:
    doing = f"remove the leased route to {_as_leased(row).network} over {link.name}"
    body = row.body[:_FLAGS_AT] + bytes(4) + row.body[_FLAGS_AT + 4 :]  # LINKDOWN is refused
    with nl.passing_over(errno.ESRCH):
        netlink.send(NetlinkRequest(nl.RTM_DELROUTE, doing, body))


def is_passing(row: AddressMessage, link: LinkMessage) -> bool:
    """Return whether it is an IPv4 address that the link has for a time."""
    return (row.index, row.family) == (link.index, socket.AF_INET) and not _is_permanent(row)


def _passing(netlink: Netlink, link: LinkMessage) -> list[AddressMessage]:
    return [row for row in carried.all_addresses(netlink) if is_passing(row, link)]


def _addresses(netlink: Netlink, link: LinkMessage) -> Iterator[AddressMessage]:
    for row in carried.all_addresses(netlink):
        if (row.index, row.family) == (link.index, socket.AF_INET):
            yield row


def _is_permanent(row: AddressMessage) -> bool:
    return bool(messages.whole(row.attributes.get(IFA_FLAGS, b"")) & IFA_F_PERMANENT)


def _has_prefix_route(row: AddressMessage) -> bool:
    return not messages.whole(row.attributes.get(IFA_FLAGS, b"")) & IFA_F_NOPREFIXROUTE


def _is_leased(row: AddressMessage, lease: DhcpLease) -> bool:
    return (row.address, row.prefix) == (lease.address, lease.prefix)
