"""systemd-networkd's files (systemd.netdev(5), systemd.network(5)), as its 252 reads them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from sriovbond.bond.options import Setting
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    ETHERNET,
    UP,
    VLAN,
    VRF,
    BondPort,
    BridgePort,
    Ipv4,
    Ipv6,
)
from sriovbond.nodenet.normal import static_addresses
from sriovbond.nodenet.routing import NodeRoute, RouteRule
from sriovbond.nodenet.writer import plain
from sriovbond.profiles.sections import Path, Sections, TableRow, fill, leaves
from sriovbond.profiles.settled import Profile, Settled, Written, is_filtering, priority_of, settle

_FOLDER: Final = "/etc/systemd/network"
_KINDS: Final = {BOND: "bond", BRIDGE: "bridge", VLAN: "vlan", "dummy": "dummy", VRF: "vrf"}
_OWNERS: Final = {BOND: "Bond", BRIDGE: "Bridge", VRF: "VRF"}
_TRUTHS: Final = ("yes", "no")
_STRUCTURE: Final = frozenset(
    {
        "name", "type", "state", "controller", "ipv4", "ipv6", "identifier", "profile-name",
        "description", "link-aggregation", "vrf", "mtu", "mac-address",
    }
)  # fmt: skip


def _milliseconds(value: object) -> str:
    return f"{value}ms"


def _spaced(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


_BOND_OPTIONS: Final[Mapping[str, tuple[str, Callable[[Any], str] | None]]] = {
    "miimon": ("MIIMonitorSec", _milliseconds),
    "updelay": ("UpDelaySec", _milliseconds),
    "downdelay": ("DownDelaySec", _milliseconds),
    "arp_interval": ("ARPIntervalSec", _milliseconds),
    "arp_ip_target": ("ARPIPTargets", _spaced),
    "arp_validate": ("ARPValidate", None),
    "arp_all_targets": ("ARPAllTargets", None),
    "primary_reselect": ("PrimaryReselectPolicy", None),
    "fail_over_mac": ("FailOverMACPolicy", None),
    "xmit_hash_policy": ("TransmitHashPolicy", None),
    "resend_igmp": ("ResendIGMP", None),
    "num_grat_arp": ("GratuitousARP", None),
    "all_slaves_active": ("AllSlavesActive", None),
    "min_links": ("MinLinks", None),
    "lp_interval": ("LearnPacketIntervalSec", None),
    "packets_per_slave": ("PacketsPerSlave", None),
    "lacp_rate": ("LACPTransmitRate", None),
    "ad_select": ("AdSelect", None),
    "ad_actor_sys_prio": ("AdActorSystemPriority", None),
    "ad_user_port_key": ("AdUserPortKey", None),
    "ad_actor_system": ("AdActorSystem", None),
    "tlb_dynamic_lb": ("DynamicTransmitLoadBalancing", None),
}
"""What netdev/netdev-gperf.gperf of 252 has in [Bond]; `primary` is its port's."""
_SWITCHES: Final = frozenset({"all_slaves_active", "tlb_dynamic_lb"})
_NETDEV_ROWS: Final[Mapping[Path, TableRow]] = {
    ("vlan", "id"): TableRow("VLAN", "Id"),
    ("vlan", "protocol"): TableRow("VLAN", "Protocol"),
    ("vlan", "reorder-headers"): TableRow("VLAN", "ReorderHeader"),
    ("vlan", "loose-binding"): TableRow("VLAN", "LooseBinding"),
    ("bridge", "options", "stp", "enabled"): TableRow("Bridge", "STP"),
    ("bridge", "options", "stp", "priority"): TableRow("Bridge", "Priority"),
    ("bridge", "options", "stp", "forward-delay"): TableRow("Bridge", "ForwardDelaySec"),
    ("bridge", "options", "stp", "hello-time"): TableRow("Bridge", "HelloTimeSec"),
    ("bridge", "options", "stp", "max-age"): TableRow("Bridge", "MaxAgeSec"),
    ("bridge", "options", "mac-ageing-time"): TableRow("Bridge", "AgeingTimeSec"),
    ("bridge", "options", "group-fwd-mask"): TableRow("Bridge", "GroupForwardMask"),
    ("bridge", "options", "multicast-snooping"): TableRow("Bridge", "MulticastSnooping"),
    ("bridge", "options", "multicast-querier"): TableRow("Bridge", "MulticastQuerier"),
    ("bridge", "options", "vlan-protocol"): TableRow("Bridge", "VLANProtocol"),
    ("bridge", "options", "vlan-default-pvid"): TableRow("Bridge", "DefaultPVID"),
}
_PORT_ROWS: Final[Mapping[Path, TableRow]] = {
    ("stp-path-cost",): TableRow("Bridge", "Cost"),
    ("stp-priority",): TableRow("Bridge", "Priority"),
    ("stp-hairpin-mode",): TableRow("Bridge", "HairPin"),
}
_DHCP_ROWS: Final[Mapping[Path, TableRow]] = {
    ("auto-dns",): TableRow("", "UseDNS"),
    ("auto-routes",): TableRow("", "UseRoutes"),
    ("auto-gateway",): TableRow("", "UseGateway"),
    ("auto-route-metric",): TableRow("", "RouteMetric"),
    ("auto-route-table-id",): TableRow("", "RouteTable"),
    ("dhcp-send-hostname",): TableRow("", "SendHostname"),
    ("dhcp-custom-hostname",): TableRow("", "Hostname"),
}
_CLIENT_IDS: Final = {"ll": "mac", "iaid+duid": "duid", "mac": "mac", "duid": "duid"}
_DEAD_ENDS: Final = frozenset({"blackhole", "unreachable", "prohibit"})


