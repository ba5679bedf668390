"""In which order a difference is brought about: what keeps links up longest comes first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sriovbond.nodenet import routes
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.difference import is_resolver_new, link_difference
from sriovbond.nodenet.joined import Joined, Pair, stays
from sriovbond.nodenet.model import BOND, UP, NodeLink
from sriovbond.nodenet.routing import ABSENT, NodeRoute, RouteRule
from sriovbond.nodenet.writer import plain

_NEEDS_EMPTY: Final = ("mode", "fail_over_mac")
"""What bond_option_mode_set() and bond_option_fail_over_mac_set() refuse while there are ports."""
_OTHERS: Final = frozenset({"name", "type", "state", "controller", "ipv4", "ipv6", "identifier"})


@dataclass(frozen=True, slots=True)
class Step:
    """One change: of which interface, empty for one of the node, and what it is in words."""

    link: str
    text: str

    def __str__(self) -> str:
        return f"{self.link}: {self.text}" if self.link else self.text


def plan(joined: Joined) -> tuple[Step, ...]:
    """Return the steps in their order; none where all is there."""
    return tuple(_steps(joined))


def _steps(joined: Joined) -> Iterator[Step]:
    pairs = _bases_first(joined)
    staying = [pair for pair in pairs if pair.target.state != ABSENT]
    for pair in staying:
        yield from _make(pair)
    for pair in staying:
        yield from _change(pair, joined)
    for pair in staying:
        yield from _move_ports(pair, joined)
    for pair in staying:
        yield from _bring_up(pair)
    for pair in staying:
        yield from _address(pair, joined)
    yield from _route(joined)
    for pair in reversed(pairs):
        if pair.is_to_go:
            yield Step(pair.name, f"remove it{_what_becomes(pair)}")


def _bases_first(joined: Joined) -> list[Pair]:
    """Return the pairs so that each comes after those that it is made on or consists of."""
    pairs = {pair.name: pair for pair in joined.pairs}
    order: list[Pair] = []
    begun: set[str] = set()
    waiting = [(name, False) for name in reversed(pairs)]
    while waiting:
        name, are_bases_done = waiting.pop()
        if are_bases_done:
            order.append(pairs[name])
        elif name in pairs and name not in begun:
            begun.add(name)
            bases = reversed(_bases(pairs[name]))
            waiting += [(name, True), *((base, False) for base in bases)]
    return order


def _bases(pair: Pair) -> tuple[str, ...]:
    link = pair.current if pair.is_to_go and pair.current else pair.target
    base = link.vlan or link.mac_vlan
    names = (base.base_iface,) if base and base.base_iface else ()
    return (*names, *(ports_of(link) or ()))


def _make(pair: Pair) -> Iterator[Step]:
    if pair.current is None:
        mac = _mac_of_new(pair.target)
        text = f"make it, type {pair.target.type}{mac}"
        yield Step(pair.name, text)


def _mac_of_new(link: NodeLink) -> str:
    """Say which MAC a new bond is made with: no udev and no order of ports chooses it."""
    if link.mac_address:
        return f", mac-address {link.mac_address}"
    ports = ports_of(link) if link.type == BOND else None
    return f", mac-address that of {min(ports)}" if ports else ""


def _change(pair: Pair, joined: Joined) -> Iterator[Step]:
    """Yield a step for each value that differs, but for addresses and ports."""
    change = link_difference(pair, joined)
    if change is None or change.state == ABSENT:
        return
    former = plain(pair.current) if pair.current else {}
    values = {key: value for key, value in plain(change).items() if key not in _OTHERS}
    for path, value in _values(values, ()):
        if path[-1] in {"port", "ports-config"}:
            continue
        now = _at(former, path)
        was = "" if pair.current is None else f", now {_short(now)}"
        text = f"set {'.'.join(path)} {_short(value)}{was}{_cost(pair, path[-1])}"
        yield Step(pair.name, text)


def _cost(pair: Pair, name: str) -> str:
    """Say what a change of a bond costs: some options are taken while it has no ports."""
    if pair.target.type != BOND or name not in _NEEDS_EMPTY or pair.current is None:
        return ""
    ports = "; its ports leave for it and come back" if ports_of(pair.current) else ""
    return f"{ports}; other options go back to the defaults" if name == "mode" else ports


def _values(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and (value or not path):
        for key, part in value.items():
            yield from _values(part, (*path, key))
    else:
        yield path, value


def _at(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _move_ports(pair: Pair, joined: Joined) -> Iterator[Step]:
    """Yield who leaves and who comes: one after the other, so that one is active throughout."""
    after = ports_of(pair.target)
    if after is None:
        return
    before = (pair.current and ports_of(pair.current)) or ()
    for port in sorted(set(before) - set(after)):
        if not stays(pair.target, port, joined.links):
            yield Step(pair.name, f"release port {port}")
    for port in sorted(set(after) - set(before)):
        yield Step(pair.name, f"add port {port}{_from_where(port, joined)}")
    yield from _configure_ports(pair, joined)


def _from_where(port: str, joined: Joined) -> str:
    link = joined.links.get(port)
    if link is None:
        return ""
    owner = f", released from {link.controller}" if link.controller else ""
    addresses = (link.ipv4 and link.ipv4.enabled) or (link.ipv6 and link.ipv6.enabled)
    return f"{owner}{', its addresses taken off' if addresses else ''}"


def _configure_ports(pair: Pair, joined: Joined) -> Iterator[Step]:
    change = link_difference(pair, joined)
    if change and change.bridge and change.bridge.port:
        for port in change.bridge.port:
            if len(plain(port)) > 1:
                yield Step(pair.name, f"configure port {_line(plain(port))}")
    if change and change.link_aggregation and change.link_aggregation.ports_config:
        for entry in change.link_aggregation.ports_config:
            yield Step(pair.name, f"configure port {_line(plain(entry))}")


def _bring_up(pair: Pair) -> Iterator[Step]:
    before = pair.state_now if pair.current else "down"
    if pair.target.state in {UP, "down"} and pair.target.state != before:
        yield Step(pair.name, f"set it {pair.target.state}")


def _address(pair: Pair, joined: Joined) -> Iterator[Step]:
    change = link_difference(pair, joined)
    for family in ("ipv4", "ipv6"):
        values = plain(change).get(family) if change else None
        if values:
            yield Step(pair.name, f"set {family} {_line(values)}")


def _route(joined: Joined) -> Iterator[Step]:
    lacking, leaving = routes.lacking_routes(joined), routes.leaving_routes(joined)
    slots = {routes.slot(route): route for route in leaving}
    for route in lacking:
        former = slots.pop(routes.slot(route), None)
        text = f"replace route {_row(former)} by" if former else "add route"
        yield Step("", f"{text} {_row(route)}")
    for route in slots.values():
        yield Step("", f"remove route {_row(route)}")
    for rule in routes.lacking_rules(joined):
        yield Step("", f"add rule {_row(rule)}")
    for rule in routes.leaving_rules(joined):
        yield Step("", f"remove rule {_row(rule)}")
    if is_resolver_new(joined) and joined.desired.dns_resolver:
        config = joined.desired.dns_resolver.config
        yield Step("", f"set DNS {_line(plain(config)) or 'to nothing'}")


def _row(row: NodeRoute | RouteRule) -> str:
    return _line({key: value for key, value in plain(row).items() if key != "state"})


def _line(values: Mapping[str, object]) -> str:
    """Write values in one line."""
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items())


def _short(value: object) -> str:
    if value in (None, "", {}):
        return "nothing"
    if isinstance(value, dict):
        if set(value) == {"ip", "prefix-length"}:
            return f"{value['ip']}/{value['prefix-length']}"
        return f"({_line(value)})"
    if isinstance(value, list):
        return " ".join(map(_short, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _what_becomes(pair: Pair) -> str:
    ports = (pair.current and ports_of(pair.current)) or ()
    return f"; its ports {', '.join(ports)} stay, without addresses" if ports else ""
