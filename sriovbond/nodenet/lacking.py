"""A document without the interfaces that are missing on a node, such as a broken NIC. No I/O."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from sriovbond.bond.options import Setting
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.model import (
    ETHERNET,
    IGNORE,
    VRF,
    BondOptions,
    Bridge,
    LinkAggregation,
    NetState,
    NodeLink,
    Vrf,
)
from sriovbond.nodenet.pairs import peers_of
from sriovbond.nodenet.routing import ABSENT, NodeDns, NodeRoute, NodeRoutes

_OF_NICS: Final = (None, ETHERNET)


def needed(wish: NetState) -> set[str]:
    """Return what a document names and does not make: NICs, ports, what others are on.

    Also what its routes and DNS servers are over, but for routes that it removes. What has no type
    cannot be made.
    """
    links = _links(wish)
    below = {link.base or "" for link in links}
    ports = {port for link in links for port in ports_of(link) or ()}
    nics = {link.label for link in links if link.type in _OF_NICS}
    over = {_over(row) for row in wish.configured_routes}
    over |= {_zone(server) for server in _servers(wish)}
    return (nics | ports | below | over) - made(wish) - {""}


def made(wish: NetState) -> set[str]:
    """Return the interfaces that a document makes where they are missing."""
    links = _links(wish)
    own = {link.label for link in links if link.type not in _OF_NICS or link.veth}
    return own | peers_of(links).keys()


def _over(route: NodeRoute) -> str:
    """Return the interface that a route of a document needs, empty for none."""
    is_without = route.state == ABSENT or route.route_type
    return "" if is_without else route.next_hop_interface or ""


def _servers(wish: NetState) -> tuple[str, ...]:
    config = wish.dns_resolver.config if wish.dns_resolver else None
    return (config.server if config else None) or ()


def _zone(server: str) -> str:
    """Return the interface that a DNS server is over, empty for any."""
    return server.partition("%")[2]


def _links(wish: NetState) -> list[NodeLink]:
    return [link for link in wish.interfaces or () if link.state not in {ABSENT, IGNORE}]


def without_ignored(wish: NetState) -> NetState:
    """Return a document without the ports and controllers that it ignores.

    They are in it for they stayed where they were when it was kept; a boot has no such place.
    """
    ignored = {link.label for link in wish.interfaces or () if link.state == IGNORE}
    if not ignored:
        return wish
    links = (
        replace(
            _without_mention(link, ignored),
            copy_mac_from=link.copy_mac_from,
            controller=None if link.controller in ignored else link.controller,
        )
        for link in wish.interfaces or ()
    )
    return replace(wish, interfaces=tuple(links))


def without(wish: NetState, missing: Collection[str]) -> NetState:
    """Return a document without these interfaces, and without what is on or over them.

    Bonds and bridges have the ports that are left; one without any is left out, for its routes
    would take what another interface may still carry.
    """
    gone, links = set(missing), list(wish.interfaces or ())
    while more := {row.label for row in links if _stands_on(row, gone)} - gone:
        gone |= more
    kept = tuple(_without_mention(link, gone) for link in links if link.label not in gone)
    return replace(
        wish,
        interfaces=None if wish.interfaces is None else kept,
        routes=wish.routes and without_routes(wish.routes, gone),
        dns_resolver=wish.dns_resolver and _without_servers(wish.dns_resolver, gone),
    )


def _without_servers(dns: NodeDns, gone: Collection[str]) -> NodeDns:
    """Return the resolver without servers over these, and without any it keeps the node's own."""
    config = dns.config
    if config is None or not config.server:
        return dns
    left = tuple(server for server in config.server if _zone(server) not in gone)
    return replace(dns, config=replace(config, server=left or None))


def _stands_on(link: NodeLink, gone: Collection[str]) -> bool:
    """Return whether an interface is on one of these, or has no other ports."""
    ports = () if link.type == VRF else ports_of(link) or ()
    return link.base in gone or (bool(ports) and all(name in gone for name in ports))


def without_ports(link: NodeLink, gone: Collection[str]) -> NodeLink:
    """Return an interface without these among its ports."""
    return replace(
        link,
        link_aggregation=link.link_aggregation and _bond(link.link_aggregation, gone),
        bridge=link.bridge and _bridge(link.bridge, gone),
        vrf=link.vrf and _vrf(link.vrf, gone),
    )


def without_routes(routes: NodeRoutes, gone: Collection[str]) -> NodeRoutes:
    """Return routes without those over these interfaces."""
    lists = {"config": routes.config, "running": routes.running}
    return replace(
        routes,
        **{
            name: tuple(row for row in rows if row.next_hop_interface not in gone)
            for name, rows in lists.items()
            if rows is not None
        },
    )


def _without_mention(link: NodeLink, gone: Collection[str]) -> NodeLink:
    """Return an interface that names none of these."""
    rest = without_ports(link, gone)
    bond = rest.link_aggregation
    return replace(
        rest,
        link_aggregation=bond
        and replace(bond, options=bond.options and _options(bond.options, gone)),
        copy_mac_from=None if link.copy_mac_from in gone else link.copy_mac_from,
    )


def _bond(bond: LinkAggregation, gone: Collection[str]) -> LinkAggregation:
    rows = bond.ports_config
    return replace(
        bond,
        port=None if bond.port is None else tuple(name for name in bond.port if name not in gone),
        ports_config=None if rows is None else tuple(row for row in rows if row.name not in gone),
    )


def _options(options: BondOptions, gone: Collection[str]) -> BondOptions | None:
    def is_meant(row: Setting) -> bool:
        return row.name == "primary" and str(row.value) in gone

    left = tuple(row for row in options.settings if not is_meant(row))
    return BondOptions(left) if left or not options.settings else None  # an empty one is defaults


def _bridge(bridge: Bridge, gone: Collection[str]) -> Bridge:
    if bridge.port is None:
        return bridge
    return replace(bridge, port=tuple(row for row in bridge.port if row.name not in gone))


def _vrf(vrf: Vrf, gone: Collection[str]) -> Vrf:
    if vrf.port is None:
        return vrf
    return replace(vrf, port=tuple(name for name in vrf.port if name not in gone))
