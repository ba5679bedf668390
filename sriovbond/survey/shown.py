"""The state as a document that `plan` takes: without what it refuses, or what only time changes."""

from collections.abc import Collection
from dataclasses import replace

from sriovbond.nodenet.model import (
    IGNORE,
    VRF,
    Bridge,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
)
from sriovbond.nodenet.routing import NodeDns, NodeRoute, NodeRoutes, Resolver
from sriovbond.nodenet.values import NO_INTERFACE_ID


def show(state: NetState, names: Collection[str] = ()) -> NetState:
    """Return the document of a state: all of it, or interfaces of these names and their routes."""
    kinds = {link.label: link.type for link in state.interfaces or ()}
    bound = {
        link.label
        for link in state.interfaces or ()
        if link.controller and kinds.get(link.controller) != VRF
    }
    links = [link for link in state.interfaces or () if not names or link.label in names]
    return NetState(
        hostname=None if names else state.hostname,
        dns_resolver=None if names else _dns(state.dns_resolver),
        route_rules=state.route_rules if state.route_rules and not names else None,
        routes=_routes(state.routes or NodeRoutes(), bound, names),
        interfaces=tuple(_link(link, is_bound=link.label in bound) for link in links),
    )


def _dns(dns: NodeDns | None) -> NodeDns | None:
    resolver = (dns and dns.config) or Resolver()
    has_any = resolver.server or resolver.search or resolver.options
    return dns if has_any else None


def _routes(
    routes: NodeRoutes, bound: Collection[str], names: Collection[str]
) -> NodeRoutes | None:
    """Return the routes of these names; one over a port is none of the configuration's."""

    def is_of_names(route: NodeRoute) -> bool:
        return not names or route.next_hop_interface in names

    running = tuple(filter(is_of_names, routes.shown.running or ()))
    config = tuple(filter(is_of_names, routes.config or ()))
    config = tuple(route for route in config if route.next_hop_interface not in bound)
    return NodeRoutes(running, config) if running or config else None


def _link(link: NodeLink, *, is_bound: bool) -> NodeLink:
    if link.state == IGNORE:
        return link
    return replace(
        link,
        ipv4=_ipv4(link.ipv4, is_bound=is_bound),
        ipv6=_ipv6(link.ipv6, is_bound=is_bound),
        bridge=link.bridge and _bridge(link.bridge),
    )


def _ipv4(ip: Ipv4 | None, *, is_bound: bool) -> Ipv4 | None:
    """Return it without what a port must not have: its controller has the addresses."""
    if ip is not None and not ip.enabled:
        return Ipv4(enabled=False)
    return None if is_bound else ip


def _ipv6(ip: Ipv6 | None, *, is_bound: bool) -> Ipv6 | None:
    """Return it as `_ipv4`; DHCPv6 is another's, and stays where it is not mentioned."""
    if ip is not None and not ip.enabled:
        return Ipv6(enabled=False)
    if ip is None or is_bound:
        return None
    token = ip.token if ip.autoconf and ip.token != NO_INTERFACE_ID else None
    return replace(ip, dhcp=None if ip.dhcp else False, token=token)


def _bridge(bridge: Bridge) -> Bridge:
    options = bridge.options and replace(bridge.options, gc_timer=None, hello_timer=None)
    return replace(bridge, options=options)
