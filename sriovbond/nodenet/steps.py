"""In which order a difference is brought about: what keeps links up longest comes first."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from sriovbond.nodenet import acts, leases, remaking, routes, uppers
from sriovbond.nodenet.acts import (
    AddPort,
    AddRoute,
    AddRule,
    AskLease,
    Change,
    ConfigurePort,
    EndLease,
    Make,
    ReleasePort,
    Remove,
    RemoveRoute,
    RemoveRule,
    SetHostName,
    SetIp,
    SetResolver,
    SetState,
    Step,
)
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.difference import is_resolver_new, link_difference, name_difference
from sriovbond.nodenet.joined import Joined, Pair, stays
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    DOWN,
    MACVLAN,
    UP,
    BondOptions,
    Ipv6,
    LinkAggregation,
    NodeLink,
)
from sriovbond.nodenet.pairs import (
    TAKING,
    USUAL_MTU,
    alt_names_leaving,
    is_bonds_port,
    own_mac,
    place_of,
    uppers_of,
)
from sriovbond.nodenet.routing import ABSENT, HostName, NodeRoute
from sriovbond.nodenet.values import family_of
from sriovbond.nodenet.writer import plain


def plan(joined: Joined) -> tuple[Step, ...]:
    """Return the steps in their order; none where all is there.

    A new bond is up and has one port before its addresses come, the others come after them: so the
    node is without its address for as long as one port takes. Where a server of DHCP gives
    them, the other ports come before routes: the first one may have no carrier.
    """
    return tuple(_steps(*remaking.anew(joined)))


def _steps(joined: Joined, remade: Collection[Pair]) -> Iterator[Step]:
    pairs = _bases_first(joined)
    staying = [pair for pair in pairs if pair.target.state != ABSENT]
    going = [pair for pair in reversed(pairs) if pair.is_to_go and not _goes_with_peer(pair)]
    holding = _holding(going, staying)
    moving = _moving_names(staying)
    yield from (_free_names(pair, moving) for pair in staying if moving & _names_leaving(pair))
    made_anew, waiting = _made_anew(joined), _waiting(staying, joined, remade)
    for pair in staying:
        if pair.current:
            for step in _change(pair, joined, is_made_anew=pair.name in made_anew):
                early = _without_primary(step, waiting)
                yield from _without_names(early, moving & _names_leaving(pair))
        elif pair.name not in waiting:
            yield _make(pair, joined)
    for pair in pairs:
        if leases.is_leaving(pair) and (ended := leases.end(pair, joined)):
            yield ended
    yield from (_remove(pair) for pair in holding)
    yield from (step for pair in remade for step in _remove_remade(pair))
    for pair in staying:
        yield from _release_ports(pair, joined)
    yield from (_make(pair, joined) for pair in staying if pair.name in waiting)
    yield from (step for pair in staying for step in _late_primary(pair, joined, waiting))
    yield from _set_states(staying, joined)
    yield from (step for pair in staying for step in _add_ports(pair, joined, is_first=True))
    yield from (step for pair in staying for step in _change_after_bond(pair, joined))
    yield from (step for pair in staying for step in _keep_mtu(pair, joined))
    yield from (step for pair in staying for step in _raise_late(pair, joined))
    yield from _set_states(staying, joined, of_ports=True)
    addresses = [step for pair in staying for step in _address(pair, joined)]
    later = [step for pair in staying for step in _add_ports(pair, joined, is_first=False)]
    is_asking = any(isinstance(step, AskLease) for step in addresses)
    yield from addresses
    yield from later if is_asking else ()
    yield from _route(joined)
    yield from () if is_asking else later
    yield from (step for pair in staying for step in _configure_ports(pair, joined))
    yield from (_remove(pair) for pair in going if pair not in holding)


def _bases_first(joined: Joined) -> list[Pair]:
    """Return the pairs so that each comes after those that it is made on or consists of.

    Also by way of what is not mentioned. A VF comes after its PF, which may make it anew.
    """
    pairs = {pair.name: pair for pair in joined.pairs}
    owners = acts.owners_of_functions(joined.links.values())
    order: list[str] = []
    begun: set[str] = set()
    waiting = [(name, False) for name in reversed(pairs)]
    while waiting:
        name, are_bases_done = waiting.pop()
        if are_bases_done:
            order.append(name)
        elif name not in begun:
            begun.add(name)
            below = _bases(pairs[name]) if name in pairs else joined.below(name)
            bases = reversed((*below, *filter(None, (owners.get(name),))))
            waiting += [(name, True), *((base, False) for base in bases)]
    return [pairs[name] for name in order if name in pairs]


def _bases(pair: Pair) -> tuple[str, ...]:
    """Return what it is on and its ports: those that it is to have, or has where none are given."""
    now = pair.current or NodeLink()
    link = now if pair.is_to_go else pair.target
    base, ports = link.base or now.base, ports_of(link)
    return (*((base,) if base else ()), *((ports_of(now) if ports is None else ports) or ()))


def _holding(going: Iterable[Pair], staying: Iterable[Pair]) -> list[Pair]:
    """Return those to go whose ports are used again, and what is on these: they go early.

    So does what takes the frames of a new port, or has the place of a new VLAN.
    """
    staying, going = list(staying), list(going)
    used = {pair.name for pair in staying if pair.desired is not None}
    used |= {pair.target.base for pair in staying if pair.current is None and pair.target.base}
    places = {place_of(pair.target.vlan) for pair in staying if pair.current is None} - {None}
    new = {
        port for pair in staying for port in set(ports_of(pair.target) or ()) - {*_ports_now(pair)}
    }
    holding = {
        pair.name
        for pair in going
        if used & set(_ports_now(pair))
        or place_of((pair.current or NodeLink()).vlan) in places
        or (pair.current and pair.current.type in TAKING and pair.current.base in new)
    }
    for pair in reversed(going):
        if holding & set(_bases(pair)):
            holding.add(pair.name)
    return [pair for pair in going if pair.name in holding]


def _waiting(staying: Iterable[Pair], joined: Joined, remade: Collection[Pair]) -> frozenset[str]:
    """Return what is made when ports have left: MACVLANs on these, and what is on such.

    Of a port it is its controller that takes the frames (netdev_rx_handler_register()). A VLAN in
    the place of one that goes is made then, too, and one that is made anew.
    """
    names = {pair.name for pair in remade}
    going = [*remade, *(pair for pair in joined.pairs if pair.is_to_go)]
    left = {place_of(pair.current.vlan) for pair in going if pair.current} - {None}
    for pair in (row for row in staying if row.current is None):
        base = joined.links.get(pair.target.base or "")
        is_on_port = pair.target.type == MACVLAN and base and base.controller
        if is_on_port or place_of(pair.target.vlan) in left or not names.isdisjoint(_bases(pair)):
            names.add(pair.name)
    return frozenset(names)


def _moving_names(staying: Iterable[Pair]) -> frozenset[str]:
    """Return the altnames that one interface loses and another gets: first they have to be free."""
    pairs = list(staying)
    wishes = {
        alt.name for pair in pairs for alt in pair.target.alt_names or () if alt.state != ABSENT
    }
    wishes |= {pair.name for pair in pairs if pair.current is None}
    leaving = {name for pair in pairs for name in _names_leaving(pair)}
    return frozenset(name for name in leaving if name in wishes)


def _names_leaving(pair: Pair) -> frozenset[str]:
    return frozenset(alt.name or "" for alt in alt_names_leaving(pair))


def _free_names(pair: Pair, moving: Collection[str]) -> Change:
    names = tuple(alt for alt in alt_names_leaving(pair) if alt.name in moving)
    return Change(NodeLink(name=pair.name, alt_names=names), pair.current or NodeLink())


def _without_names(step: Change, freed: Collection[str]) -> Iterator[Change]:
    """Yield a step without the altnames that are taken off before."""
    names = step.change.alt_names
    if freed:
        present = {alt.name for alt in step.current.alt_names or ()}
        unmet = (row for row in names or () if (row.name in present) == (row.state == ABSENT))
        rest = tuple(row for row in unmet if row.name not in freed)
        change = replace(step.change, alt_names=rest or None)
        step = replace(step, change=change)
    if acts.has_values(step.change):
        yield step


def _without_primary(step: Change, waiting: Collection[str]) -> Change:
    """Return a step without a bond's primary that is made later: the kernel knows it by number."""
    bond = step.change.link_aggregation
    if bond is None or bond.options is None or bond.options.value("primary") not in waiting:
        return step
    rest = tuple(row for row in bond.settings if row.name != "primary")
    bond = replace(bond, options=BondOptions(rest) if rest else None)
    return replace(step, change=replace(step.change, link_aggregation=bond))


