"""Moves host links out of a pod, and restores them on the host."""

import errno
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sriovbond.bond.links import Carried, Link, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.errors import KernelError, MachineError, SriovbondError
from sriovbond.kernel import links, netns, snapshots
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netns import Namespace

_HOMECOMING_S: Final = 3.0  # the kernel returns a dying namespace's devices from a work queue
_PAUSE_S: Final = 0.05
_SUBSTITUTE: Final = "sb-"

Lose = Callable[[Iterable[SriovbondError]], None]
"""Records errors of restoring, which block nothing else."""


def send(pod: Namespace, name: str) -> None:
    """Move a link of the pod to the host, where it stays down; ignore a missing one."""
    link = links.find(pod.netlink, name)
    if link:
        send_link(pod, link)


def send_link(pod: Namespace, link: Link, was: Link | None = None) -> None:
    """Move this link of the pod to the host, under another name if its own is in use.

    `was` is its snapshot on the host, if known: the pod may have renamed it.
    """
    with netns.own() as home:
        if link.is_up:
            links.set_down(pod.netlink, link)
        _take_altnames_off(pod, home, link, was or link)
        if link.name in netns.NAMES_OF_ALL:  # a link of that name would get no IPv4
            name = a_substitute()
            links.rename(pod.netlink, link, name)
            link = replace(link, name=name)
        _move_home(pod, home, link, (was or link).name)


def _take_altnames_off(pod: Namespace, home: Namespace, link: Link, was: Link) -> None:
    """Remove altnames that the link did not have, or that another host link has by now.

    With them the kernel would refuse the move; if it refuses this, it refuses the move as well.
    """
    for name in link.altnames:
        if name not in was.altnames or links.find(home.netlink, name):
            with suppress(KernelError):
                links.remove_altname(pod.netlink, link, name)


def _move_home(pod: Namespace, home: Namespace, link: Link, name: str) -> None:
    """Move the link to the host by that name, or by another if it is in use by now."""
    first = a_substitute() if links.find(home.netlink, name) else name
    for candidate in (first, a_substitute()):
        with nl.passing_over(errno.EEXIST):
            links.move(pod.netlink, link, home.descriptor, "host", candidate)
            return
    links.move(pod.netlink, link, home.descriptor, "host", a_substitute())


def a_substitute() -> str:
    """Return a temporary name for a link, which no pod can foresee and occupy."""
    return f"{_SUBSTITUTE}{secrets.token_hex(6)}"


def restore(plan: BondPlan, lose: Lose) -> None:
    """Restore the host's members, as far as they are on the host."""
    at_home = [member.link for member in plan.members if member.place is Place.HOST]
    if not at_home:
        return
    with netns.own() as home:
        for link, was in _came(home, at_home):
            up = link.is_up
            lose(snapshots.restore_altnames(home.netlink, link, was))
            lose(snapshots.restore_itself(home.netlink, link, was, is_wanted_up=up))
        came = _came(home, at_home)
        for link, was in came:
            _restore_sysctls(home, link, was, lose)
        lacking = _without_present_routes(came)
        for link, was in lacking:
            # a refused change would be refused, and logged, again
            left = replace(was, name=link.name, mac=link.mac, mtu=link.mtu)
            lose(snapshots.restore(home.netlink, link, left))
        lose(snapshots.restore_spanning(home.netlink, lacking))
        lose(map(_describe_missing, _find_missing(at_home, came)))


def _without_present_routes(came: Sequence[tuple[Link, Link]]) -> Sequence[tuple[Link, Link]]:
    """Leave out of the snapshots the routes that their links have: they may never have left.

    One by a nexthop object would be put beside itself, as a route with the object's next hops. All
    are left in where the host's routes cannot be read now.
    """
    indices = {link.index for link, was in came if was.routes}
    if not indices:
        return came
    with netns.own() as home:  # after an error its socket cannot be used again
        try:
            present = snapshots.take(home.netlink, is_meant=lambda link: link.index in indices)
        except KernelError:
            return came
    routes = {link.index: frozenset(link.routes) for link in present}

    def lacking(link: Link, was: Link) -> tuple[Carried, ...]:
        return tuple(route for route in was.routes if route not in routes.get(link.index, ()))

    return [(link, replace(was, routes=lacking(link, was))) for link, was in came]


def _find_missing(at_home: Iterable[Link], came: Iterable[tuple[Link, Link]]) -> list[Link]:
    returned = [was for _, was in came]
    return [was for was in at_home if was not in returned]


def _describe_missing(was: Link) -> MachineError:
    """Return the loss of a link that the kernel has not returned: it may do so later."""
    name = f"{was.name} ({was.device})" if was.device else was.name
    later = "the kernel may return it later" if was.device else "it went with the pod's namespace"
    return MachineError(f"{name} is missing on the host, and cannot be restored: {later}")


def _restore_sysctls(home: Namespace, link: Link, was: Link, lose: Lose) -> None:
    """Restore a link's sysctls, by its name and before it comes up."""
    try:
        home.set_link_sysctls(link.name, was.sysctls)
    except MachineError as error:
        lose([error])


def _came(home: Namespace, at_home: Iterable[Link]) -> list[tuple[Link, Link]]:
    """Return the host links that have returned, each with its snapshot."""
    present = links.dump(home.netlink)
    pairs = [(_at_home(present, was), was) for was in at_home]
    return [(link, was) for link, was in pairs if link]


def _at_home(present: Sequence[Link], snapshot: Link) -> Link | None:
    """Find a link on the host; one without a device by its MAC too: its name may be reused."""
    if snapshot.device:
        return links.find_again(present, snapshot)
    alike = [link for link in present if (link.kind, link.mac) == (snapshot.kind, snapshot.mac)]
    by_name = [link for link in alike if link.name == snapshot.name]
    renamed = [link for link in alike if link.name.startswith(_SUBSTITUTE)]
    return next(iter((*by_name, *renamed)), None)


def wait(plan: BondPlan) -> None:
    """Wait a bounded time for devices that the kernel returns after a namespace's end."""
    expected = [
        member.link for member in plan.members if member.place is Place.HOST and member.link.device
    ]
    deadline = time.monotonic() + _HOMECOMING_S
    while expected and time.monotonic() < deadline:
        with netns.own() as home:
            present = links.dump(home.netlink)
        if all(links.find_again(present, link) for link in expected):
            return
        time.sleep(_PAUSE_S)
