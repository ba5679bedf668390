"""Sets IPAM's addresses and routes on the bond, compares them, and announces them."""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface, ip_interface, ip_network
from typing import Final

from sriovbond.cni.result import CniResult, IpConfig, Route
from sriovbond.errors import MachineError
from sriovbond.kernel import attributes, carried, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_ADDRESS,
    IFA_BROADCAST,
    IFA_FLAGS,
    IFA_LOCAL,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
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
_FAMILY: Final = {_IPV4: socket.AF_INET, _IPV6: socket.AF_INET6}
_POINT_TO_POINT: Final = 2  # addresses of a /31 (RFC 3021), which has no broadcast
_RT_TABLE_MAIN: Final = 254
_IFA_F_DADFAILED: Final = 0x08  # include/uapi/linux/if_addr.h
_RTPROT_BOOT: Final = 3
_RTN_UNICAST: Final = 1
_SCOPE_UNIVERSE: Final = 0
_SCOPE_LINK: Final = 253
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
    IPAM assigned an address of it, and its addresses survive the link going down.
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
        values |= {key: "0", f"ipv6/conf/{ifname}/keep_addr_on_down": "1"}
    pod.set_sysctls(values)


def apply(netlink: Netlink, ifname: str, index: int, result: CniResult) -> None:
    """Set the addresses, then the routes of IPAM's result on the link; does not wait for DAD."""
    for ip in result.ips:
        _add_address(netlink, ifname, index, ip)
    for route in result.routes:
        _add_route(netlink, ifname, index, with_gateway(route, result.ips))


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


def with_gateway(route: Route, ips: Sequence[IpConfig]) -> Route:
    """Return the route, if it has no gateway with that of its family's first address.

    So do the reference plugins (pkg/ipam), except for a route of link scope, which has no gateway.
    """
    if route.gw is not None or route.scope == _SCOPE_LINK:
        return route
    gateways = [ip.gateway for ip in ips if ip.address.version == route.dst.version and ip.gateway]
    if not gateways:
        return route
    return replace(route, gw=gateways[0])


def differences(
    netlink: Netlink, ifname: str, index: int, result: CniResult, *, may_change: bool = False
) -> tuple[str, ...]:
    """Return the result's addresses and routes that are missing on the link, or unusable.

    An IPv6 address that is still tentative counts as present, a duplicate one does not.
    `may_change` is for CHECK and the watch: after our ADD a later plugin of the chain (sbr) may
    have moved routes requested without a table, Multus the default route to another network.
    """
    lacking = []
    if result.ips:
        flags_of = dict(_read_addresses(netlink, index))
        lacking += [
            words
            for ip in result.ips
            if (words := _address_difference(ifname, ip.address, flags_of.get(ip.address)))
        ]
    if result.routes:
        standing_routes = carried.unicast_routes(netlink)
        routes = set(_routes_of(index, standing_routes))
        for expected in result.routes:
            route = with_gateway(expected, result.ips)
            table = route.table or (None if may_change else _RT_TABLE_MAIN)
            if any(_satisfies(current, replace(route, table=table)) for current in routes):
                continue
            if not (may_change and _is_moved(route, index, standing_routes)):
                lacking.append(f"{ifname} is missing the {_words(route)}")
    return tuple(lacking)


def _address_difference(
    ifname: str, address: IPv4Interface | IPv6Interface, flags: int | None
) -> str:
    if flags is None:
        return f"{ifname} is missing the address {address}"
    if flags & _IFA_F_DADFAILED:
        return (
            f"{ifname} cannot use the address {address}: another host has it (duplicate address "
            "detection); look who, and add the pod anew"
        )
    return ""


def _is_moved(expected: Route, index: int, routes: Sequence[RouteMessage]) -> bool:
    """Return whether the default route is on another link now, as by Multus' default-route."""
    family = _FAMILY[expected.dst.version]
    return not expected.dst.prefixlen and any(
        (message.family, message.prefix) == (family, 0)
        and any(hop.index != index for hop in carried.next_hops(message))
        for message in routes
    )


def _add_address(netlink: Netlink, ifname: str, index: int, ip: IpConfig) -> None:
    network, packed = ip.address.network, ip.address.packed
    parts = [messages.attribute(IFA_LOCAL, packed), messages.attribute(IFA_ADDRESS, packed)]
    if ip.address.version == _IPV4 and network.num_addresses > _POINT_TO_POINT:
        parts.append(messages.attribute(IFA_BROADCAST, network.broadcast_address.packed))
    body = messages.address(_FAMILY[ip.address.version], network.prefixlen, index, *parts)
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
    metrics = [(RTAX_MTU, route.mtu), (RTAX_ADVMSS, route.advmss)]
    if packed := b"".join(messages.word(number, value) for number, value in metrics if value):
        parts.append(messages.attribute(RTA_METRICS, packed))
    kind = {"protocol": _RTPROT_BOOT, "scope": _scope(route), "type": _RTN_UNICAST}
    body = messages.route(_FAMILY[route.dst.version], route.dst.prefixlen, *parts, **kind)
    doing = f"add the {_words(route)} to {ifname}"
    # APPEND: beside one of another interface, such as the pod's own default route
    netlink.send(NetlinkRequest(nl.RTM_NEWROUTE, doing, body, nl.NLM_F_CREATE))


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


def _read_addresses(
    netlink: Netlink, index: int
) -> Iterator[tuple[IPv4Interface | IPv6Interface, int]]:
    """Yield the link's addresses, each with its IFA_F_*."""
    for address in carried.all_addresses(netlink):
        if address.index == index:
            flags = messages.whole(address.attributes.get(IFA_FLAGS, b""))
            yield ip_interface(f"{address.address}/{address.prefix}"), flags


def _routes_of(index: int, routes: Sequence[RouteMessage]) -> Iterator[Route]:
    for message in routes:
        for hop in carried.next_hops(message):
            if hop.index == index:
                yield _route(message, hop.gateway)


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
    """Return whether the current route has the expected fields; unset ones may have any value."""
    same = current.dst == expected.dst and current.gw == expected.gw
    if expected.dst.version == _IPV4 and expected.scope is not None:  # IPv6 routes have no scope
        same = same and current.scope == expected.scope
    pairs = (
        (expected.mtu, current.mtu),
        (expected.advmss, current.advmss),
        (expected.priority, current.priority),
        (expected.table, current.table),
    )
    return same and all(not setting or setting == got for setting, got in pairs)
