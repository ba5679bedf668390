"""Sets IPAM's addresses and routes on the bond, compares them, and announces them."""

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from itertools import product
from typing import Final

from sriovbond.cni.decoding import IpAddress, IpInterface, IpNetwork
from sriovbond.cni.result import CniResult, IpConfig, Route
from sriovbond.errors import KernelError, MachineError
from sriovbond.kernel import attributes, carried, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_FLAGS,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PRIORITY,
    RTA_TABLE,
    RTAX_ADVMSS,
    RTAX_MTU,
    RouteMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.kernel.netns import Namespace

_IPV4, _IPV6 = 4, 6
_MOST_ALIKE: Final = 4  # routes to each expected target: tables and metrics of others
_MOST_OTHERS: Final = 4096
_FAMILY: Final = {_IPV4: socket.AF_INET, _IPV6: socket.AF_INET6}
_VERSION: Final = {int(family): version for version, family in _FAMILY.items()}
_RT_TABLE_MAIN: Final = 254
_RTPROT_BOOT: Final = 3
_RTN_UNICAST: Final = 1
_SCOPE_UNIVERSE: Final = 0
_SCOPE_LINK: Final = 253
_UNREPORTED: Final = -1
"""A metric that the kernel does not report."""
_LO_WITHOUT_IPV6: Final = "ipv6/conf/lo/disable_ipv6"
_ETH_P_ARP: Final = 0x0806
_ARP: Final = struct.Struct("!6s6sHHHBBH6s4s6s4s")  # with its Ethernet header
_BROADCAST: Final = b"\xff" * 6
_NEIGHBOUR_ADVERTISEMENT: Final = 136  # RFC 4861 section 4.4
_NA_OVERRIDE: Final = 0x20000000
_NA_TARGET: Final = b"\x02\x01"  # option: the target's link-layer address, 8 bytes
_NDP_HOPS: Final = 255
_ALL_NODES: Final = "ff02::1"


def prepare(pod: Namespace, ifname: str, result: CniResult | None) -> None:
    """Write the sysctls of the new bond before it comes up, as the reference plugins do.

    Gratuitous ARP and unsolicited NA when carrier comes or the MAC changes; IPv6 is enabled when
    IPAM assigned an address of it, and its addresses survive the link going down. On lo, too: by it
    the pod reaches its own address.
    """
    values = {f"ipv4/conf/{ifname}/arp_notify": "1", f"ipv6/conf/{ifname}/ndisc_notify": "1"}
    if result and any(ip.address.version == _IPV6 for ip in result.ips):
        key = f"ipv6/conf/{ifname}/disable_ipv6"
        if pod.sysctl(key) is None:
            small = pod.sysctl("ipv6/conf/all/disable_ipv6") is not None
            why = "its MTU is below 1280" if small else "the kernel has no IPv6"
            raise MachineError(
                f"cannot put IPv6 addresses on {ifname}: {why}; "
                f"{'raise `mtu`' if small else 'boot it with IPv6'}, or ask IPAM for IPv4 only"
            )
        values |= {key: "0", f"ipv6/conf/{ifname}/keep_addr_on_down": "1", _LO_WITHOUT_IPV6: "0"}
    pod.set_sysctls(values)


def apply(netlink: Netlink, ifname: str, index: int, result: CniResult) -> None:
    """Set the addresses, then the routes of IPAM's result on the link; does not wait for DAD."""
    for ip in result.ips:
        _add_address(netlink, ifname, index, ip)
    gateways = _find_gateways(result.ips)
    for route in result.routes:
        _add_route(netlink, ifname, index, _with_gateway(route, gateways))


def announce(pod: Namespace, ifname: str, mac: str, result: CniResult) -> None:
    """Send a gratuitous ARP (RFC 5227) or an unsolicited NA (RFC 4861) for each address.

    Best effort. The kernel does so when the bond gets its carrier, but it had one before its
    addresses if the members were left up when they were moved. At ADD IPv6 addresses are still
    tentative: the kernel announces them at the end of DAD (ndisc_notify).
    """
    sender = bytes.fromhex(mac.replace(":", ""))
    if not result.ips or len(sender) != len(_BROADCAST):  # IPoIB has another form of ARP
        return
    with suppress(OSError, MachineError), pod.run(_packet_socket) as packets:
        packets.bind((ifname, _ETH_P_ARP))
        for ip in result.ips:
            if ip.address.version == _IPV4:
                own = ip.address.packed
                head = (_BROADCAST, sender, _ETH_P_ARP, 1, 0x0800, 6, 4, 1)  # a request, RFC 826
                packets.send(_ARP.pack(*head, sender, own, bytes(6), own))
    for ip in result.ips:
        if ip.address.version == _IPV6:
            with suppress(OSError, MachineError), pod.run(_icmpv6_socket) as packets:
                _advertise(packets, ifname, sender, ip.address.packed)


def _packet_socket() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)


def _icmpv6_socket() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_INET6, kind, socket.IPPROTO_ICMPV6)