def write(joined: Joined) -> Written:
    """Return the files of each interface of the document, and what none of them can have."""
    rows, complaints = settle(joined)
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    names = {row.name for row in rows}
    profiles = []
    for row in rows:
        device, network = Sections(_TRUTHS), Sections(_TRUTHS)
        texts = [*_device(device, row), *_network(network, row), *_missing_base(row, names)]
        path = ("interfaces", numbers[row.name]) if row.name in numbers else ("interfaces",)
        complaints += [
            Complaint(path, f"{row.name}: {text} is not written for systemd-networkd")
            for text in texts
        ]
        head = (f"{row.name}, by sriovbond host render",)
        stem = f"{_FOLDER}/10-sriovbond-{row.name}"
        if device.rows:
            profiles.append(Profile(f"{stem}.netdev", device.text(head)))
        profiles.append(Profile(f"{stem}.network", network.text(head)))
    return Written(tuple(profiles), tuple(complaints))


def _missing_base(row: Settled, names: set[str]) -> Iterator[str]:
    base = row.link.vlan.base_iface if row.link.vlan else None
    if base and base not in names:
        yield f"a VLAN on {base}, which the document has to have, too,"


def _device(sections: Sections, row: Settled) -> Iterator[str]:
    """Write what makes an interface; nothing for a NIC."""
    link = row.link
    if link.type == ETHERNET and not link.veth:
        return
    if link.type not in _KINDS:
        yield f"type {link.type}"
        return
    sections.put("NetDev", "Name", row.name)
    sections.put("NetDev", "Kind", _KINDS[link.type or ""])
    if link.mac_address:
        sections.put("NetDev", "MACAddress", link.mac_address)
    if link.mtu:
        sections.put("NetDev", "MTUBytes", link.mtu)
    if link.vrf:
        sections.put("VRF", "Table", link.vrf.route_table_id)
    if link.link_aggregation:
        yield from _bond(sections, row)
    values = {key: value for key, value in plain(link).items() if key not in _STRUCTURE}
    yield from fill(sections, _without_lists(values), _NETDEV_ROWS)
    if is_filtering(link):
        sections.put("Bridge", "VLANFiltering", value=True)


def _without_lists(values: dict[str, Any]) -> dict[str, Any]:
    vlan, bridge = values.get("vlan"), values.get("bridge")
    if vlan:
        registration = vlan.pop("registration-protocol", None)
        vlan.pop("base-iface", None)
        vlan |= {} if registration in (None, "none") else {"registration-protocol": registration}
    if bridge:
        bridge.pop("port", None)
    return {key: value for key, value in values.items() if value != {}}


