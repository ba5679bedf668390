"""What is wrong with a document by itself, whatever the node has."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address
from itertools import combinations
from typing import Final

from sriovbond.nodenet.bondoptions import is_at_default, is_in_mode
from sriovbond.nodenet.model import (
    ETHERNET,
    VRF,
    BondOptions,
    BondPort,
    LinkAggregation,
    NetState,
    NodeLink,
    PortVlan,
    VirtualFunction,
)
from sriovbond.nodenet.routing import ABSENT, NodeRoute, RouteRule
from sriovbond.nodenet.values import family_of

Path = tuple[str | int, ...]
_IPV6_MTU: Final = 1280  # RFC 8200
_MOST_OF_ALIAS: Final = 255  # IFALIASZ less its NUL, include/uapi/linux/if.h
IPV6_OF_LO: Final = "::1"
_NEVER_FORWARDED: Final = 0x7  # BR_GROUPFWD_RESTRICTED: STP, pause frames, LACP
_LEAST_QUERY: Final = 100  # BR_MULTICAST_QUERY_INTVL_MIN; the kernel takes it for less
_RAISED: Final = ("multicast_query_interval", "multicast_startup_query_interval")
WAITED_FAMILIES: Final = {"ipv4": (4,), "ipv6": (6,), "ipv4+ipv6": (4, 6)}
"""Of which families `wait-ip` awaits an address."""
_LEFT_OUT: Final = frozenset({ABSENT, "ignore"})


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and the path of the part that it is about.

    `is_taken` where the kernel takes it: a document that was kept with it is applied at a boot.
    """

    path: Path
    text: str
    is_taken: bool = False


def judge(state: NetState) -> Iterator[Complaint]:
    """Yield what keeps the document from having a meaning."""
    interfaces = state.interfaces or ()
    for number, interface in enumerate(interfaces):
        if interface.state not in _LEFT_OUT:
            yield from _below(("interfaces", number), _interface(interface))
    yield from _controllers(interfaces)
    yield from _ports_with_addresses(interfaces)
    for number, route in enumerate(state.configured_routes):
        yield from _below(("routes", "config", number), _route(route))
    rules = (state.route_rules.config if state.route_rules else None) or ()
    for number, rule in enumerate(rules):
        yield from _below(("route-rules", "config", number), _rule(rule))


def is_absent_nic(wish: NodeLink, now: NodeLink | None) -> bool:
    """Return whether a NIC is to be absent: it stays, without what documents gave it."""
    return wish.state == ABSENT and now is not None and now.type == ETHERNET


def ports_of(interface: NodeLink) -> tuple[str, ...] | None:
    """Return the names of its ports; None where the document does not mention them."""
    if interface.bridge and interface.bridge.port is not None:
        return tuple(port.name or "" for port in interface.bridge.port)
    if interface.vrf and interface.vrf.port is not None:
        return interface.vrf.port
    bond = interface.link_aggregation
    if bond and bond.port is None and bond.ports_config is not None:
        return tuple(port.name or "" for port in bond.ports_config)
    return bond.port if bond else None


def _below(path: Path, complaints: Iterable[Complaint]) -> Iterator[Complaint]:
    for complaint in complaints:
        yield replace(complaint, path=(*path, *complaint.path))


def _interface(interface: NodeLink) -> Iterator[Complaint]:
    if interface.link_aggregation:
        yield from _below(("link-aggregation",), _bond(interface.link_aggregation))
    if interface.bridge:
        yield from _bridge(interface)
    if interface.ethernet and interface.ethernet.sr_iov:
        for number, vf in enumerate(interface.ethernet.sr_iov.vfs or ()):
            yield from _below(("ethernet", "sr-iov", "vfs", number), _vf(vf))
    yield from _frame(interface)
    ipv6 = interface.ipv6
    if ipv6 and ipv6.enabled and interface.mtu is not None and interface.mtu < _IPV6_MTU:
        yield Complaint(("mtu",), f"IPv6 needs an MTU of at least {_IPV6_MTU}")
    yield from _addresses(interface)
    yield from _waiting(interface)
    known = {"mac-address": interface.mac_address, "pci-address": interface.pci_address}
    if not known.get(interface.identifier or "", "name"):
        text = f"identifier {interface.identifier} needs {interface.identifier}"
        yield Complaint(("identifier",), text)


def _waiting(interface: NodeLink) -> Iterator[Complaint]:
    for family in WAITED_FAMILIES.get(interface.wait_ip or "", ()):
        ip = interface.ip(family)
        if ip and ip.enabled is False:
            yield Complaint(("wait-ip",), f"wait-ip {interface.wait_ip} needs IPv{family} enabled")