def _advertise(packets: socket.socket, ifname: str, sender: bytes, own: bytes) -> None:
    """Send an NA to all nodes; the kernel writes its checksum."""
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, ifname.encode())
    packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _NDP_HOPS)
    packets.bind((socket.inet_ntop(socket.AF_INET6, own), 0))  # refused while it is tentative
    advertisement = struct.pack("!BBHI", _NEIGHBOUR_ADVERTISEMENT, 0, 0, _NA_OVERRIDE)
    packets.sendto(advertisement + own + _NA_TARGET + sender, (_ALL_NODES, 0))


def _find_gateways(ips: Sequence[IpConfig]) -> dict[int, IpAddress]:
    """Return the first gateway of each IP version."""
    return {ip.address.version: ip.gateway for ip in reversed(ips) if ip.gateway}


def _with_gateway(route: Route, gateways: Mapping[int, IpAddress]) -> Route:
    """Return the route, if it has no gateway with that of its family's first address.

    So do the reference plugins (pkg/ipam), except for a route of link scope, which has no gateway.
    0.0.0.0 and :: are none either: the kernel takes an IPv4 one so, and reports no gateway.
    """
    gateway = route.gw
    if gateway is None and route.scope != _SCOPE_LINK:
        gateway = gateways.get(route.dst.version)
    if gateway is not None and gateway.is_unspecified:
        gateway = None
    return route if gateway == route.gw else replace(route, gw=gateway)


def differences(
    netlink: Netlink, ifname: str, index: int, result: CniResult, *, may_change: bool = False
) -> tuple[str, ...]:
    """Return the result's addresses and routes that are missing on the link, or unusable.

    An IPv6 address that is still tentative counts as present, a duplicate one does not.
    `may_change` is for CHECK and the watch: after our ADD a later plugin of the chain (sbr) may
    have moved routes requested without a table, Multus the default route to another network, or to
    another gateway.
    Raises KernelError, E2BIG for too many routes to the same targets: then the socket must be
    closed.
    """
    lacking = []
    if result.ips:
        flags_of = _read_flags(netlink, index, {ip.address for ip in result.ips})
        lacking += [
            words
            for ip in result.ips
            if (words := _address_difference(ifname, ip.address, flags_of.get(ip.address)))
        ]
    if result.routes:
        lacking += [
            f"{ifname} is missing the {_words(route)}"
            for route in _find_missing(netlink, index, result, may_change=may_change)
        ]
    return tuple(lacking)


def _find_missing(
    netlink: Netlink, index: int, result: CniResult, *, may_change: bool
) -> Iterator[Route]:
    """Yield the missing routes of the result; a pod may have any number of others."""
    gateways = _find_gateways(result.ips)
    routes = [_with_gateway(route, gateways) for route in result.routes]
    targets = {_target(route) for route in routes}
    present = carried.routes_to(netlink, targets, _MOST_ALIKE * len(result.routes) + _MOST_OTHERS)
    known = _by_key(_routes_of(index, present))
    moved = _find_moved(index, present, routes) if may_change else frozenset()
    for route in routes:
        table = route.table or (None if may_change else _RT_TABLE_MAIN)
        alike = known.get((route.dst, route.gw, route.priority or None, table), ())
        is_moved = not route.dst.prefixlen and route.dst.version in moved
        if not (is_moved or any(_satisfies(current, route) for current in alike)):
            yield route


def _target(route: Route) -> carried.Target:
    return (
        _FAMILY[route.dst.version],
        route.dst.prefixlen,
        route.dst.network_address.packed if route.dst.prefixlen else b"",
    )


_Key = tuple[IpNetwork, IpAddress | None, int | None, int | None]
"""Destination, gateway, metric and table; of the last two None means any."""


def _by_key(routes: Iterable[Route]) -> dict[_Key, list[Route]]:
    """Return the routes by each key that they satisfy: a result may have thousands."""
    known: dict[_Key, list[Route]] = {}
    for route in routes:
        for priority, table in product({route.priority, None}, {route.table, None}):
            known.setdefault((route.dst, route.gw, priority, table), []).append(route)
    return known


def _find_moved(
    index: int, present: Sequence[RouteMessage], expected: Sequence[Route]
) -> frozenset[int]:
    """Return the versions whose default route is elsewhere, as by Multus' default-route.

    On another link, or by a gateway on this one that is none of the expected default routes'. A
    router's own does not count there: it would be beside that of IPAM.
    """
    own = {str(route.gw) for route in expected if not route.dst.prefixlen}
    return frozenset(
        _VERSION[route.family]
        for route in present
        if not route.prefix
        for hop in carried.next_hops(route)
        if hop.index != index
        or (route.protocol != carried.OF_ROUTER and str(hop.gateway) not in own)
    )


def _address_difference(ifname: str, address: IpInterface, flags: int | None) -> str:
    if flags is None:
        return f"{ifname} is missing the address {address}"
    if flags & messages.IFA_F_DADFAILED:
        return (
            f"{ifname} cannot use the address {address}: another host has it (duplicate address "
            "detection); look who, and add the pod anew"
        )
    return ""


