"""NetworkManager's keyfiles (nm-settings-keyfile(5)), as its 1.42 reads them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from sriovbond.bond import options
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import BOND, BRIDGE, ETHERNET, UP, VLAN, VRF, BondPort, Ipv4, Ipv6
from sriovbond.nodenet.normal import static_addresses
from sriovbond.nodenet.routing import NodeRoute, RouteRule
from sriovbond.nodenet.values import family_of
from sriovbond.nodenet.writer import plain
from sriovbond.profiles.sections import Path, Sections, TableRow, fill
from sriovbond.profiles.settled import (
    ADDR_GEN_MODES,
    Profile,
    Settled,
    Written,
    is_filtering,
    priority_of,
    settle,
)

_FOLDER: Final = "/etc/NetworkManager/system-connections"
_OURS: Final = UUID("9f1c2f55-2d0b-4d0e-8a43-6a2f5a1b6a10")
_TYPES: Final = {
    BOND: "bond",
    BRIDGE: "bridge",
    VLAN: "vlan",
    ETHERNET: "ethernet",
    "dummy": "dummy",
    VRF: "vrf",
}
_OWNERS: Final = {BOND: "bond", BRIDGE: "bridge", VRF: "vrf"}
_BOND_OPTIONS: Final = frozenset(
    {
        "ad_actor_sys_prio", "ad_actor_system", "ad_select", "ad_user_port_key",
        "all_slaves_active", "arp_all_targets", "arp_interval", "arp_ip_target", "arp_validate",
        "downdelay", "fail_over_mac", "lacp_rate", "lp_interval", "miimon", "min_links",
        "num_grat_arp", "packets_per_slave", "peer_notif_delay", "primary", "primary_reselect",
        "resend_igmp", "tlb_dynamic_lb", "updelay", "use_carrier", "xmit_hash_policy",
    }
)  # fmt: skip
"""What nm-setting-bond.c of 1.42 takes."""
_STRUCTURE: Final = frozenset(
    {
        "name", "type", "state", "controller", "ipv4", "ipv6", "identifier", "profile-name",
        "description", "link-aggregation", "vrf",
    }
)  # fmt: skip
_WHOLE: Final = 2**32 - 1
_PROTOCOLS: Final = {"802.1q": "802.1Q", "802.1ad": "802.1ad"}
_FLAGS: Final = {"reorder": 1, "gvrp": 2, "loose": 4, "mvrp": 8}
_ROWS: Final[Mapping[Path, TableRow]] = {
    ("mtu",): TableRow("ethernet", "mtu"),
    ("mac-address",): TableRow("ethernet", "cloned-mac-address"),
    ("accept-all-mac-addresses",): TableRow(
        "ethernet", "accept-all-mac-addresses", lambda v: str(int(v))
    ),
    ("vlan", "base-iface"): TableRow("vlan", "parent"),
    ("vlan", "id"): TableRow("vlan", "id"),
    ("vlan", "protocol"): TableRow("vlan", "protocol", _PROTOCOLS.__getitem__),
    ("bridge", "port"): TableRow("", ""),
    ("bridge", "options", "stp", "enabled"): TableRow("bridge", "stp"),
    ("bridge", "options", "stp", "priority"): TableRow("bridge", "priority"),
    ("bridge", "options", "stp", "forward-delay"): TableRow("bridge", "forward-delay"),
    ("bridge", "options", "stp", "hello-time"): TableRow("bridge", "hello-time"),
    ("bridge", "options", "stp", "max-age"): TableRow("bridge", "max-age"),
    ("bridge", "options", "mac-ageing-time"): TableRow("bridge", "ageing-time"),
    ("bridge", "options", "group-fwd-mask"): TableRow("bridge", "group-forward-mask"),
    ("bridge", "options", "multicast-snooping"): TableRow("bridge", "multicast-snooping"),
    ("bridge", "options", "multicast-querier"): TableRow("bridge", "multicast-querier"),
    ("bridge", "options", "vlan-protocol"): TableRow(
        "bridge", "vlan-protocol", _PROTOCOLS.__getitem__
    ),
    ("bridge", "options", "vlan-default-pvid"): TableRow("bridge", "vlan-default-pvid"),
}
_PORT_ROWS: Final[Mapping[Path, TableRow]] = {
    ("queue-id",): TableRow("bond-port", "queue-id"),
    ("stp-path-cost",): TableRow("bridge-port", "path-cost"),
    ("stp-priority",): TableRow("bridge-port", "priority"),
    ("stp-hairpin-mode",): TableRow("bridge-port", "hairpin-mode"),
    ("vlan",): TableRow("", ""),
}


def _opposite(value: object) -> str:
    return "false" if value else "true"


def _client_id(text: object) -> str:
    return {"ll": "mac", "iaid+duid": "duid"}.get(str(text), str(text))


_IP_STRUCTURE: Final = frozenset({"enabled", "dhcp", "autoconf", "address"})
_IP_ROWS: Final[Mapping[Path, TableRow]] = {
    ("auto-dns",): TableRow("", "ignore-auto-dns", _opposite),
    ("auto-routes",): TableRow("", "ignore-auto-routes", _opposite),
    ("auto-gateway",): TableRow("", "never-default", _opposite),
    ("auto-route-metric",): TableRow("", "route-metric"),
    ("auto-route-table-id",): TableRow("", "route-table"),
    ("dhcp-client-id",): TableRow("", "dhcp-client-id", _client_id),
    ("dhcp-send-hostname",): TableRow("", "dhcp-send-hostname"),
    ("dhcp-custom-hostname",): TableRow("", "dhcp-hostname"),
    ("token",): TableRow("", "token"),
    ("addr-gen-mode",): TableRow("", "addr-gen-mode"),
}


def write(joined: Joined) -> Written:
    """Return a keyfile for each interface of the document, and what none of them can have."""
    rows, complaints = settle(joined)
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    names = {link.label: link.profile_name for link in joined.desired.interfaces or ()}
    profiles = []
    for row in rows:
        sections = Sections(("true", "false"))
        path = ("interfaces", numbers[row.name]) if row.name in numbers else ("interfaces",)
        texts = list(_write(sections, row, names.get(row.name) or f"sriovbond-{row.name}"))
        complaints += [
            Complaint(path, f"{row.name}: {text} is not written for NetworkManager")
            for text in texts
        ]
        head = (f"{row.name}, by sriovbond host render",)
        file = f"{_FOLDER}/sriovbond-{row.name}.nmconnection"
        profiles.append(Profile(file, sections.text(head), is_secret=True))
    return Written(tuple(profiles), tuple(complaints))


def _write(sections: Sections, row: Settled, name: str) -> Iterator[str]:
    link = row.link
    if link.type not in _TYPES:
        yield f"type {link.type}"
        return
    _connection(sections, row, name)
    values = {key: value for key, value in plain(link).items() if key not in _STRUCTURE}
    yield from fill(sections, _without_structure(values), _ROWS)
    if link.vlan:
        sections.put("vlan", "flags", sum(_flags(link.vlan)))
    if is_filtering(link):
        sections.put("bridge", "vlan-filtering", value=True)
    if link.vrf:
        sections.put("vrf", "table", link.vrf.route_table_id)
    if link.link_aggregation:
        yield from _bond(sections, row)
    if row.port:
        yield from fill(sections, _of_port(row), _PORT_ROWS)
        _vlans(sections, row)
    if row.is_port:
        return
    yield from _ip(sections, row, link.ipv4 or Ipv4(enabled=False))
    yield from _ip(sections, row, link.ipv6 or Ipv6(enabled=False))


def _connection(sections: Sections, row: Settled, name: str) -> None:
    link = row.link
    for key, value in (
        ("id", name),
        ("uuid", uuid5(_OURS, row.name)),
        ("type", _TYPES[link.type or ""]),
        ("interface-name", row.name),
    ):
        sections.put("connection", key, value)
    if link.state != UP:
        sections.put("connection", "autoconnect", value=False)
    if link.type in (BOND, BRIDGE):
        sections.put("connection", "autoconnect-slaves", 1)
    if row.owner:
        sections.put("connection", "master", row.owner.label)
        sections.put("connection", "slave-type", _OWNERS.get(row.owner.type or "", ""))


def _without_structure(values: dict[str, Any]) -> dict[str, Any]:
    """Return values without those of lists that have files of their own, and VLAN's flags."""
    vlan, bridge = values.get("vlan"), values.get("bridge")
    flags = ("registration-protocol", "reorder-headers", "loose-binding")
    if vlan:
        values["vlan"] = {key: value for key, value in vlan.items() if key not in flags}
    if bridge:
        values["bridge"] = {key: value for key, value in bridge.items() if key != "port"}
    return {key: value for key, value in values.items() if value != {}}