def _frame(interface: NodeLink) -> Iterator[Complaint]:
    """Judge what links of all types have as the kernel does."""
    if interface.mtu == 0:
        yield Complaint(("mtu",), "an MTU of 0 is none")
    if len((interface.description or "").encode()) > _MOST_OF_ALIAS:
        yield Complaint(("description",), f"a description has at most {_MOST_OF_ALIAS} bytes")
    if interface.mac_address and interface.copy_mac_from:
        yield Complaint(("copy-mac-from",), "copy-mac-from and mac-address exclude each other")


def _addresses(interface: NodeLink) -> Iterator[Complaint]:
    addresses4 = (interface.ipv4.address if interface.ipv4 else None) or ()
    addresses6 = (interface.ipv6.address if interface.ipv6 else None) or ()
    for family, addresses in (("ipv4", addresses4), ("ipv6", addresses6)):
        for number, address in enumerate((*addresses,)):
            if address.ip is None or address.prefix_length is None:
                yield Complaint((family, "address", number), "needs ip and prefix-length")
            elif not _is_of_host(address.ip, interface.type):
                text = f"{address.ip} is the address of no host"
                yield Complaint((family, "address", number, "ip"), text)
    prefixes: dict[str | None, int | None] = {}
    for number, row in enumerate(addresses6):
        if prefixes.setdefault(row.ip, row.prefix_length) != row.prefix_length:
            text = f"{row.ip} is there twice: IPv6 has one prefix length for an address"
            yield Complaint(("ipv6", "address", number), text)


def _is_of_host(text: str, kind: str | None) -> bool:
    """Return whether an interface can have an address; of lo's one of IPv4, and a VRF that of IPv6.

    So ipv6_add_addr() has it.
    """
    address = ip_address(text)
    is_all = text == "255.255.255.255"
    is_los = text == IPV6_OF_LO and kind not in (None, VRF)
    return not (address.is_unspecified or address.is_multicast or is_los or is_all)


def _bond(bond: LinkAggregation) -> Iterator[Complaint]:
    names = sorted(port.name or "" for port in bond.ports_config or ())
    if bond.port is not None and bond.ports_config is not None and sorted(bond.port) != names:
        yield Complaint(("ports-config",), "port and ports-config must name the same interfaces")
    if bond.port is not None and len(set(bond.port)) < len(bond.port):
        yield Complaint(("port",), "a port is named twice")
    yield from _queues(bond.ports_config or ())
    if bond.options:
        yield from _below(("options",), _bond_options(bond.options, bond.mode))


def _queues(ports: Iterable[BondPort]) -> Iterator[Complaint]:
    """Judge as bond_option_queue_id_set() does: a queue is one port's, but for 0."""
    for port, other in combinations([row for row in ports if row.queue_id], 2):
        if port.queue_id == other.queue_id:
            text = f"{port.name} and {other.name} have the same queue-id {port.queue_id}"
            yield Complaint(("ports-config",), text)


def _bond_options(options: BondOptions, mode: str | None) -> Iterator[Complaint]:
    if options.value("miimon") and options.value("arp_interval"):
        yield Complaint(("arp_interval",), "miimon and arp_interval exclude each other")
    for setting in options.settings:
        if mode and not is_in_mode(setting.name, mode) and not is_at_default(setting):
            yield Complaint((setting.name,), f"{setting.name} is not for mode {mode}")


def _bridge(interface: NodeLink) -> Iterator[Complaint]:
    ports = (interface.bridge.port if interface.bridge else None) or ()
    for number, port in enumerate(ports):
        if port.vlan:
            yield from _below(("bridge", "port", number, "vlan"), _port_vlan(port.vlan))
    options = interface.bridge.options if interface.bridge else None
    if options and (options.group_fwd_mask or 0) & _NEVER_FORWARDED:
        text = "the bits 0, 1 and 2 of group-forward-mask cannot be: a bridge takes these frames"
        yield Complaint(("bridge", "options", "group-fwd-mask"), text)
    for name in _RAISED if options else ():
        time = getattr(options, name)
        if time is not None and time < _LEAST_QUERY:
            text = f"{name.replace('_', '-')} {time} is below a second ({_LEAST_QUERY})"
            yield Complaint(("bridge", "options", name.replace("_", "-")), text)
    is_filtering = any(port.vlan and port.vlan != PortVlan() for port in ports)
    if options and options.vlan_default_pvid not in (None, 1) and ports and not is_filtering:
        text = "vlan-default-pvid other than 1 needs a port with vlan"
        yield Complaint(("bridge", "options", "vlan-default-pvid"), text)


