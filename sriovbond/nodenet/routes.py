"""Routes and rules of a document beside those of a node: which are missing, which are to go."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from sriovbond.nodenet.connected import own_routes
from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import IGNORE, NetState
from sriovbond.nodenet.routing import (
    ABSENT,
    MAIN_TABLE,
    NodeRoute,
    NodeRoutes,
    RouteRule,
    RouteRules,
)
from sriovbond.nodenet.sections import keys_of
from sriovbond.nodenet.values import family_of

_Row = TypeVar("_Row", NodeRoute, RouteRule)
PRIORITIES: Final = range(30000, 32766)
"""For rules that have none: nmstate's first, and what is below the main table's rule."""
_WHOLE_MARK: Final = 2**32 - 1
_ANY: Final = (None, -1)
_MAY_BE_NONE: Final = ("next_hop_address", "ip_from", "ip_to")
"""Fields of which an entry that removes says by an empty value that a row has none."""
_TABLES: Final = ("table_id", "route_table")
_METRICS: Final = {4: 0, 6: 1024}
"""What the kernel gives a route without a metric (IP6_RT_PRIO_USER in linux/ipv6_route.h)."""


def lacking_routes(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the routes that are to be made."""
    present = {form for row in joined.current.configured_routes for form in _forms(row)}
    wishes = [row for row in joined.desired.configured_routes if row.state != ABSENT]
    lacking = [row for row in wishes if _wish(row) not in present]
    if any(map(may_be_own, lacking)):
        own = {(row.destination, row.next_hop_interface): row for row in own_routes(joined)}
        lacking = [row for row in lacking if not _is_met(row, own)]
    return tuple({_wish(row): row for row in reversed(lacking)}.values())[::-1]


def may_be_own(route: NodeRoute) -> bool:
    """Return whether a route that the kernel makes of an address can be all that is wished for."""
    further = (route.next_hop_address, route.route_type, route.weight, route.vrf_name)
    return not any((*further, route.cwnd, route.advmss))


def _is_met(wish: NodeRoute, own: Mapping[tuple[str | None, str | None], NodeRoute]) -> bool:
    """Return whether the kernel's own route is the one; a metric or source not given is any."""
    row = own.get((wish.destination, wish.next_hop_interface))
    return (
        row is not None
        and may_be_own(wish)
        and (wish.table_id or MAIN_TABLE) == (row.table_id or MAIN_TABLE)
        and (wish.metric in _ANY or metric_of(wish) == metric_of(row))
        and wish.source in (None, row.source)
    )


def unconfigured_routes(joined: Joined) -> dict[tuple[object, ...], NodeRoute]:
    """Return the unconfigured routes that stay or come, by their places (`slot`).

    The kernel's own, and those of DHCP, of routers and of routing daemons. Not those over what is
    not ours, such as a VPN's.
    """
    configured = {*joined.current.configured_routes}
    learned = (
        row
        for row in joined.current.running_routes
        if row not in configured
        and row.next_hop_address
        and not goes_by_itself(row, joined)
        and not _is_foreign(row, joined)
    )
    return {slot(row): row for row in reversed((*own_routes(joined), *learned))}