def _flags(vlan: Any) -> Iterator[int]:  # noqa: ANN401 - a VlanLink
    if vlan.reorder_headers is not False:
        yield _FLAGS["reorder"]
    if vlan.loose_binding:
        yield _FLAGS["loose"]
    yield _FLAGS.get(vlan.registration_protocol or "", 0)


def _bond(sections: Sections, row: Settled) -> Iterator[str]:
    bond = row.link.link_aggregation
    if bond is None:
        return
    sections.put("bond", "mode", bond.mode)
    for setting in bond.options.settings if bond.options else ():
        if setting.name not in _BOND_OPTIONS:
            yield f"link-aggregation.options.{setting.name}"
        elif setting.value != ():
            sections.put("bond", setting.name, _value(setting))


def _value(setting: options.Setting) -> str:
    """Return an option as NetworkManager has it: 0 and 1 for truths, lists with commas."""
    if setting.value in ("on", "off"):
        return str(int(setting.value == "on"))
    return ",".join(setting.value) if isinstance(setting.value, tuple) else str(setting.value)


def _of_port(row: Settled) -> dict[str, Any]:
    """Return what an owner has for a port, but for what is the kernel's own."""
    values = plain(row.port)
    values.pop("name", None)
    if isinstance(row.port, BondPort):
        values = {key: value for key, value in values.items() if value}
    return {key: value for key, value in values.items() if key != "vlan"}


