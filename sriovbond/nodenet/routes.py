"""NodeRoutes and rules of a document beside those of a node: which are missing, which are to go."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final, TypeVar

from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import NetState
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
_FIRST_PRIORITY: Final = 30000  # nmstate's, for rules that have none
_ANY: Final = (None, "", -1)
_TABLES: Final = ("table_id", "route_table")


def lacking_routes(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the routes that are to be made."""
    present = {form for row in _configured_routes(joined.current) for form in _forms(row)}
    wishes = [row for row in _configured_routes(joined.desired) if row.state != ABSENT]
    return tuple(dict.fromkeys(row for row in wishes if _wish(row) not in present))


def leaving_routes(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the routes that are there and are to go: by name, and with their interface."""
    desired = _configured_routes(joined.desired)
    absent = [row for row in desired if row.state == ABSENT]
    wishes = {_wish(row) for row in desired if row.state != ABSENT}
    return tuple(
        row
        for row in _configured_routes(joined.current)
        if (any(matches(pattern, row) for pattern in absent) or goes_with_link(row, joined))
        and wishes.isdisjoint(_forms(row))
    )


def slot(route: NodeRoute) -> tuple[object, ...]:
    """Return what the kernel has one route for: another one takes its place, at once."""
    return route.destination, route.table_id or MAIN_TABLE, route.metric, route.route_type


def goes_with_link(route: NodeRoute, joined: Joined) -> bool:
    """Return whether a route ends because its interface goes, or loses that family."""
    pair = joined.pair(route.next_hop_interface or "")
    family = family_of(route.destination or "")
    return pair is not None and pair.drops_routes(family)


def lacking_rules(joined: Joined) -> tuple[RouteRule, ...]:
    """Return the rules that are to be made, with priorities after those that are there."""
    present = _rules(joined.current)
    gone = leaving_rules(joined)
    wishes = [_with_family(row) for row in _rules(joined.desired) if row.state != ABSENT]
    kept = [row for row in present if row not in gone]
    lacking = [row for row in wishes if not any(matches(row, other) for other in kept)]
    priorities = [row.priority or 0 for row in (*kept, *wishes)]
    last = max([_FIRST_PRIORITY - 1, *priorities])
    rules = []
    for row in lacking:
        if row.priority in _ANY:
            last += 1
            rules.append(replace(row, priority=last))
        else:
            rules.append(row)
    return tuple(rules)


def leaving_rules(joined: Joined) -> tuple[RouteRule, ...]:
    """Return the rules that are there and are to go."""
    absent = [row for row in _rules(joined.desired) if row.state == ABSENT]
    return tuple(
        row for row in _rules(joined.current) if any(matches(pattern, row) for pattern in absent)
    )


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
    """Return whether a row has all that a pattern gives; table 0 and metric -1 mean any."""
    for key in keys_of(type(pattern)):
        expected, value = getattr(pattern, key.field), getattr(row, key.field)
        if key.field == "state" or expected in _ANY or (key.field in _TABLES and expected == 0):
            continue
        if key.field == "family" and value is None:
            value = _family(row)
        if key.field in _TABLES and value is None:
            value = MAIN_TABLE
        if expected != value:
            return False
    return True


def is_there(wish: NodeRoute, row: NodeRoute) -> bool:
    """Return whether a route is the one that is wished for; a metric that is not given is any."""
    return _wish(wish) in _forms(row)


def _wish(route: NodeRoute) -> NodeRoute:
    """Return the form in which a wished route is among `_forms`: no metric is any metric."""
    return _in_one_form(replace(route, metric=None) if route.metric in _ANY else route)


def _forms(route: NodeRoute) -> tuple[NodeRoute, NodeRoute]:
    """Return a route that is there in each form that a wish for it may have."""
    return _in_one_form(route), _in_one_form(replace(route, metric=None))


def _in_one_form(route: NodeRoute) -> NodeRoute:
    return replace(route, state=None, table_id=route.table_id or MAIN_TABLE)


def _family(row: NodeRoute | RouteRule) -> str | None:
    texts = (row.ip_from, row.ip_to) if isinstance(row, RouteRule) else ()
    return next((f"ipv{family_of(text)}" for text in texts if text), None)


def _with_family(rule: RouteRule) -> RouteRule:
    is_table_given = rule.action or rule.route_table
    table = rule.route_table if is_table_given else MAIN_TABLE
    return replace(
        rule,
        family=rule.family or _family(rule),
        ip_from=rule.ip_from or None,
        ip_to=rule.ip_to or None,
        route_table=table,
    )


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
        rule.priority or -1,
    )


def _configured_routes(state: NetState) -> tuple[NodeRoute, ...]:
    return (state.routes.config if state.routes else None) or ()


def _rules(state: NetState) -> tuple[RouteRule, ...]:
    return (state.route_rules.config if state.route_rules else None) or ()
