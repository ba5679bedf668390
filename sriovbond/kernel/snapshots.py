"""Snapshots of links with addresses and routes, and restoring links from them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sriovbond.bond.links import Link
from sriovbond.errors import KernelError
from sriovbond.kernel import carried, ioctls, links
from sriovbond.kernel.messages import IFF_SLAVE, IFF_UP
from sriovbond.kernel.netlink import Netlink

_MOST_LINKS: Final = 1 << 13  # of 5 KB each
_MOST_CARRIED: Final = 1 << 16  # addresses, and routes, of less than 1 KB each


def take(
    netlink: Netlink, *, is_bounded: bool = False, is_meant: Callable[[Link], bool] | None = None
) -> list[Link]:
    """Return every link with its addresses and routes.

    With `is_bounded`, for a pod: KernelError, E2BIG for more than a pod needs; then the socket must
    be closed. A default route by router advertisement does not count there: each VF that a mover
    leaves up may get one. With `is_meant`, for a host: only the links that it accepts have routes,
    bounded too; those of others take no memory, and a node may have the Internet's.
    """
    most_links = _MOST_LINKS if is_bounded else None
    most_carried = _MOST_CARRIED if is_bounded or is_meant else None
    related = links.read_related(netlink, most_links)
    meant = {link.index for link in related if is_meant(link)} if is_meant else None
    macs = {link.index: link.mac for link in related}
    addresses = carried.addresses(netlink, macs, most_carried)
    present_routes = carried.unicast_routes(netlink, most_carried, over=meant)
    routes = carried.routes(present_routes)
    default = carried.default_route_carriers(present_routes, are_advertised_counted=not is_bounded)
    return [
        replace(
            link,
            addresses=tuple(addresses.get(link.index, ())),
            routes=tuple(routes.get(link.index, ())),
            has_default_route=link.index in default,
        )
        if link.index in addresses or link.index in routes or link.index in default
        else link
        for link in related
    ]


def restore(netlink: Netlink, link: Link, before: Link) -> list[KernelError]:
    """Restore `link` from the snapshot: name, MAC, MTU, alias, up or down, addresses, routes.

    Returns what the kernel refused, after trying all. Idempotent. Routes that need other links too
    are restored by `restore_spanning`. Those by router advertisement are not: the kernel asks the
    routers when the link is up; put back they would have no end, and it could not renew them.
    """
    own = _steps_back(netlink, link, before, is_wanted_up=before.is_up)
    return _try_all((*own, *_put_carried_back(netlink, link, before)))


def restore_itself(
    netlink: Netlink, link: Link, before: Link, *, is_wanted_up: bool = False
) -> list[KernelError]:
    """Restore `link` without addresses and routes, and down by default; as `restore`."""
    return _try_all(_steps_back(netlink, link, before, is_wanted_up=is_wanted_up))


def is_restored(netlink: Netlink, before: Link) -> bool:
    """Return whether this very link is in the state of `restore_itself`, and in no bond."""
    name = before.name
    return (
        ioctls.name(netlink, before.index) == name
        and not ioctls.flags(netlink, name) & (IFF_UP | IFF_SLAVE)
        and ioctls.mac(netlink, name) == before.mac
        and ioctls.mtu(netlink, name) == before.mtu
        and (not before.alias or _alias(netlink, name) == before.alias)
    )


def _alias(netlink: Netlink, name: str) -> str:
    link = links.find(netlink, name)
    return link.alias if link else ""


def restore_altnames(netlink: Netlink, link: Link, before: Link) -> list[KernelError]:
    """Restore the altnames of the snapshot, and remove others; as `restore`."""
    more = [altname for altname in link.altnames if altname not in before.altnames]
    less = [altname for altname in before.altnames if altname not in link.altnames]
    away = [partial(links.remove_altname, netlink, link, name) for name in more]
    back = [
        partial(links.add_altname, netlink, replace(link, name=before.name), name) for name in less
    ]
    return _try_all([*away, *back])


def restore_spanning(netlink: Netlink, pairs: Sequence[tuple[Link, Link]]) -> list[KernelError]:
    """Restore the routes over several links, once these are restored; as `restore`.

    A pair is a current link and its snapshot.
    """
    indices = {before.index: link.index for link, before in pairs}
    spanning = {
        route: link.name
        for link, before in pairs
        for route in before.routes
        if carried.spans_links(route) and not route.is_route_of_router
    }
    return _try_all(
        partial(carried.put_route_back, netlink, name, indices, route)
        for route, name in spanning.items()
    )


def _try_all(steps: Iterable[Callable[[], None]]) -> list[KernelError]:
    failures = []
    for step in steps:
        try:
            step()
        except KernelError as error:
            failures.append(error)
    return failures


def _steps_back(
    netlink: Netlink, link: Link, before: Link, *, is_wanted_up: bool
) -> Iterator[Callable[[], None]]:
    is_up = link.is_up
    if link.name != before.name:
        if is_up:
            yield partial(links.set_down, netlink, link)
            is_up = False
        yield partial(links.rename, netlink, link, before.name)
    if link.mac != before.mac:
        yield partial(links.set_mac, netlink, link, before.mac)
    if link.mtu != before.mtu:
        yield partial(links.set_mtu, netlink, link, before.mtu)
    if link.alias != before.alias:
        yield partial(links.set_alias, netlink, link, before.alias)
    if is_up != is_wanted_up:
        yield partial(links.set_up if is_wanted_up else links.set_down, netlink, link)


def _put_carried_back(netlink: Netlink, link: Link, before: Link) -> Iterator[Callable[[], None]]:
    for address in before.addresses:
        yield partial(carried.put_address_back, netlink, before.name, link.index, address)
    indices = {before.index: link.index}
    for route in before.routes:
        if not (carried.spans_links(route) or route.is_route_of_router):
            yield partial(carried.put_route_back, netlink, before.name, indices, route)
