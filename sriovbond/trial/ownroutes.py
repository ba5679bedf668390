"""The kernel's own routes to the networks of addresses, on the way back of a change.

It makes one with its address alone: it may come where it was not before.
"""

import errno
from collections import Counter
from collections.abc import Collection, Iterable
from ipaddress import ip_interface, ip_network

from sriovbond.kernel import carried
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import RTA_DST, RTA_OIF, RouteMessage
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.routing import NodeRoute
from sriovbond.reshape import paths
from sriovbond.reshape.site import Site
from sriovbond.trial import formers
from sriovbond.trial.checkpoint import Former, Journal, message_of, route_place


def unconfigured(before: NetState) -> tuple[NodeRoute, ...]:
    """Return the routes over links themselves that are not configured, such as the kernel's own."""
    running = Counter(before.running_routes)
    rest = running - Counter(before.configured_routes)
    return tuple(row for row in rest if not row.next_hop_address)


def came(
    site: Site, journal: Journal, former_rows: Iterable[Former], own: Collection[NodeRoute]
) -> list[RouteMessage]:
    """Return the kernel's routes to networks of addresses that were not there before.

    They came with former addresses, or where a route that had their place was removed. Those before
    are in `own`.
    """
    networks = {
        row.name: {ip_interface(text).network for text in row.addresses} for row in former_rows
    }
    places = {route_place(message_of(row)) for load in journal.taken for row in load.routes}
    if not (places or any(networks.values())):
        return []
    names = {load.index: name for name, load in formers.loads(site).items()}
    known: dict[str | None, list[NodeRoute]] = {}
    for row in own:
        known.setdefault(row.next_hop_interface, []).append(row)

    def has_come(route: RouteMessage, name: str) -> bool:
        is_concerned = route_place(route) in places or _network(route) in networks.get(name, ())
        rows = known.get(name, ()) if is_concerned else ()
        return is_concerned and not any(paths.is_in_place(route, row) for row in rows)

    return [
        route
        for route in carried.unicast_routes(site.netlink)
        if carried.is_own(route) and has_come(route, names.get(route.number(RTA_OIF) or 0, ""))
    ]


def remove(site: Site, route: RouteMessage) -> None:
    """Remove a route; one that is gone is none. Raises KernelError."""
    doing = f"remove the kernel's route to {_network(route)}"
    with nl.passing_over(errno.ESRCH):
        site.netlink.send(NetlinkRequest(nl.RTM_DELROUTE, doing, route.body))


def _network(route: RouteMessage) -> object:
    target = route.address(RTA_DST)
    return ip_network(f"{target}/{route.prefix}") if target else None