def _late_primary(pair: Pair, joined: Joined, waiting: Collection[str]) -> Iterator[Change]:
    change = link_difference(pair, joined) if pair.current else None
    bond = change.link_aggregation if change else None
    rows = tuple(row for row in bond.settings if row.name == "primary") if bond else ()
    if pair.current and any(row.value in waiting for row in rows):
        options = LinkAggregation(options=BondOptions(rows))
        yield Change(NodeLink(name=pair.name, link_aggregation=options), pair.current)


def _make(pair: Pair, joined: Joined) -> Make:
    """Return how it is made; a bond whose first port is another's with the MAC it had before."""
    if _is_raised_late(pair, joined):
        return Make(replace(pair.target, mtu=None))
    name = _mac_of(pair)
    port = joined.links.get(name) or NodeLink()
    if is_bonds_port(port, joined.links) and port.permanent_mac_address:
        return Make(replace(pair.target, mac_address=port.permanent_mac_address), name)
    return Make(pair.target, name)


def _mac_of(pair: Pair) -> str:
    """Return the port whose MAC a new bond gets: no udev and no order of ports chooses it."""
    link = pair.target
    ports = ports_of(link) if link.type == BOND and not link.mac_address else None
    return min(ports) if ports else ""


def _remove(pair: Pair) -> Remove:
    current = pair.current or NodeLink(name=pair.name)
    return Remove(current, (current.base or "") if pair.desired is None else "")