def ways_of(route: NodeRoute, joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the ways that the route of a way's place is to have; none of one without a weight.

    A way is its interface and gateway: another weight takes the place of the one before.
    """
    if not route.weight:
        return ()
    gone, place = {*leaving_routes(joined)}, slot(route)
    present = (row for row in joined.current.configured_routes if row not in gone)
    rows = (*present, *lacking_routes(joined))
    ways = {
        (row.next_hop_interface, row.next_hop_address): row
        for row in rows
        if row.weight and slot(row) == place
    }
    return tuple(ways.values())


def leaving_routes(joined: Joined, *, are_down_kept: bool = False) -> tuple[NodeRoute, ...]:
    """Return the routes that are there and are to go, or to be others.

    By name, with their interface, with the address that is their source, or because a new one
    takes their place. Where `are_down_kept` not those whose interface only goes down.
    """
    ends = _goes_for_good if are_down_kept else goes_by_itself
    desired = joined.desired.configured_routes
    absent = [row for row in desired if row.state == ABSENT]
    wishes = {_wish(row) for row in desired if row.state != ABSENT}
    taken = {(slot(row), bool(row.weight)) for row in lacking_routes(joined)}
    return tuple(
        row
        for row in joined.current.configured_routes
        if (
            any(matches(pattern, row) for pattern in absent if is_meant(pattern, row, joined))
            or ends(row, joined)
            or _is_displaced(row, taken)
        )
        and wishes.isdisjoint(_forms(row))
    )


def is_meant(pattern: NodeRoute, row: NodeRoute, joined: Joined) -> bool:
    """Return whether an entry can be about a route: over what is ignored only where it says so.

    Over what the document itself ignores none is.
    """
    name = row.next_hop_interface
    if joined.is_ignored(name or ""):
        return False
    return not _is_foreign(row, joined) or pattern.next_hop_interface == name


def _is_foreign(route: NodeRoute, joined: Joined) -> bool:
    """Return whether a route is over an interface that is not ours, and that no document means."""
    link = joined.links.get(route.next_hop_interface or "")
    return link is not None and link.state == IGNORE and joined.pair(link.label) is None


def is_same(first: NodeRoute, second: NodeRoute) -> bool:
    """Return whether two routes of a document are one."""
    return _wish(first) == _wish(second)


def restored_routes(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the routes that stay, and that the kernel ends while their source moves.

    So it does with IPv4's (fib_sync_down_addr()); IPv6's lose their source (rt6_remove_prefsrc()).
    """
    leaving = {*leaving_routes(joined)}
    return tuple(
        row
        for row in joined.current.configured_routes
        if row.source in joined.leaving.again and row not in leaving
    )


def _is_displaced(route: NodeRoute, taken: set[tuple[tuple[object, ...], bool]]) -> bool:
    """Return whether a new route takes the place; with weights they are ways of one route."""
    place = slot(route)
    return (place, False) in taken or ((place, True) in taken and not route.weight)


def slot(route: NodeRoute) -> tuple[object, ...]:
    """Return what the kernel has one route for, of whatever type: another takes its place."""
    return route.destination, route.table_id or MAIN_TABLE, metric_of(route)


def metric_of(route: NodeRoute) -> int:
    """Return the metric that the kernel gives a route: that of a document, or its default."""
    written = None if route.metric in _ANY else route.metric
    return written or _METRICS[family_of(route.destination or "")]


def goes_by_itself(route: NodeRoute, joined: Joined) -> bool:
    """Return whether a route ends without a word: with its interface, or with its source."""
    return goes_with_link(route, joined) or loses_source(route, joined)


def loses_source(route: NodeRoute, joined: Joined) -> bool:
    """Return whether the address that is its source goes from the node."""
    return route.source in joined.leaving.gone


def goes_with_link(route: NodeRoute, joined: Joined) -> bool:
    """Return whether a route ends because its interface goes, goes down, or loses that family."""
    return _loses_link(route, joined) or joined.goes_down(route.next_hop_interface or "")


def _goes_for_good(route: NodeRoute, joined: Joined) -> bool:
    return _loses_link(route, joined) or loses_source(route, joined)


def _loses_link(route: NodeRoute, joined: Joined) -> bool:
    pair = joined.pair(route.next_hop_interface or "")
    return pair is not None and pair.drops_routes(family_of(route.destination or ""))


def lacking_rules(joined: Joined) -> tuple[RouteRule, ...]:
    """Return the rules that are to be made; one without a priority gets one that is free.

    The kernel would give it the one before the main table's, and the next one the one before that.
    """
    gone = leaving_rules(joined)
    wishes = [_rule_form(row) for row in rules_in(joined.desired) if row.state != ABSENT]
    kept = [_rule_form(row) for row in rules_in(joined.current) if row not in gone]
    lacking = [row for row in wishes if not any(_is_rule_there(row, other) for other in kept)]
    free = iter(_free_priorities({row.priority for row in (*kept, *wishes)}))
    rules = (
        replace(row, priority=next(free, None)) if row.priority in _ANY else row
        for row in dict.fromkeys(lacking)
    )
    return tuple(map(_as_written, rules))


def _free_priorities(taken: set[int | None]) -> list[int]:
    """Return the priorities for rules that have none: after those that are there, then between."""
    used = {number for number in taken if number is not None and number in PRIORITIES}
    after = max(used, default=PRIORITIES.start - 1) + 1
    numbers = (*range(after, PRIORITIES.stop), *range(PRIORITIES.start, after))
    return [number for number in numbers if number not in used]


def _is_rule_there(wish: RouteRule, row: RouteRule) -> bool:
    """Return whether two rules in one form are the same; without a priority it may be any."""
    is_any = wish.priority in _ANY
    row = (
        replace(row, priority=wish.priority) if is_any else replace(row, priority=row.priority or 0)
    )
    return wish == row


def leaving_rules(joined: Joined) -> tuple[RouteRule, ...]:
    """Return the rules that are there and are to go; one that the document has, too, stays."""
    absent = [row for row in rules_in(joined.desired) if row.state == ABSENT]
    meant = [
        row for row in rules_in(joined.current) if any(matches(pattern, row) for pattern in absent)
    ]
    wishes = [_rule_form(row) for row in rules_in(joined.desired) if row.state != ABSENT]
    for wish in dict.fromkeys(wishes) if meant else ():
        stays = next((row for row in meant if _is_rule_there(wish, _rule_form(row))), None)
        if stays is not None:
            meant.remove(stays)
    return tuple(meant)


def narrower_rules(
    gone: Collection[RouteRule], present: Iterable[RouteRule]
) -> tuple[RouteRule, ...]:
    """Return the rules that entries which take these away mean, too: they have all that these have.

    An entry cannot say that a rule has no mark, say; a rule that a document has stays.
    """
    return tuple(
        row for row in present if row not in gone and any(matches(rule, row) for rule in gone)
    )


def is_same_rule(first: RouteRule, second: RouteRule) -> bool:
    """Return whether two rules are one: nothing that one of them says is left out by the other."""
    return _is_rule_there(_rule_form(first), _rule_form(second))


def absent_routes(rows: Iterable[NodeRoute]) -> tuple[NodeRoute, ...]:
    """Return the entries that take routes away."""
    return tuple(replace(row, state=ABSENT) for row in rows)


def absent_rules(rows: Iterable[RouteRule]) -> tuple[RouteRule, ...]:
    """Return the entries that take rules away."""
    return tuple(replace(row, state=ABSENT) for row in rows)


def routes_of(rows: Iterable[NodeRoute]) -> NodeRoutes | None:
    """Return them as a section; None where there are none."""
    ordered = tuple(sorted(rows, key=_order))
    return NodeRoutes(config=ordered) if ordered else None


def rules_of(rows: Iterable[RouteRule]) -> RouteRules | None:
    """Return them as a section; None where there are none."""
    rules = tuple(rows)
    return RouteRules(config=rules) if rules else None


def matches(pattern: _Row, row: _Row) -> bool:
    """Return whether a row has all that a pattern gives; table 0 and metric -1 mean any.

    An empty gateway or network is that of a row without one.
    """
    for key in keys_of(type(pattern)):
        expected, value = getattr(pattern, key.field), getattr(row, key.field)
        if key.field in _MAY_BE_NONE and expected is not None:
            expected, value = _network(expected) or "", _network(value) or ""
        if key.field == "state" or expected in _ANY or (key.field in _TABLES and expected == 0):
            continue
        if value is None:
            value = _value_of_none(key.field, row)
        if expected != value:
            return False
    return True


def _value_of_none(field: str, row: NodeRoute | RouteRule) -> object:
    """Return what the kernel has for what a row does not mention."""
    if field == "family":
        return _family(row)
    if field == "metric" and isinstance(row, NodeRoute):
        return metric_of(row)
    return {"priority": 0, **dict.fromkeys(_TABLES, MAIN_TABLE)}.get(field)


def is_there(wish: NodeRoute, row: NodeRoute) -> bool:
    """Return whether a route is the one that is wished for; a metric that is not given is any."""
    return _wish(wish) in _forms(row)


def _wish(route: NodeRoute) -> NodeRoute:
    """Return the form in which a wished route is among `_forms`: no metric is any metric."""
    form = _in_one_form(route)
    return replace(form, metric=None) if route.metric in _ANY else form


def _forms(route: NodeRoute) -> tuple[NodeRoute, NodeRoute]:
    """Return a route that is there in each form that a wish for it may have."""
    form = _in_one_form(route)
    return form, replace(form, metric=None)


def _in_one_form(route: NodeRoute) -> NodeRoute:
    table, advmss = route.table_id or MAIN_TABLE, route.advmss or None
    return replace(route, state=None, table_id=table, metric=metric_of(route), advmss=advmss)


def _family(row: NodeRoute | RouteRule) -> str | None:
    texts = (row.ip_from, row.ip_to) if isinstance(row, RouteRule) else ()
    return next((f"ipv{family_of(text)}" for text in texts if text), None)


def _rule_form(rule: RouteRule) -> RouteRule:
    """Return a rule in one form: with its family and table, without what means any."""
    return replace(
        rule,
        state=None,
        family=rule.family or _family(rule),
        ip_from=_network(rule.ip_from),
        ip_to=_network(rule.ip_to),
        route_table=None if rule.action else rule.route_table or MAIN_TABLE,
        fwmark=rule.fwmark or None,
        fwmask=(rule.fwmask or _WHOLE_MARK) if rule.fwmark else None,
    )


def _network(network: str | None) -> str | None:
    return None if not network or network.endswith("/0") else network


def _as_written(rule: RouteRule) -> RouteRule:
    """Return it without the mask that the kernel gives a mark by itself."""
    return replace(rule, fwmask=None) if rule.fwmask == _WHOLE_MARK else rule


def _order(route: NodeRoute) -> tuple[object, ...]:
    """Order as nmstate does: what goes first, IPv6 first, then by table, interface, network."""
    return (
        route.state != ABSENT,
        family_of(route.destination or "::") == 4,  # noqa: PLR2004 - IPv4
        route.table_id or MAIN_TABLE,
        route.next_hop_interface or "lo",
        route.destination or "",
        route.next_hop_address or "",
    )


def rule_order(rule: RouteRule) -> tuple[object, ...]:
    """Order as nmstate does: what goes first, IPv6 first, then by table and networks."""
    return (
        rule.state != ABSENT,
        (rule.family or _family(rule)) != "ipv6",
        rule.route_table or MAIN_TABLE,
        rule.ip_from or "",
        rule.ip_to or "",
        -1 if rule.priority is None else rule.priority,
    )


def rules_in(state: NetState) -> tuple[RouteRule, ...]:
    """Return the rules of a state."""
    return (state.route_rules.config if state.route_rules else None) or ()
