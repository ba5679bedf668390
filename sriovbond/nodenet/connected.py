"""The routes to their networks that the kernel makes of addresses, when a document's are there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from sriovbond.nodenet.joined import Joined, Pair
from sriovbond.nodenet.model import UP, IpAddress4, IpAddress6, NodeLink
from sriovbond.nodenet.normal import is_dynamic
from sriovbond.nodenet.routing import MAIN_TABLE, NodeRoute
from sriovbond.nodenet.values import family_of, is_link_local

OWN_METRICS: Final = {4: 0, 6: 256}
"""Of the kernel's own routes, unless a document has another (IP6_RT_PRIO_ADDRCONF)."""
_HOST: Final = 32
"""The prefix of an IPv4 address that is its whole network: it has no route."""


def own_routes(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return those that are there and stay, and those that come with addresses or a link."""
    there: dict[tuple[str, int], list[NodeRoute]] = {}
    for row in joined.current.running_routes:
        if row.is_hidden and not row.next_hop_address:
            place = row.next_hop_interface or "", family_of(row.destination or "")
            there.setdefault(place, []).append(row)
    coming = (
        row for pair in joined.pairs for family in (4, 6) for row in _coming(pair, family, joined)
    )
    return (*(row for place in there for row in _staying(*place, there[place], joined)), *coming)


@dataclass(frozen=True, slots=True)
class _Held:
    """The addresses of a family that a link is to have: those it has already come first."""

    staying: tuple[str, ...]
    new: tuple[str, ...]


def _staying(
    name: str, family: int, rows: Iterable[NodeRoute], joined: Joined
) -> Iterator[NodeRoute]:
    """Yield those of a link's routes whose address stays on it."""
    pair, link = joined.pair(name), joined.links.get(name)
    if link is None or joined.goes_down(name):
        return
    if pair is not None and (pair.loses(family) or _comes_anew(pair, family)):
        return
    networks = {*map(_network, _held(pair, link, family).staying)}
    yield from (row for row in rows if row.destination in networks)


def _coming(pair: Pair, family: int, joined: Joined) -> Iterator[NodeRoute]:
    """Yield those of new addresses; of all where the link comes up, or they change their place."""
    if pair.target.state != UP or pair.loses(family):
        return
    held = _held(pair, joined.links.get(pair.name) or NodeLink(), family)
    everything = (*held.staying, *held.new)
    rows = everything if _comes_anew(pair, family) else held.new
    first = {_network(row): row for row in reversed(everything)}
    known = set() if _comes_anew(pair, family) else {*map(_network, held.staying)}
    for network in dict.fromkeys(map(_network, rows)):
        if network in known or (network.endswith(f"/{_HOST}") and family == 4):  # noqa: PLR2004
            continue
        yield NodeRoute(
            destination=network,
            next_hop_interface=pair.name,
            metric=_metric(pair, family),
            table_id=_table(pair, joined),
            source=str(ip_interface(first[network]).ip) if family == 4 else None,  # noqa: PLR2004
        )


def _comes_anew(pair: Pair, family: int) -> bool:
    """Return whether the kernel makes all of a link's routes anew, elsewhere or as others."""
    before = (pair.current.controller if pair.current else None) or ""
    moves = pair.target.controller not in (None, before)
    now, wish = (link and link.ip(family) for link in (pair.current, pair.target))
    metric = wish.prefix_route_metric if wish else None
    is_other = metric is not None and metric != (now and now.prefix_route_metric)
    return pair.state_now != UP or moves or is_other


def _held(pair: Pair | None, link: NodeLink, family: int) -> _Held:
    now = link.ip(family)
    present = {_text(row): row for row in (now and now.address) or ()}
    wish = pair.target.ip(family) if pair else None
    if wish is None or wish.address is None:
        return _Held(tuple(present), ())
    wished = tuple(map(_text, wish.address))
    staying = tuple(
        text
        for text, row in present.items()
        if text in wished or _is_kept(row, is_auto=wish.is_auto)
    )
    return _Held(staying, tuple(text for text in wished if text not in present))


def _is_kept(row: IpAddress4 | IpAddress6, *, is_auto: bool) -> bool:
    return is_link_local(row.ip or "::") or (is_auto and is_dynamic(row))


def _text(row: IpAddress4 | IpAddress6) -> str:
    return f"{row.ip}/{row.prefix_length}"


def _network(address: str) -> str:
    return str(ip_interface(address).network)


def _metric(pair: Pair, family: int) -> int:
    for link in (pair.target, pair.current):
        ip = link.ip(family) if link else None
        if ip and ip.prefix_route_metric:
            return ip.prefix_route_metric
    return OWN_METRICS[family]


def _table(pair: Pair, joined: Joined) -> int:
    """Return the table of the VRF that a link is to be in, or the main one."""
    now = pair.current or NodeLink()
    name = (now if pair.target.controller is None else pair.target).controller or ""
    owner = joined.pair(name)
    links = (owner.target if owner else None, joined.links.get(name))
    tables = (link.vrf.route_table_id for link in links if link and link.vrf)
    return next(filter(None, tables), MAIN_TABLE)