def _vlans(sections: Sections, row: Settled) -> None:
    """Write a bridge's VLANs of a port: `2-4094`, and the untagged one with pvid."""
    port = row.port
    if port is None or isinstance(port, BondPort) or port.vlan is None or not port.vlan.mode:
        return
    has_own = port.vlan.tag and (port.vlan.mode == "access" or port.vlan.enable_native)
    words = [f"{port.vlan.tag} pvid untagged"] if has_own else []
    for tag in port.vlan.trunk_tags or ():
        span = tag.id_range
        words.append(f"{span.min}-{span.max}" if span else str(tag.id))
    sections.put("bridge-port", "vlans", ",".join(words))


def _ip(sections: Sections, row: Settled, ip: Ipv4 | Ipv6) -> Iterator[str]:
    family = 6 if isinstance(ip, Ipv6) else 4
    name = f"ipv{family}"
    sections.put(name, "method", _method(ip))
    if not ip.enabled:
        return
    for number, text in enumerate(static_addresses(ip), start=1):
        sections.put(name, f"address{number}", text)
    routes = [r for r in row.routes if family_of(r.destination or "") == family]
    for number, route in enumerate(routes, start=1):
        yield from _route(sections, name, number, route)
    for number, rule in enumerate(row.rules, start=1):
        if _family(rule) == family:
            _rule(sections, name, number, rule)
    values = {key: value for key, value in plain(ip).items() if key not in _IP_STRUCTURE}
    rows = {path: TableRow(name, line.key, line.write) for path, line in _IP_ROWS.items()}
    is_auto = ip.is_auto
    values = {k: v for k, v in values.items() if is_auto or not k.startswith("auto-")}
    if values.get("addr-gen-mode", "eui64") not in ADDR_GEN_MODES:
        yield f"{name}.addr-gen-mode {values.pop('addr-gen-mode')}"
    yield from (f"{name}.{path}" for path in fill(sections, values, rows))
    yield from _dns(sections, row, name, family)