def _add_address(netlink: Netlink, ifname: str, index: int, ip: IpConfig) -> None:
    body = messages.own_address(index, ip.address)
    doing = f"put the address {ip.address} on {ifname}"
    netlink.send(NetlinkRequest(nl.RTM_NEWADDR, doing, body, nl.NLM_F_CREATE | nl.NLM_F_EXCL))


def _add_route(netlink: Netlink, ifname: str, index: int, route: Route) -> None:
    fields = [(RTA_OIF, index), (RTA_TABLE, route.table or _RT_TABLE_MAIN)]
    fields += [(RTA_PRIORITY, route.priority)] if route.priority else []
    parts = [messages.word(number, value) for number, value in fields]
    if route.dst.prefixlen:
        parts.append(messages.attribute(RTA_DST, route.dst.network_address.packed))
    if route.gw is not None:
        parts.append(messages.attribute(RTA_GATEWAY, route.gw.packed))
    family, prefix, where = _FAMILY[route.dst.version], route.dst.prefixlen, tuple(parts)
    metrics = [(RTAX_MTU, route.mtu), (RTAX_ADVMSS, route.advmss)]
    if packed := b"".join(messages.word(number, value) for number, value in metrics if value):
        parts.append(messages.attribute(RTA_METRICS, packed))
    kind = {"protocol": _RTPROT_BOOT, "scope": _scope(route), "type": _RTN_UNICAST}
    body = messages.route(family, prefix, *parts, **kind)
    doing = f"add the {_words(route)} to {ifname}"
    # without EXCL: before one of another interface, such as the pod's own default route
    request = NetlinkRequest(nl.RTM_NEWROUTE, doing, body, nl.NLM_F_CREATE)
    try:
        netlink.send(request)
    except KernelError as error:
        if error.errno != errno.EEXIST or route.dst.version != _IPV6:
            raise
        # the router was first, while IPAM was asked; its own would go with its advertisements
        of_router = {"protocol": carried.OF_ROUTER, "type": _RTN_UNICAST}
        by_router = messages.route(family, prefix, *where, **of_router)
        with nl.passing_over(errno.ESRCH):
            netlink.send(NetlinkRequest(nl.RTM_DELROUTE, doing, by_router))
        netlink.send(request)


def _scope(route: Route) -> int:
    if route.scope is not None:
        return route.scope
    on_link = route.gw is None and route.dst.version == _IPV4
    return _SCOPE_LINK if on_link else _SCOPE_UNIVERSE


def _words(route: Route) -> str:
    words = f"route to {route.dst}"
    for name, value in (
        ("via", route.gw),
        ("metric", route.priority),
        ("table", route.table),
        ("mtu", route.mtu),
        ("advmss", route.advmss),
        ("scope", route.scope),
    ):
        words += f" {name} {value}" if value is not None else ""
    return words


def _read_flags(
    netlink: Netlink, index: int, expected: Collection[IpInterface]
) -> dict[IpInterface, int]:
    """Return the IFA_F_* of those of the expected addresses that the link has."""
    packed = {(ip.ip.packed, ip.network.prefixlen) for ip in expected}
    present = carried.addresses_of(netlink, index, packed)
    return {
        ip_interface(f"{address.address}/{address.prefix}"): messages.whole(
            address.attributes.get(IFA_FLAGS, b"")
        )
        for address in present
    }


def _routes_of(index: int, routes: Sequence[RouteMessage]) -> Iterator[Route]:
    """Yield the routes over a link.

    IPv6 routes of one metric by several links, such as the default routes of the pod's first
    interface and of the bond, are one route to the kernel, which reports the first one's MTU and
    advmss as those of all (rt6_fill_node(), net/ipv6/route.c).
    """
    for message in routes:
        is_joined = message.family == socket.AF_INET6 and RTA_MULTIPATH in message.attributes
        for hop in carried.next_hops(message):
            if hop.index == index:
                route = _route(message, hop.gateway)
                yield replace(route, mtu=_UNREPORTED, advmss=_UNREPORTED) if is_joined else route


def _route(message: RouteMessage, gateway: str | None) -> Route:
    any_address = "0.0.0.0" if message.family == socket.AF_INET else "::"  # noqa: S104 - no bind
    metrics = attributes.by_number(message.attributes.get(RTA_METRICS, b""))
    return Route(
        dst=ip_network(f"{message.address(RTA_DST) or any_address}/{message.prefix}"),
        gw=ip_interface(gateway).ip if gateway else None,
        mtu=messages.whole(metrics.get(RTAX_MTU, b"")) or None,
        advmss=messages.whole(metrics.get(RTAX_ADVMSS, b"")) or None,
        priority=message.number(RTA_PRIORITY) or None,
        table=message.number(RTA_TABLE) or message.table,
        scope=message.scope,
    )


def _satisfies(current: Route, expected: Route) -> bool:
    """Return whether a route of the same key has the other fields; unset ones may have any value.

    IPv6 routes have no scope.
    """
    is_scoped = expected.dst.version == _IPV4 and expected.scope is not None
    pairs = ((expected.mtu, current.mtu), (expected.advmss, current.advmss))
    return (not is_scoped or current.scope == expected.scope) and all(
        not setting or got in (setting, _UNREPORTED) for setting, got in pairs
    )
