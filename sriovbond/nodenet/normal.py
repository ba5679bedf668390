"""One form for what can be said in several: sorted ports, ranges of VLANs, addresses that count."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from sriovbond.nodenet.model import (
    VRF,
    BondPort,
    Bridge,
    BridgePort,
    Ethernet,
    IpAddress4,
    IpAddress6,
    Ipv4,
    Ipv6,
    LinkAggregation,
    NodeLink,
    PortVlan,
    TagRange,
    TrunkTag,
)
from sriovbond.nodenet.values import NO_MAC, is_link_local

Address = TypeVar("Address", IpAddress4, IpAddress6)
Stack = TypeVar("Stack", Ipv4, Ipv6)


def normal(interface: NodeLink) -> NodeLink:
    """Return the interface without what is for reading only, in one form."""
    return replace(
        interface,
        mac_address=_mac(interface),
        permanent_mac_address=None,
        min_mtu=None,
        max_mtu=None,
        driver=None,
        copy_mac_from=None,
        wait_ip=None,
        ipv4=normal_ipv4(interface.ipv4) if interface.ipv4 else None,
        ipv6=normal_ipv6(interface.ipv6) if interface.ipv6 else None,
        link_aggregation=_bond(interface.link_aggregation) if interface.link_aggregation else None,
        bridge=_bridge(interface.bridge) if interface.bridge else None,
        vrf=replace(interface.vrf, port=_sort(interface.vrf.port)) if interface.vrf else None,
        ethernet=_ethernet(interface),
    )


def _mac(interface: NodeLink) -> str | None:
    """Return the MAC where it counts: a bridge whose ports have all left has none."""
    is_none = interface.type == VRF or interface.mac_address == NO_MAC
    return None if is_none else interface.mac_address


def normal_ipv4(ip: Ipv4) -> Ipv4:
    """Return what counts: static addresses, and settings of DHCP where it runs."""
    if not ip.enabled:
        ip = replace(ip, dhcp=None, address=None)
    ip = replace(ip, address=_static(ip.address))
    if ip.is_auto:
        return _auto(ip)
    return Ipv4(
        enabled=ip.enabled,
        dhcp=ip.dhcp,
        address=ip.address,
        forwarding=ip.forwarding,
        prefix_route_metric=ip.prefix_route_metric,
    )


def normal_ipv6(ip: Ipv6) -> Ipv6:
    """Return what counts: no link-local addresses, which each link makes for itself."""
    if not ip.enabled:
        ip = replace(ip, dhcp=None, autoconf=None, address=None)
    if ip.enabled is False:  # the kernel has none of them then
        ip = replace(ip, addr_gen_mode=None, token=None, forwarding=None)
    if ip.autoconf is False:  # the kernel changes no token then, and makes no address by it
        ip = replace(ip, token=None)
    addresses = _static(ip.address)
    if addresses is not None:
        addresses = tuple(part for part in addresses if not is_link_local(part.ip or "::"))
    ip = replace(ip, address=addresses)
    if ip.is_auto and not ip.dhcp:  # no client has a name to send
        ip = replace(ip, dhcp_send_hostname=None, dhcp_custom_hostname=None)
    if ip.is_auto:
        return _auto(ip) if ip.dhcp else replace(ip, allow_extra_address=None, auto_dns=None)
    return Ipv6(
        enabled=ip.enabled,
        dhcp=ip.dhcp,
        autoconf=ip.autoconf,
        address=ip.address,
        addr_gen_mode=ip.addr_gen_mode,
        token=ip.token,
        forwarding=ip.forwarding,
        prefix_route_metric=ip.prefix_route_metric,
    )


def _auto(ip: Stack) -> Stack:
    """Return it with what is taken from DHCP or a router, all of it by default."""
    return replace(
        ip,
        allow_extra_address=None,
        auto_dns=ip.auto_dns is not False,
        auto_gateway=ip.auto_gateway is not False,
        auto_routes=ip.auto_routes is not False,
    )


def is_dynamic(address: IpAddress4 | IpAddress6) -> bool:
    """Return whether it was given for a time: by DHCP or a router."""
    return address.valid_life_time not in (None, "forever")


def static_addresses(ip: Ipv4 | Ipv6) -> list[str]:
    """Return the addresses that a document gives, with their prefixes; link-local ones are not."""
    rows: tuple[IpAddress4 | IpAddress6, ...] = ip.address or ()
    static = [row for row in rows if not is_dynamic(row) and not is_link_local(row.ip or "::")]
    return [f"{row.ip}/{row.prefix_length}" for row in static]


def _static(addresses: tuple[Address, ...] | None) -> tuple[Address, ...] | None:
    if addresses is None:
        return None
    return tuple(
        replace(part, valid_life_time=None, preferred_life_time=None)
        for part in addresses
        if not is_dynamic(part)
    )


def _sort(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))


def _bond(bond: LinkAggregation) -> LinkAggregation:
    ports = bond.ports_config
    names = bond.port if bond.port is not None or ports is None else _names(ports)
    is_list = all(port == BondPort(name=port.name) for port in ports or ())
    ordered = None if is_list else tuple(sorted(ports or (), key=lambda port: port.name or ""))
    return replace(bond, port=_sort(names), ports_config=ordered)


def _names(ports: Iterable[object]) -> tuple[str, ...]:
    return tuple(str(getattr(port, "name", "")) for port in ports)


def _bridge(bridge: Bridge) -> Bridge:
    options = bridge.options and replace(bridge.options, gc_timer=None, hello_timer=None)
    if bridge.port is None:
        return replace(bridge, options=options)
    ports = tuple(sorted(map(_bridge_port, bridge.port), key=lambda port: port.name or ""))
    return Bridge(options=options, port=ports)


def _bridge_port(port: BridgePort) -> BridgePort:
    vlan = port.vlan
    if vlan is not None and not any((vlan.mode, vlan.tag, vlan.trunk_tags, vlan.enable_native)):
        return replace(port, vlan=PortVlan())
    if port.vlan is None or port.vlan.trunk_tags is None:
        return port
    return replace(port, vlan=_port_vlan(port.vlan))


def _port_vlan(vlan: PortVlan) -> PortVlan:
    """Return it with trunk tags as the fewest ranges."""
    tags: set[int] = set()
    for tag in vlan.trunk_tags or ():
        if tag.id_range:
            tags |= set(range(tag.id_range.min or 0, (tag.id_range.max or 0) + 1))
        elif tag.id is not None:
            tags.add(tag.id)
    return replace(vlan, trunk_tags=tuple(_ranges(sorted(tags))))


def _ranges(tags: list[int]) -> list[TrunkTag]:
    if not tags:
        return []
    starts = [tag for tag, before in zip(tags, [-2, *tags], strict=False) if tag != before + 1]
    ends = [tag for tag, after in zip(tags, [*tags[1:], -1], strict=True) if after != tag + 1]
    return [
        TrunkTag(id=start) if start == end else TrunkTag(id_range=TagRange(start, end))
        for start, end in zip(starts, ends, strict=True)
    ]


def _ethernet(interface: NodeLink) -> Ethernet | None:
    ethernet = interface.ethernet
    if not ethernet or not ethernet.sr_iov or ethernet.sr_iov.vfs is None:
        return ethernet
    vfs = tuple(sorted(ethernet.sr_iov.vfs, key=lambda vf: vf.id or 0))
    return replace(ethernet, sr_iov=replace(ethernet.sr_iov, vfs=vfs))