def _method(ip: Ipv4 | Ipv6) -> str:
    if not ip.enabled:
        return "disabled"
    if isinstance(ip, Ipv6) and ip.dhcp and not ip.autoconf:
        return "dhcp"
    if ip.is_auto:
        return "auto"
    return "manual" if ip.address else "link-local"


def _route(sections: Sections, name: str, number: int, route: NodeRoute) -> Iterator[str]:
    metric = f",{route.metric}" if route.metric and route.metric > 0 else ""
    nowhere = ("::" if name == "ipv6" else "0.0.0.0") if metric else ""  # noqa: S104 - no bind
    gateway = route.next_hop_address or nowhere
    way = f",{gateway}" if gateway else ""
    sections.put(name, f"route{number}", f"{route.destination}{way}{metric}")
    extras = (
        ("advmss", route.advmss),
        ("cwnd", route.cwnd),
        ("src", route.source),
        ("table", route.table_id),
        ("weight", route.weight),
    )
    words = ",".join(f"{key}={value}" for key, value in extras if value)
    if words:
        sections.put(name, f"route{number}_options", words)
    yield from (["route-type"] if route.route_type else [])
    yield from (["vrf-name"] if route.vrf_name else [])


def _rule(sections: Sections, name: str, number: int, rule: RouteRule) -> None:
    priority = priority_of(rule, number)
    mask = f"/{rule.fwmask:#x}" if rule.fwmask not in (None, _WHOLE) else ""
    words = [f"priority {priority}", f"from {_network(rule.ip_from, name)}"]
    words += [f"to {_network(rule.ip_to, name)}"] if rule.ip_to else []
    words += [f"fwmark {rule.fwmark:#x}{mask}"] if rule.fwmark else []
    words += [f"iif {rule.iif}"] if rule.iif else []
    words += [f"type {rule.action}"] if rule.action else [f"table {rule.route_table or 254}"]
    if rule.suppress_prefix_length is not None:
        words.append(f"suppress_prefixlength {rule.suppress_prefix_length}")
    sections.put(name, f"routing-rule{number}", " ".join(words))


def _network(text: str | None, name: str) -> str:
    """Return a network as NetworkManager has it: one address without its prefix."""
    host = "/128" if name == "ipv6" else "/32"
    return (text or ("::/0" if name == "ipv6" else "0.0.0.0/0")).removesuffix(host)


def _family(rule: RouteRule) -> int:
    texts = [text for text in (rule.ip_from, rule.ip_to) if text]
    return family_of(texts[0]) if texts else 6 if rule.family == "ipv6" else 4


def _dns(sections: Sections, row: Settled, name: str, family: int) -> Iterator[str]:
    """Write the servers of one family; what is for both goes with the first that is enabled."""
    if row.resolver is None:
        return
    servers = [text for text in row.resolver.server or () if family_of(text) == family]
    if servers:
        sections.put(name, "dns", ";".join(servers) + ";")
    is_first = family == 4 or not (row.link.ipv4 and row.link.ipv4.enabled)  # noqa: PLR2004 - IPv4
    for key, words in (
        ("dns-search", row.resolver.search),
        ("dns-options", row.resolver.options),
    ):
        if words and is_first:
            if any(not word.isprintable() or set(word) & set("; \\") for word in words):
                yield f"a word of {key}"
            sections.put(name, key, ";".join(words) + ";")