def _bond(sections: Sections, row: Settled) -> Iterator[str]:
    bond = row.link.link_aggregation
    if bond is None:
        return
    sections.put("Bond", "Mode", bond.mode)
    for setting in bond.options.settings if bond.options else ():
        yield from _option(sections, setting)


def _option(sections: Sections, setting: Setting) -> Iterator[str]:
    if setting.value == () or setting.name == "primary":
        return
    if setting.name not in _BOND_OPTIONS:
        yield f"link-aggregation.options.{setting.name}"
        return
    key, write_value = _BOND_OPTIONS[setting.name]
    value: object = setting.value == "on" if setting.name in _SWITCHES else setting.value
    sections.put("Bond", key, write_value(value) if write_value else value)


def _network(sections: Sections, row: Settled) -> Iterator[str]:
    """Write what an interface is configured with."""
    link = row.link
    sections.put("Match", "Name", row.name)
    yield from _link(sections, row)
    sections.begin("Network")
    sections.put("Network", "ConfigureWithoutCarrier", value=True)
    if row.owner:
        sections.put("Network", _OWNERS[row.owner.type or ""], row.owner.label)
        if _is_primary(row):
            sections.put("Network", "PrimarySlave", value=True)
    for name in row.vlans:
        sections.put("Network", "VLAN", name)
    yield from _of_port(sections, row)
    if row.is_port:
        sections.put("Network", "LinkLocalAddressing", value=False)
        sections.put("Network", "IPv6AcceptRA", value=False)
    else:
        yield from _ip(sections, row, link.ipv4 or Ipv4(), link.ipv6 or Ipv6())


def _link(sections: Sections, row: Settled) -> Iterator[str]:
    link = row.link
    if link.mtu:
        sections.put("Link", "MTUBytes", link.mtu)
    if link.state != UP:
        sections.put("Link", "ActivationPolicy", "down")
    if link.type == ETHERNET:
        if link.mac_address:
            sections.put("Link", "MACAddress", link.mac_address)
        values = {key: value for key, value in plain(link).items() if key not in _STRUCTURE}
        yield from (".".join(path) for path, value in leaves(values) if value not in (False, {}))


def _is_primary(row: Settled) -> bool:
    bond = row.owner.link_aggregation if row.owner else None
    return bool(bond and bond.options and bond.options.value("primary") == row.name)


def _of_port(sections: Sections, row: Settled) -> Iterator[str]:
    port = row.port
    if isinstance(port, BondPort):
        yield from (key for key, value in plain(port).items() if key != "name" and value)
    if isinstance(port, BridgePort):
        values = {k: v for k, v in plain(port).items() if k not in {"name", "vlan"}}
        yield from fill(sections, values, _PORT_ROWS)
        _vlans(sections, port)


def _vlans(sections: Sections, port: BridgePort) -> None:
    vlan = port.vlan
    if vlan is None or not vlan.mode:
        return
    for tag in vlan.trunk_tags or ():
        sections.begin("BridgeVLAN")
        span = tag.id_range
        sections.put("BridgeVLAN", "VLAN", f"{span.min}-{span.max}" if span else tag.id)
    if vlan.tag and (vlan.mode == "access" or vlan.enable_native):
        sections.begin("BridgeVLAN")
        for key in ("PVID", "EgressUntagged"):
            sections.put("BridgeVLAN", key, vlan.tag)


def _ip(sections: Sections, row: Settled, ipv4: Ipv4, ipv6: Ipv6) -> Iterator[str]:
    sections.put("Network", "DHCP", _dhcp(ipv4, ipv6))
    sections.put("Network", "LinkLocalAddressing", "ipv6" if ipv6.enabled else False)
    sections.put("Network", "IPv6AcceptRA", bool(ipv6.enabled and ipv6.autoconf))
    yield from _dns(sections, row)
    if ipv6.enabled and ipv6.token and ipv6.token != "::":  # noqa: S105 - half an address
        sections.put("IPv6AcceptRA", "Token", f"static:{ipv6.token}")
    for ip in (ipv4, ipv6):
        for text in static_addresses(ip) if ip.enabled else ():
            sections.begin("Address")
            sections.put("Address", "Address", text)
        yield from _automatic(sections, ip)
        yield from _missing(ip) if ip.enabled else ()
    for route in row.routes:
        yield from _route(sections, route)
    for number, rule in enumerate(row.rules, start=1):
        _rule(sections, number, rule)