def _goes_with_peer(pair: Pair) -> bool:
    """Return whether it is a veth that goes with its other end, whose step says so."""
    return pair.desired is None and pair.current is not None and pair.current.veth is not None


def _remove_remade(pair: Pair) -> Iterator[Step]:
    current = pair.current or NodeLink(name=pair.name)
    if current.ipv4 and current.ipv4.is_auto and current.ipv4.is_leased is not None:
        yield EndLease(pair.name)
    yield Remove(current, is_remade=True)


def _change(pair: Pair, joined: Joined, *, is_made_anew: bool = False) -> Iterator[Change]:
    change = link_difference(pair, joined)
    if is_made_anew and pair.desired:
        change = pair.target
    if change is None or pair.current is None or pair.target.state == ABSENT:
        return
    if _leaves_bond(pair, joined):
        change = replace(change, mac_address=None, mtu=None)
    if _is_raised_late(pair, joined):
        change = replace(change, mtu=None)
    if acts.has_values(change):
        lowered = tuple(uppers.lowered(pair.name, joined)) if change.mtu else ()
        yield Change(change, pair.current, lowered, uppers.bridge_of(pair.current, joined))


def _change_after_bond(pair: Pair, joined: Joined) -> Iterator[Step]:
    """Yield the MAC and MTU of a port that leaves a bond: that gives it back what it came with."""
    wish, now = pair.desired, joined.links.get(pair.name)
    if wish is None or now is None or not _leaves_bond(pair, joined):
        return
    own = own_mac(now, joined.links)
    is_other = wish.mac_address not in (None, own) and wish.identifier != "mac-address"
    mac = wish.mac_address if is_other else None
    change = NodeLink(name=pair.name, mac_address=mac, mtu=wish.mtu)
    if acts.has_values(change):
        yield Change(change, NodeLink(name=pair.name, mac_address=own, mtu=now.mtu))


def _made_anew(joined: Joined) -> frozenset[str]:
    """Return the VFs that lose what they have, for their PF is to have another number of them."""
    pairs = [pair for pair in joined.pairs if pair.target.ethernet and pair.current]
    return frozenset(
        name
        for pair in pairs
        if (change := link_difference(pair, joined)) and pair.current
        for name in acts.remade_functions(Change(change, pair.current))
    )


def _release_ports(pair: Pair, joined: Joined) -> Iterator[Step]:
    after = ports_of(pair.target)
    if after is None:
        return
    for port in sorted(set(_ports_now(pair)) - set(after)):
        if not stays(pair.target, port, joined.links):
            yield ReleasePort(pair.name, port)


def _ports_now(pair: Pair) -> tuple[str, ...]:
    return (pair.current and ports_of(pair.current)) or ()


def _add_ports(pair: Pair, joined: Joined, *, is_first: bool) -> Iterator[Step]:
    """Yield who comes: into a bond that has no port the first one early, the others later.

    They come one after the other: a switch may shut ports on which it sees one MAC twice. The one
    whose MAC the bond has comes first: on its own it would answer for the bond's IPv6 address.
    """
    before = set(_ports_now(pair))
    ports = sorted(
        set(ports_of(pair.target) or ()) - before,
        key=lambda port: (not _gives_mac(port, pair, joined), port),
    )
    is_bond = pair.target.type == BOND
    kept = sorted(before & set(ports_of(pair.target) or ()))
    begins = is_bond and not kept
    early = ports[:1] if begins else ports
    is_waiting = is_bond and pair.target.state == UP
    for port in early if is_first else ports[len(early) :]:
        active = kept[0] if kept else (ports[0] if port != ports[0] else "")
        link = joined.links.get(port)
        yield AddPort(pair.name, port, pair.target.type or "", active if is_waiting else "", link)


