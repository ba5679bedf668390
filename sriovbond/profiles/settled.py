"""What each interface of a document is to have in the end, and what is beside all of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from sriovbond.nodenet import bondoptions, routes
from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.difference import name_difference
from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import (
    BOND,
    UP,
    BondOptions,
    BondPort,
    BridgePort,
    Ipv4,
    Ipv6,
    LinkAggregation,
    NodeLink,
)
from sriovbond.nodenet.pairs import own_mac
from sriovbond.nodenet.routing import ABSENT, MAIN_TABLE, NodeRoute, Resolver, RouteRule

_IpT = TypeVar("_IpT", Ipv4, Ipv6)
ADDR_GEN_MODES = ("eui64", "stable-privacy")
"""The ways in which managers make IPv6 addresses."""
_ANY = -1  # nmstate's word for none
_DEFAULTS = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class Settled:
    """An interface as it is to be; `port` is what its owner has for it, `vlans` are on it."""

    link: NodeLink
    owner: NodeLink | None = None
    port: BondPort | BridgePort | None = None
    vlans: tuple[str, ...] = ()
    routes: tuple[NodeRoute, ...] = ()
    rules: tuple[RouteRule, ...] = ()
    resolver: Resolver | None = None

    @property
    def name(self) -> str:
        """Its name."""
        return self.link.label

    @property
    def is_port(self) -> bool:
        """Whether its owner has the addresses."""
        return self.owner is not None and self.owner.type != "vrf"


@dataclass(frozen=True, slots=True)
class Profile:
    """A file of a manager, by its path below the root; `is_secret` where root alone may read it."""

    path: str
    text: str
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a document, and what of it the manager cannot have."""

    profiles: tuple[Profile, ...]
    complaints: tuple[Complaint, ...]


def priority_of(rule: RouteRule, number: int) -> int:
    """Return a rule's priority; one without gets one, as the interface's rule of that number."""
    if rule.priority is None or rule.priority == _ANY:
        return routes.PRIORITIES.start + number
    return rule.priority


def is_filtering(link: NodeLink) -> bool:
    """Return whether a bridge filters VLANs: one of its ports has some."""
    ports = (link.bridge.port if link.bridge else None) or ()
    return any(port.vlan and port.vlan.mode for port in ports)


def settle(joined: Joined) -> tuple[list[Settled], list[Complaint]]:
    """Return each interface that the document mentions, and what none of them can have.

    What a document does not mention of an interface that is there stays: its addresses, its routes,
    a bond's options. Interfaces that are to be absent have no file.
    """
    links = {link.label: link for link in _links(joined)}
    owners = {port: link for link in links.values() for port in ports_of(link) or ()}
    rows = [_settled(link, owners.get(link.label), joined) for link in links.values()]
    rows = [replace(row, vlans=tuple(_on(row.name, links.values()))) for row in rows]
    return _with_others(rows, joined)


def _links(joined: Joined) -> Iterator[NodeLink]:
    """Yield what the document mentions, and ports that only their owner mentions."""
    names = [pair.name for pair in joined.pairs if pair.target.state != ABSENT]
    links = {name: _link(name, joined) for name in names}
    for link in (*links.values(),):
        for port in ports_of(link) or ():
            links.setdefault(port, _link(port, joined))
    yield from links.values()


def _link(name: str, joined: Joined) -> NodeLink:
    pair, now = joined.pair(name), joined.links.get(name) or NodeLink(name=name)
    wish = (pair.target if pair else None) or NodeLink(name=name)
    ports = ports_of(wish)
    is_new = name not in joined.links and wish.type == BOND
    first = joined.links.get(min(ports)) if ports and is_new else None
    mac = wish.mac_address or (own_mac(first, joined.links) if first else None)
    return replace(
        wish,
        type=wish.type or now.type,
        state=wish.state or UP,
        mac_address=mac,
        ipv4=_ip(wish.ipv4, now.ipv4),
        ipv6=_ip(wish.ipv6, now.ipv6),
        vlan=wish.vlan or now.vlan,
        vrf=wish.vrf or now.vrf,
        bridge=wish.bridge or (now.bridge and replace(now.bridge, options=None)),
        link_aggregation=_bond(wish.link_aggregation, now.link_aggregation),
    )


def _ip(wish: _IpT | None, now: _IpT | None) -> _IpT | None:
    """Return what a family is to have, but for what a manager leaves or makes as it is by itself.

    Which is `forwarding`, the sysctl's where the document does not set it; and the modes in which
    the kernel makes no address for a manager that does.
    """
    kept = wish or now
    if kept is None:
        return None
    if not (wish and (wish.forwarding or (now and now.forwarding))):
        kept = replace(kept, forwarding=None)
    if wish is None and isinstance(kept, Ipv6) and kept.addr_gen_mode not in ADDR_GEN_MODES:
        kept = replace(kept, addr_gen_mode=None)
    return kept