def _port_vlan(vlan: PortVlan) -> Iterator[Complaint]:
    is_trunk = vlan.mode == "trunk"
    if is_trunk and vlan.tag and not vlan.enable_native:
        yield Complaint(("tag",), "tag in a trunk needs enable-native: true")
    if is_trunk and not vlan.trunk_tags:
        yield Complaint(("mode",), "a trunk needs trunk-tags")
    if vlan.mode == "access" and vlan.tag is None:
        yield Complaint(("mode",), "an access port needs tag")
    if vlan.mode == "access" and (vlan.enable_native or vlan.trunk_tags):
        yield Complaint(("mode",), "enable-native and trunk-tags are for a trunk")
    taken: set[int] = set()
    for number, tag in enumerate(vlan.trunk_tags or ()):
        tags = _tags(tag.id, tag.id_range.min if tag.id_range else None,
                     tag.id_range.max if tag.id_range else None)  # fmt: skip
        if not tags:
            yield Complaint(("trunk-tags", number), "an id, or an id-range with min and max")
        if taken & tags:
            yield Complaint(("trunk-tags", number), "overlaps another entry")
        taken |= tags


def _tags(number: int | None, least: int | None, most: int | None) -> set[int]:
    if number is not None:
        return {number}
    return set(range(least, most + 1)) if least is not None and most is not None else set()


def _vf(vf: VirtualFunction) -> Iterator[Complaint]:
    if vf.vlan_proto == "802.1ad" and not vf.vlan_id and not vf.qos:
        yield Complaint(("vlan-proto",), "802.1ad needs vlan-id or qos")


def _controllers(interfaces: tuple[NodeLink, ...]) -> Iterator[Complaint]:
    """Judge the ports of controllers: one controller each, and both sides say the same."""
    controllers: dict[str, str] = {}
    listing = {}
    for number, interface in enumerate(interfaces):
        ports = None if interface.state in _LEFT_OUT else ports_of(interface)
        listing[interface.label] = ports
        for port in ports or ():
            if controllers.setdefault(port, interface.label) != interface.label:
                text = f"{port} is a port of {controllers[port]} already"
                yield Complaint(("interfaces", number), text)
    for number, interface in enumerate(interfaces):
        owner, listed = interface.controller, controllers.get(interface.label)
        path = ("interfaces", number, "controller")
        if owner is not None and listed is not None and owner != listed:
            yield Complaint(path, f"{interface.label} is listed as a port of {listed}")
        elif owner and not listed and listing.get(owner) is not None:
            yield Complaint(path, f"{owner} does not list {interface.label} as a port")


def _ports_with_addresses(interfaces: tuple[NodeLink, ...]) -> Iterator[Complaint]:
    routed = {item.label for item in interfaces if item.type == VRF}
    owners = {
        port: item.label
        for item in interfaces
        if item.type != VRF and item.state not in _LEFT_OUT
        for port in ports_of(item) or ()
    }
    labels = {item.label for item in interfaces}
    for number, interface in enumerate(interfaces):
        named = interface.controller if interface.controller in labels else None
        owner = owners.get(interface.label) or named
        if not owner or owner in routed or interface.state in _LEFT_OUT:
            continue
        for family, ip in (("ipv4", interface.ipv4), ("ipv6", interface.ipv6)):
            if ip and ip.enabled:
                text = f"{interface.label} is a port of {owner}, which has the addresses"
                yield Complaint(("interfaces", number, family), text)


def _route(route: NodeRoute) -> Iterator[Complaint]:
    link = (route.next_hop_address or "").partition("%")[2]
    if link and route.next_hop_interface not in (None, link):
        text = f"next-hop-address {route.next_hop_address} is not over {route.next_hop_interface}"
        yield Complaint(("next-hop-address",), text)
    yield from _absent_route(route) if route.state == ABSENT else _present_route(route)


def _absent_route(route: NodeRoute) -> Iterator[Complaint]:
    if route.destination == "":
        text = "an empty destination is none: leave it out where it may be any"
        yield Complaint(("destination",), text)


def _present_route(route: NodeRoute) -> Iterator[Complaint]:
    if not route.destination:
        yield Complaint(("destination",), "a route needs a destination")
    if route.route_type and (
        route.next_hop_address or route.next_hop_interface not in (None, "lo")
    ):
        yield Complaint(("route-type",), f"a {route.route_type} route has no next hop")
    if not route.route_type and not route.next_hop_interface:
        yield Complaint(("next-hop-interface",), "a route needs next-hop-interface")
    families = {
        family_of(text)
        for text in (route.destination, route.next_hop_address, route.source)
        if text
    }
    if len(families) > 1:
        yield Complaint(("destination",), "destination, next hop and source are of two families")
    if route.weight and 6 in families:  # noqa: PLR2004 - IPv6
        yield Complaint(("weight",), "weight is for IPv4 only")


def _rule(rule: RouteRule) -> Iterator[Complaint]:
    if rule.fwmask and not rule.fwmark:
        yield Complaint(("fwmask",), "fwmask needs fwmark")
    families = {f"ipv{family_of(text)}" for text in (rule.ip_from, rule.ip_to) if text}
    families |= {rule.family} if rule.family else set()
    if rule.state != ABSENT and not families:
        yield Complaint((), "a rule needs ip-from, ip-to or family")
    if len(families) > 1:
        yield Complaint(("family",), "ip-from, ip-to and family are of two families")