def _gives_mac(port: str, pair: Pair, joined: Joined) -> bool:
    """Return whether a bond is to have a port's MAC, as by `copy-mac-from`."""
    link, mac = joined.links.get(port), pair.target.mac_address
    return link is not None and mac is not None and own_mac(link, joined.links) == mac


def _keep_mtu(pair: Pair, joined: Joined) -> Iterator[Step]:
    """Yield what gives a bridge its MTU again, which follows that of its ports unless it was set.

    A new one is made with it set, and where it is to change it is set by that.
    """
    wish, now = pair.desired.mtu if pair.desired else None, pair.current
    if pair.target.type != BRIDGE or now is None or wish is None or wish != now.mtu:
        return
    ports = ports_of(pair.target) if ports_of(pair.target) is not None else ports_of(now)
    mtus = [mtu for port in ports or () if (mtu := joined.mtu_of(port))]
    before = [link.mtu for port in ports_of(now) or () if (link := joined.links.get(port))]
    if mtus and min(mtus) != wish and sorted(mtus) != sorted(filter(None, before)):
        yield Change(NodeLink(name=pair.name, mtu=wish), replace(now, mtu=min(mtus)))


def _raise_late(pair: Pair, joined: Joined) -> Iterator[Step]:
    """Yield the MTU of what is on an interface that has its own only when ports have moved."""
    if _is_raised_late(pair, joined):
        base = joined.links.get(pair.target.base or "") or NodeLink(mtu=USUAL_MTU)
        now = pair.current or replace(pair.target, mtu=base.mtu)
        yield Change(NodeLink(name=pair.name, mtu=pair.target.mtu), now)


def _is_raised_late(pair: Pair, joined: Joined) -> bool:
    """Return whether what is below cannot have its MTU yet when it is made, or changed."""
    mtu, now = pair.target.mtu, pair.current or NodeLink()
    base = pair.target.base or now.base
    if mtu is None or base is None or mtu <= (now.mtu or 0):
        return False
    seen: set[str] = set()
    while base and base not in seen:
        seen.add(base)
        below, link = joined.pair(base), joined.links.get(base) or NodeLink()
        if below and (_leaves_bond(below, joined) or _follows_new_ports(below, joined)):
            return True
        base = (below.target.base if below else None) or link.base
    return False


def _follows_new_ports(pair: Pair, joined: Joined) -> bool:
    """Return whether it is a bridge whose MTU is that of ports which come or leave."""
    is_bridge = pair.target.type == BRIDGE and pair.target.mtu is None
    return is_bridge and set(joined.below(pair.name)) != set(_ports_now(pair))


def _configure_ports(pair: Pair, joined: Joined) -> Iterator[Step]:
    change = pair.target if pair.current is None else link_difference(pair, joined)
    if change and change.bridge:
        for port in change.bridge.port or ():
            if len(plain(port)) > 1:
                yield ConfigurePort(pair.name, port)
    if change and change.link_aggregation:
        for entry in change.link_aggregation.ports_config or ():
            if len(plain(entry)) > 1:
                yield ConfigurePort(pair.name, entry)


def _set_states(pairs: Iterable[Pair], joined: Joined, *, of_ports: bool = False) -> Iterator[Step]:
    """Yield who comes up or goes down; a bond's new ports after they are in: it opens them."""
    for pair in pairs:
        if _becomes_bond_port(pair, joined) == of_ports:
            yield from _set_state(pair, joined)


def _set_state(pair: Pair, joined: Joined) -> Iterator[Step]:
    is_freed = pair.target.controller == "" and _leaves_bond(pair, joined)
    is_used = pair.desired is not None or _is_base(pair.name, joined)
    is_closed = is_used and is_freed  # the bond closes it
    before = pair.state_now if pair.current and not is_closed else DOWN
    if pair.target.state in {UP, DOWN} and pair.target.state != before:
        is_up = pair.target.state == UP
        closing = () if is_up else tuple(uppers.closing(pair.name, joined))
        yield SetState(pair.name, is_up, closing)


def _is_base(name: str, joined: Joined) -> bool:
    """Return whether something that is to be up is on an interface, or made on it."""
    present = [link.label for link in uppers_of(name, joined.links)]
    new = [pair.name for pair in joined.pairs if pair.target.base == name]
    return any(joined.state_of(label) == UP for label in (*present, *new))


