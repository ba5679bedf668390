"""Which new routes cannot be: over what is down, by a gateway out of reach, to no network."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Final

from sriovbond.nodenet import routes
from sriovbond.nodenet.checks import Complaint
from sriovbond.nodenet.model import DOWN, NodeLink
from sriovbond.nodenet.pairs import Joined
from sriovbond.nodenet.routing import ABSENT, MAIN_TABLE, NodeRoute
from sriovbond.nodenet.values import family_of, is_link_local

_Network = IPv4Network | IPv6Network
_OF_THIS_HOST: Final = IPv4Network("0.0.0.0/8")
"""Of no use as a destination (RFC 6890); the default route is 0.0.0.0/0."""


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what is wrong with the routes that are to be made.

    Where a server of DHCP or a router gives addresses, they are not known yet.
    """
    new = frozenset(routes.lacking_routes(joined))
    direct = _Direct(joined)
    for number, route in enumerate(joined.desired.configured_routes):
        if route.state != ABSENT and not route.route_type and route in new:
            for text in _faults(route, joined, direct):
                yield Complaint(("routes", "config", number), text)


@dataclass(frozen=True, slots=True)
class _Direct:
    """The networks on each interface itself in some tables, found once for all of its routes."""

    joined: Joined
    known: dict[tuple[str, frozenset[int]], tuple[_Network, ...]] = field(default_factory=dict)

    def of(self, route: NodeRoute) -> tuple[_Network, ...]:
        """Return those of the route's interface, in the tables where its gateway is looked for."""
        place = route.next_hop_interface or "", _tables(route, self.joined)
        if place not in self.known:
            self.known[place] = tuple(map(ip_network, _direct(*place, self.joined)))
        return self.known[place]


def _faults(route: NodeRoute, joined: Joined, direct: _Direct) -> Iterator[str]:
    name, family = route.next_hop_interface or "", family_of(route.destination or "")
    pair = joined.pair(name)
    network = ip_network(route.destination or "::/0")
    if isinstance(network, IPv4Network) and network.subnet_of(_OF_THIS_HOST):
        yield f"{network} is in {_OF_THIS_HOST}, to which none is routed; the default is 0.0.0.0/0"
    if joined.is_ignored(name):
        yield f"{name} is to be ignored, and so are routes over it"
    if joined.state_of(name) == DOWN:
        yield f"{name} is down: a route needs it up"
    own = _addresses(name, family, joined)
    is_without = pair is not None and pair.loses(family)  # which is a complaint by itself
    if route.next_hop_address and own is not None and not is_without:
        yield from _of_gateway(route, route.next_hop_address, own, direct)


def _of_gateway(
    route: NodeRoute, gateway: str, own: Iterable[str], direct: _Direct
) -> Iterator[str]:
    address, name = ip_address(gateway), route.next_hop_interface or ""
    is_own = any(ip_interface(row).ip == address for row in own)
    if is_own and address.version == 6:  # noqa: PLR2004 - of IPv4 the kernel takes it: on-link
        yield f"next-hop-address {gateway} is {name}'s own address"
    networks = [*(ip_interface(row).network for row in own), *direct.of(route)]
    if not is_link_local(gateway) and not any(address in network for network in networks):
        present = ", ".join(own) or "none"
        fault = f"next-hop-address {gateway} is in no network of {name}; its addresses: {present}"
        remedy = (
            f"a route to {ip_network(gateway)} over {name} without a gateway makes it reachable"
        )
        yield f"{fault}; {remedy}"


def _tables(route: NodeRoute, joined: Joined) -> frozenset[int]:
    """Return the tables in which the kernel may look for a gateway: its own, and those of rules."""
    sections = (joined.current.route_rules, joined.desired.route_rules)
    rules = [row for section in sections if section for row in section.config or ()]
    own = route.table_id or MAIN_TABLE
    return frozenset({own, MAIN_TABLE, *(row.route_table or MAIN_TABLE for row in rules)})


def _direct(name: str, tables: Collection[int], joined: Joined) -> Iterator[str]:
    """Yield the networks on an interface itself, without those that its addresses have now."""
    link = joined.links.get(name) or NodeLink()
    before = {str(ip_interface(f"{row.ip}/{row.prefix_length}").network) for row in link.addresses}
    wishes, present = joined.desired.configured_routes, joined.current.configured_routes
    running = joined.current.running_routes
    for row in (*wishes, *present, *running):
        is_direct = row.next_hop_interface == name and not row.next_hop_address
        is_direct = is_direct and (row.table_id or MAIN_TABLE) in tables
        if is_direct and row.state != ABSENT and row.destination and row.destination not in before:
            yield row.destination


def _addresses(name: str, family: int, joined: Joined) -> list[str] | None:
    """Return the addresses that an interface is to have; None where they are not known."""
    pair, now = joined.pair(name), joined.links.get(name) or NodeLink()
    present = now.ip(family)
    if pair and pair.loses(family):
        return []
    wish = pair.target.ip(family) if pair else None
    decisive = wish if wish and wish.enabled is not None else present
    if decisive is None or decisive.is_auto:
        return None
    rows = present if wish is None or wish.address is None else wish
    return [f"{row.ip}/{row.prefix_length}" for row in (rows and rows.address) or ()]