def _bond(wish: LinkAggregation | None, now: LinkAggregation | None) -> LinkAggregation | None:
    """Return a bond with the options that it keeps: those that differ from the kernel's."""
    if now is None or (wish and wish.mode not in (None, now.mode)):
        return wish
    wish = wish or LinkAggregation()
    in_document = wish.options.settings if wish.options else ()
    is_reset = wish.options is not None and not in_document
    kept = {} if is_reset or not now.options else {row.name: row for row in now.options.settings}
    settings = {name: row for name, row in kept.items() if not bondoptions.is_at_default(row)}
    settings |= {row.name: row for row in in_document}
    return replace(
        wish,
        mode=wish.mode or now.mode,
        port=now.port if ports_of(NodeLink(link_aggregation=wish)) is None else wish.port,
        options=BondOptions(tuple(settings[name] for name in sorted(settings))),
    )


def _settled(link: NodeLink, owner: NodeLink | None, joined: Joined) -> Settled:
    ports: Iterable[BondPort | BridgePort] = ()
    if owner and owner.link_aggregation:
        ports = owner.link_aggregation.ports_config or ()
    elif owner and owner.bridge:
        ports = owner.bridge.port or ()
    port = next((row for row in ports if row.name == link.name), None)
    mine = tuple(row for row in _routes(joined) if row.next_hop_interface == link.name)
    return Settled(link, owner, port, routes=mine)


def _routes(joined: Joined) -> list[NodeRoute]:
    """Return the routes of the configuration as they are to be."""
    gone = routes.leaving_routes(joined, are_down_kept=True)
    leaving = {*gone} - {*routes.restored_routes(joined)}
    kept = [row for row in joined.current.configured_routes if row not in leaving]
    new = [row for row in joined.desired.configured_routes if row.state != ABSENT]
    return [*(row for row in kept if not any(routes.is_there(wish, row) for wish in new)), *new]


def _on(name: str, links: Iterable[NodeLink]) -> Iterator[str]:
    return (link.label for link in links if link.vlan and link.vlan.base_iface == name)


def _with_others(rows: list[Settled], joined: Joined) -> tuple[list[Settled], list[Complaint]]:
    """Give what no interface has by itself to one: rules by their table, DNS by the default."""
    names = {row.name for row in rows}
    complaints = []
    for number, route in enumerate(joined.desired.configured_routes):
        if route.state != ABSENT and route.next_hop_interface not in names:
            where = route.next_hop_interface or "no interface"
            text = f"a route over {where} has no file: the document has to have the interface"
            complaints.append(Complaint(("routes", "config", number), text))
    wishes = (joined.desired.route_rules and joined.desired.route_rules.config) or ()
    for number, rule in enumerate(wishes):
        place = _place_of(rule, rows) if rule.state != ABSENT else None
        if place is not None:
            rows[place] = replace(rows[place], rules=(*rows[place].rules, rule))
        elif rule.state != ABSENT:
            text = f"the rule has no file: no interface has a route in table {rule.route_table}"
            complaints.append(Complaint(("route-rules", "config", number), text))
    complaints += _give_resolver(rows, joined)
    if name_difference(joined):
        complaints.append(Complaint(("hostname",), "hostname has no file: hostnamectl sets it"))
    return rows, complaints


def _give_resolver(rows: list[Settled], joined: Joined) -> Iterator[Complaint]:
    """Give DNS to the interface of the default route; yield that none has it."""
    resolver = joined.desired.dns_resolver.config if joined.desired.dns_resolver else None
    if resolver and any((resolver.server, resolver.search, resolver.options)):
        place = _place_of_resolver(rows)
        if place is None:
            yield Complaint(("dns-resolver",), "no interface of it could have DNS")
        else:
            rows[place] = replace(rows[place], resolver=resolver)


def _place_of(rule: RouteRule, rows: list[Settled]) -> int | None:
    table = rule.route_table or MAIN_TABLE
    places = [
        place
        for place, row in enumerate(rows)
        if any((route.table_id or MAIN_TABLE) == table for route in row.routes)
    ]
    return places[0] if places else None


def _place_of_resolver(rows: list[Settled]) -> int | None:
    """Return which one has DNS: that with the default route, or else the first with addresses."""
    able = [n for n, row in enumerate(rows) if not row.is_port and _has_addresses(row.link)]
    with_default = [n for n in able if any(r.destination in _DEFAULTS for r in rows[n].routes)]
    return next(iter((*with_default, *able)), None)


def _has_addresses(link: NodeLink) -> bool:
    return any(ip and ip.enabled for ip in (link.ipv4, link.ipv6))