def _leaves_bond(pair: Pair, joined: Joined) -> bool:
    """Return whether it is taken out of a bond, and put into no other one."""
    bonds = (link for link in joined.links.values() if link.type == BOND)
    is_port = any(pair.name in (ports_of(bond) or ()) for bond in bonds)
    is_staying = pair.target.controller is None or _becomes_bond_port(pair, joined)
    return is_port and not is_staying


def _becomes_bond_port(pair: Pair, joined: Joined) -> bool:
    name = pair.target.controller
    owner = joined.pair(name) if name else None
    return owner is not None and owner.target.type == BOND


def _address(pair: Pair, joined: Joined) -> Iterator[Step]:
    change = link_difference(pair, joined) or NodeLink()
    if change.state == ABSENT:
        return
    asked, ended = leases.ask(pair, joined), leases.end(pair, joined)
    if change.ipv4 and pair.target.ipv4:
        ipv4 = leases.of_kernel(change.ipv4, pair.target.ipv4)
        yield from [SetIp(pair.name, ipv4, pair.target.ipv4)] if ipv4 else []
    yield from (step for step in (asked, ended) if step and not leases.is_leaving(pair))
    ipv6 = _ipv6_of_kernel(change.ipv6) or _ipv6_of_free_one(pair)
    if pair.target.ipv6 and ipv6:
        yield SetIp(pair.name, ipv6, pair.target.ipv6)


def _ipv6_of_kernel(change: Ipv6 | None) -> Ipv6 | None:
    """Return what changes but for DNS of routers, which is not taken here; None for nothing."""
    rest = change and replace(change, auto_dns=None)
    return None if rest == Ipv6() else rest


def _ipv6_of_free_one(pair: Pair) -> Ipv6 | None:
    """Return that IPv6 is off where a port becomes free: as a port it is shown so, though on."""
    ipv6 = pair.target.ipv6
    is_freed = pair.current is not None and pair.current.controller and not pair.is_bound
    return Ipv6(enabled=False) if is_freed and ipv6 and ipv6.enabled is False else None


def _route(joined: Joined) -> Iterator[Step]:
    leaving: dict[tuple[object, ...], list[NodeRoute]] = {}
    for route in routes.leaving_routes(joined):
        leaving.setdefault(routes.slot(route), []).append(route)
    new = list(_new_routes(joined, leaving))
    new += [AddRoute(route, route) for route in routes.restored_routes(joined)]
    # a gateway may be reachable by one of the others
    yield from sorted(new, key=lambda step: step.route.next_hop_address is not None)
    for route in (row for rows in leaving.values() for row in rows):
        yield _end(route, joined)
    rules = routes.rules_in(joined.current)
    for rule in routes.lacking_rules(joined):
        yield AddRule(rule, routes.narrower_rules((rule,), rules))
    for rule in routes.leaving_rules(joined):
        yield RemoveRule(rule, routes.narrower_rules((rule,), rules))
    if is_resolver_new(joined) and joined.desired.dns_resolver:
        config = joined.desired.dns_resolver.config
        if config:
            yield SetResolver(config)
    if (name := name_difference(joined)) is not None:
        yield SetHostName(name, joined.current.hostname or HostName())


def _new_routes(
    joined: Joined, leaving: dict[tuple[object, ...], list[NodeRoute]]
) -> Iterator[AddRoute]:
    """Yield what makes the routes that are missing, one for all ways of a route.

    Those in whose place one comes are none of `leaving` then, nor unconfigured ones.
    """
    done: set[tuple[object, ...]] = set()
    lacking = routes.lacking_routes(joined)
    unconfigured = routes.unconfigured_routes(joined) if lacking else {}
    for route in lacking:
        place, ways = routes.slot(route), routes.ways_of(route, joined)
        if place in done:
            continue
        former = leaving.pop(place, [])
        if ways:
            done.add(place)
            rows = joined.current.configured_routes
            former = [row for row in rows if routes.slot(row) == place]
        yield AddRoute(route, former[0] if former else unconfigured.get(place), ways)


def _end(route: NodeRoute, joined: Joined) -> Step:
    """Return how a route ends; an IPv6 route stays when its source goes, and has none then."""
    is_by_source = routes.loses_source(route, joined) and not routes.goes_with_link(route, joined)
    if is_by_source and family_of(route.destination or "") == 6:  # noqa: PLR2004 - IPv6
        return AddRoute(replace(route, source=None), route)
    return RemoveRoute(route, is_by_source, routes.ways_of(route, joined))
