"""VLANs that are to have another base, id or protocol: the kernel has to make them anew.

What a document does not mention of such a VLAN is as before: its addresses, routes and controller.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from sriovbond.nodenet import routes
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.controllers import CONTROLLERS
from sriovbond.nodenet.joined import Joined, Pair, join
from sriovbond.nodenet.lacking import without_ports, without_routes
from sriovbond.nodenet.model import (
    AltName,
    Bridge,
    LinkAggregation,
    NetState,
    NodeLink,
    VlanLink,
    Vrf,
)
from sriovbond.nodenet.normal import normal
from sriovbond.nodenet.pairs import addresses_of, place_of, uppers_of
from sriovbond.nodenet.routing import ABSENT, NodeRoute, NodeRoutes
from sriovbond.nodenet.sections import Section, keys_of

Part = TypeVar("Part")


def is_remade(pair: Pair) -> bool:
    """Return whether an interface that is there has to be made anew."""
    wish, now = pair.target.vlan, pair.current.vlan if pair.current else None
    if wish is None or now is None or pair.target.state == ABSENT:
        return False
    return place_of(merge(wish, now)) != place_of(now)


def vlan_after(name: str, joined: Joined) -> VlanLink | None:
    """Return what a VLAN is to be; None of what is none, or is to go."""
    pair, now = joined.pair(name), joined.links.get(name) or NodeLink()
    if pair is None:
        return now.vlan
    return None if pair.target.state == ABSENT else merge(pair.target.vlan, now.vlan)


def faults(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield why a VLAN cannot be made anew."""
    now = joined.links.get(pair.name) or NodeLink()
    for upper in uppers_of(pair.name, joined.links):
        yield f"it has to be made anew, and {upper.label} is on it: remove that first"
    routes_elsewhere = (
        row for row in joined.current.configured_routes if row.next_hop_interface != pair.name
    )
    sources = {row.source or "" for row in routes_elsewhere}
    for address in sorted(addresses_of(now) & sources):
        yield f"it has to be made anew, and {address} is the source of a route over another one"
    base = pair.target.vlan.base_iface if pair.target.vlan else None
    if base is not None and base not in joined.links and joined.pair(base) is None:
        yield f"its base-iface {base} is missing"


def anew(joined: Joined) -> tuple[Joined, tuple[Pair, ...]]:
    """Return it as if the VLANs that are made anew were missing, and these as they are."""
    pairs = tuple(pair for pair in joined.pairs if is_remade(pair))
    if not pairs:
        return joined, ()
    names = {pair.name for pair in pairs}
    kept = [row for row in _staying(joined) if row.next_hop_interface in names]
    wishes = joined.desired.configured_routes
    more = tuple(row for row in kept if not any(routes.is_there(wish, row) for wish in wishes))
    desired = replace(
        joined.desired,
        interfaces=tuple(_wishes(joined, {pair.name: pair for pair in pairs})),
        routes=NodeRoutes(config=(*wishes, *more)) if wishes or more else None,
    )
    return join(desired, _without(joined.current, names)), pairs


def merge(wish: Part | None, now: Part | None) -> Part | None:
    """Return a section with what the present has where the wish says nothing."""
    if wish is None or now is None:
        return now if wish is None else wish
    values: dict[str, Any] = {}
    for row in keys_of(type(wish)):
        new, old = getattr(wish, row.field), getattr(now, row.field)
        is_section = isinstance(row.kind, Section)
        values[row.field] = merge(new, old) if is_section else old if new is None else new
    return type(wish)(**values)


def _wishes(joined: Joined, remade: dict[str, Pair]) -> Iterator[NodeLink]:
    """Yield the interfaces of the document, those that are made anew with all that they have."""
    links = {link.label: link for link in joined.desired.interfaces or ()}
    for pair in remade.values():
        links[pair.name] = _whole(pair, joined)
        owner = joined.links.get(pair.current.controller or "") if pair.current else None
        if owner and owner.type in CONTROLLERS and pair.target.controller is None:
            wish = links.get(owner.label) or NodeLink(owner.name, type=owner.type)
            links[owner.label] = wish if ports_of(wish) is not None else _with_ports(wish, owner)
    yield from links.values()


def _whole(pair: Pair, joined: Joined) -> NodeLink:
    """Return all that a VLAN is to be, but for a MAC and an MTU that are its base's."""
    now = pair.current or NodeLink()
    base = joined.links.get(now.base or "") or NodeLink()
    inherited = replace(
        now,
        mac_address=None if now.mac_address == base.mac_address else now.mac_address,
        mtu=None if now.mtu == base.mtu else now.mtu,
        alt_names=None,
        controller=None,
    )
    link = merge(pair.target, inherited) or now
    return normal(replace(link, alt_names=_alt_names(pair) or None))


def _alt_names(pair: Pair) -> tuple[AltName, ...]:
    wishes = pair.target.alt_names or ()
    gone = {row.name for row in wishes if row.state == ABSENT}
    present = (pair.current and pair.current.alt_names) or ()
    names = (row.name for row in (*present, *wishes) if row.name not in gone)
    return tuple(AltName(name=name) for name in dict.fromkeys(names))


def _with_ports(wish: NodeLink, owner: NodeLink) -> NodeLink:
    """Return a controller with the ports that it has, and what it has for them."""
    if owner.bridge:
        bridge = replace(wish.bridge or Bridge(), port=owner.bridge.port)
        return replace(wish, bridge=bridge)
    if owner.vrf:
        return replace(wish, vrf=replace(wish.vrf or Vrf(), port=owner.vrf.port))
    bond, now = wish.link_aggregation or LinkAggregation(), owner.link_aggregation
    ports, entries = (now.port, now.ports_config) if now else (None, None)
    return replace(wish, link_aggregation=replace(bond, port=ports, ports_config=entries))


def _without(state: NetState, names: set[str]) -> NetState:
    """Return a state without interfaces, their routes, and their places in lists of ports."""
    links = (link for link in state.interfaces or () if link.label not in names)
    return replace(
        state,
        interfaces=tuple(without_ports(link, names) for link in links),
        routes=state.routes and without_routes(state.routes, names),
    )


def _staying(joined: Joined) -> Iterator[NodeRoute]:
    leaving = routes.leaving_routes(joined)
    yield from (row for row in joined.current.configured_routes if row not in leaving)