def _missing(ip: Ipv4 | Ipv6) -> Iterator[str]:
    """Yield what networkd has not for addresses of any kind; eui64 is its way, too."""
    name = "ipv4" if isinstance(ip, Ipv4) else "ipv6"
    if ip.forwarding is not None:
        yield f"{name}.forwarding"
    if isinstance(ip, Ipv6) and ip.addr_gen_mode not in (None, "eui64"):
        yield f"{name}.addr-gen-mode {ip.addr_gen_mode}"


def _dhcp(ipv4: Ipv4, ipv6: Ipv6) -> str:
    both = (bool(ipv4.is_auto), bool(ipv6.enabled and ipv6.dhcp))
    return {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6"}.get(both, "no")


def _automatic(sections: Sections, ip: Ipv4 | Ipv6) -> Iterator[str]:
    """Write what is taken from DHCP or routers; of static addresses there is none."""
    if not ip.is_auto:
        return
    name = "DHCPv4" if isinstance(ip, Ipv4) else "IPv6AcceptRA"
    ours = {
        "enabled", "dhcp", "autoconf", "address", "token", "dhcp-client-id", "forwarding",
        "addr-gen-mode",
    }  # fmt: skip
    values = {key: value for key, value in plain(ip).items() if key not in ours}
    rows = {path: TableRow(name, row.key) for path, row in _DHCP_ROWS.items()}
    if isinstance(ip, Ipv6):
        rows = {path: row for path, row in rows.items() if row.key in {"UseDNS", "RouteTable"}}
        values = {key: value for key, value in values.items() if value is not True}
    yield from (f"{name}: {path}" for path in fill(sections, values, rows))
    if isinstance(ip, Ipv4) and ip.dhcp_client_id:
        if ip.dhcp_client_id not in _CLIENT_IDS:
            yield f"dhcp-client-id {ip.dhcp_client_id}"
        sections.put(name, "ClientIdentifier", _CLIENT_IDS.get(ip.dhcp_client_id, "mac"))


def _dns(sections: Sections, row: Settled) -> Iterator[str]:
    if row.resolver is None:
        return
    for server in row.resolver.server or ():
        sections.put("Network", "DNS", server)
    words = row.resolver.search or ()
    if words:
        if any(not word.isprintable() or " " in word for word in words):
            yield "a search domain"
        sections.put("Network", "Domains", " ".join(words))
    yield from (["dns-resolver.config.options"] if row.resolver.options else [])


def _route(sections: Sections, route: NodeRoute) -> Iterator[str]:
    sections.begin("Route")
    for key, value in (
        ("Destination", route.destination),
        ("Gateway", route.next_hop_address),
        ("Metric", route.metric if (route.metric or 0) > 0 else None),
        ("Table", route.table_id),
        ("PreferredSource", route.source),
        ("TCPAdvertisedMaximumSegmentSize", route.advmss),
        ("InitialCongestionWindow", route.cwnd),
    ):
        if value:
            sections.put("Route", key, value)
    for field in ("weight", "vrf_name", "route_type"):
        if getattr(route, field):
            yield field.replace("_", "-")


def _rule(sections: Sections, number: int, rule: RouteRule) -> None:
    sections.begin("RoutingPolicyRule")
    priority = priority_of(rule, number)
    mark = f"{rule.fwmark}/{rule.fwmask or 0xFFFFFFFF}" if rule.fwmark else None
    for key, value in (
        ("Priority", priority),
        ("Family", rule.family),
        ("From", rule.ip_from),
        ("To", rule.ip_to),
        ("FirewallMark", mark),
        ("IncomingInterface", rule.iif),
        ("Type", rule.action),
        ("Table", None if rule.action else rule.route_table),
        ("SuppressPrefixLength", rule.suppress_prefix_length),
    ):
        if value not in (None, ""):
            sections.put("RoutingPolicyRule", key, value)
