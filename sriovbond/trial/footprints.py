"""What a step touches, makes and adds; and which links change with others. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface

from sriovbond.kernel import messages
from sriovbond.nodenet import acts
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
    SetIp,
    SetState,
    Step,
)
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.model import NetState, NodeLink
from sriovbond.nodenet.normal import is_dynamic
from sriovbond.nodenet.routes import absent_routes, absent_rules
from sriovbond.nodenet.routing import NodeRoute, NodeRoutes, RouteRule, RouteRules
from sriovbond.nodenet.writer import to_json
from sriovbond.trial.checkpoint import Journal, Load, settle


def touched(step: Step) -> tuple[str, ...]:
    """Return the links that a step changes, those that it makes among them."""
    names: tuple[str, ...] = ()
    match step:
        case Make():
            names = made(step)
        case Remove(current=link):
            names = _with_peer(link)
        case Change(current=link):
            names = (link.label, *acts.remade_functions(step))
        case SetState(name=name) | SetIp(name=name) | AskLease(name=name) | EndLease(name=name):
            names = (name,)
        case AddPort(owner=owner, port=port, before=before):
            former = before.controller if before else None
            names = (owner, port, *((former,) if former else ()))
        case ReleasePort(owner=owner, port=port):
            names = (owner, port)
        case ConfigurePort(owner=owner, port=entry):
            names = (owner, entry.name or "")
    return names


def made(step: Step) -> tuple[str, ...]:
    """Return the links that a step makes."""
    return _with_peer(step.link) if isinstance(step, Make) else ()


def _with_peer(link: NodeLink) -> tuple[str, ...]:
    """Return a link with the other end of a veth: it comes and goes with it."""
    peer = link.veth.peer if link.veth else None
    return (link.label, *((peer,) if peer else ()))


def carriers(step: Step) -> tuple[str, ...]:
    """Return the links that may lose addresses or routes by a step."""
    rows: tuple[NodeRoute | None, ...] = ()
    if isinstance(step, AddRoute):
        rows = (step.route, step.former, *step.ways)
    elif isinstance(step, RemoveRoute):
        rows = (step.route, *step.ways)
    names = [row.next_hop_interface for row in rows if row and row.next_hop_interface]
    return (*touched(step), *names)


def closure(names: Iterable[str], links: Mapping[str, NodeLink]) -> tuple[str, ...]:
    """Return links with what is on top of them, and their ports: they change with them."""
    order = list(dict.fromkeys(names))
    for name in order:
        below = [row.label for row in links.values() if base_of(row) == name]
        ports = (ports_of(links[name]) or ()) if name in links else ()
        order += [other for other in (*ports, *below) if other not in order]
    return tuple(order)


def base_of(link: NodeLink) -> str | None:
    """Return the link that a VLAN or MACVLAN is on."""
    section = link.vlan or link.mac_vlan
    return section.base_iface if section else None


def with_sourced(names: Iterable[str], present: Mapping[str, Load]) -> tuple[str, ...]:
    """Return the links of these that are there, and those with routes whose source these have.

    The kernel ends such a route with the address, whatever link it is over (fib_sync_down_addr()).
    """
    order = tuple(name for name in dict.fromkeys(names) if name in present)
    addresses = {row.text for name in order for row in present[name].addresses}
    sources = [_source(text) for text in addresses]
    sourced = (
        name
        for name, load in present.items()
        if any(source in route.message for route in load.routes for source in sources)
    )
    return _unique(order, sourced)


def _source(address: str) -> str:
    """Return the attribute by which a route has an address as its source, in hex."""
    return messages.attribute(messages.RTA_PREFSRC, ip_interface(address).packed).hex()


def losing(step: Step, links: Mapping[str, NodeLink], made: Iterable[str]) -> tuple[str, ...]:
    """Return the links that may lose addresses or routes by a step, or have what it adds.

    None where the change has `made` all of them: those had none before it.
    """
    if isinstance(step, (Make, AddRule, RemoveRule)):
        return ()
    if isinstance(step, SetState) and step.is_up:
        return ()
    if isinstance(step, AddRoute) and step.former is None:
        return ()
    names = closure(carriers(step), links)
    return () if set(names) <= set(made) else names


def begin(
    journal: Journal, step: Step, present: Mapping[str, Load], names: Iterable[str]
) -> Journal:
    """Return the journal of a step that begins: `present` is what links have before it.

    `names` are those that may lose some of it (`losing`). `present` may be empty where there are
    none, and nothing of the step before is pending.
    """
    journal = settle(journal, present)
    added = [(name, text) for name, text in _added(step) if not _has(present.get(name), text)]
    return replace(
        journal,
        count=journal.count + 1,
        made=_unique(journal.made, made(step)),
        touched=_unique(journal.touched, touched(step)),
        added=(*journal.added, *added),
        pending=tuple(present[name] for name in with_sourced(names, present)),
        ways=_with_way_back(journal.ways, step),
    )


def _added(step: Step) -> Iterator[tuple[str, str]]:
    if isinstance(step, SetIp) and step.target.enabled:
        for row in step.target.address or ():
            if not is_dynamic(row):
                yield step.name, f"{row.ip}/{row.prefix_length}"


def _has(load: Load | None, text: str) -> bool:
    return load is not None and any(row.text == text for row in load.addresses)


def _unique(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def _with_way_back(ways: str, step: Step) -> str:
    """Add what reverts a step about routes or rules; lost routes over links are raw elsewhere."""
    back_routes, back_rules = _way_back(step)
    if not (back_routes or back_rules):
        return ways
    state = read_state(ways)
    rules = (state.route_rules.config if state.route_rules else None) or ()
    return to_json(
        NetState(
            routes=NodeRoutes(config=(*state.configured_routes, *back_routes)),
            route_rules=RouteRules(config=(*rules, *back_rules)),
        )
    )


def _way_back(step: Step) -> tuple[tuple[NodeRoute, ...], tuple[RouteRule, ...]]:
    match step:
        case AddRoute():
            return _without(step), ()
        case RemoveRoute(route=route):
            return ((route,) if route.route_type else ()), ()
        case AddRule(rule=rule, narrower=narrower):
            return (), (*absent_rules((rule,)), *narrower)
        case RemoveRule(rule=rule, narrower=narrower):  # of which one may be twice meanwhile
            return (), (rule, *absent_rules(narrower), *narrower)
    return (), ()


def _without(step: AddRoute) -> tuple[NodeRoute, ...]:
    """Return what takes away a route that was added, and says again what has no link.

    One over several ways in the place of another is replaced by that one, as the kernel had it.
    """
    route, former = step.route, step.former
    if route == former or (step.ways and former):
        return ()
    is_loose = former is not None and former.route_type
    return (*absent_routes(step.ways or (route,)), *((former,) if former and is_loose else ()))
