"""How links of the host leave a pod, and become at home what they were."""

import errno
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from sriovbond.bond.links import Link, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.errors import KernelError, MachineError, SriovbondError
from sriovbond.kernel import links, netns, snapshots
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netns import Namespace

_HOMECOMING_S: Final = 3.0  # a dying namespace hands its devices back from a work queue
_PAUSE_S: Final = 0.05
_SUBSTITUTE: Final = "sb-"

Lose = Callable[[Iterable[SriovbondError]], None]
"""Takes note of what could not be put back, which holds up nothing else."""


def send(pod: Namespace, name: str) -> None:
    """Move a link of the pod to the host, where it stays down; nothing if it is not there."""
    link = links.find(pod.netlink, name)
    if link:
        send_link(pod, link)


def send_link(pod: Namespace, link: Link, was: Link | None = None) -> None:
    """Move this link of the pod to the host, under another name where its own is taken.

    `was` is what it was there, where that is known: the pod may have named it like any other.
    """
    with netns.own() as home:
        if link.is_up:
            links.set_down(pod.netlink, link)
        _take_altnames_off(pod, home, link, was or link)
        if link.name in netns.NAMES_OF_ALL:  # one that arrives so gets no IPv4
            name = a_substitute()
            links.rename(pod.netlink, link, name)
            link = replace(link, name=name)
        _move_home(pod, home, link, (was or link).name)


def _take_altnames_off(pod: Namespace, home: Namespace, link: Link, was: Link) -> None:
    """Take from the link what it was not called, and what another of the host is called by now.

    The kernel would refuse the move; where it refuses this, so is the move.
    """
    for name in link.altnames:
        if name not in was.altnames or links.find(home.netlink, name):
            with suppress(KernelError):
                links.remove_altname(pod.netlink, link, name)


def _move_home(pod: Namespace, home: Namespace, link: Link, name: str) -> None:
    """Move the link home by that name, or by another where it is taken, or was meanwhile."""
    first = a_substitute() if links.find(home.netlink, name) else name
    for candidate in (first, a_substitute()):
        with nl.passing_over(errno.EEXIST):
            links.move(pod.netlink, link, home.descriptor, "host", candidate)
            return
    links.move(pod.netlink, link, home.descriptor, "host", a_substitute())


def a_substitute() -> str:
    """Return a name for a link that cannot have its own yet; no pod can foresee and take it."""
    return f"{_SUBSTITUTE}{secrets.token_hex(6)}"


def restore(plan: BondPlan, lose: Lose) -> None:
    """Make the host's members what they were, as far as they are at home."""
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
            # what was refused would be refused, and logged, again
            left = replace(was, name=link.name, mac=link.mac, mtu=link.mtu)
            lose(snapshots.restore(home.netlink, link, left))
        lose(snapshots.restore_spanning(home.netlink, came))


def _restore_sysctls(home: Namespace, link: Link, was: Link, lose: Lose) -> None:
    """Give a link its sysctls again, by its name and before it comes up."""
    try:
        home.set_link_sysctls(link.name, was.sysctls)
    except MachineError as error:
        lose([error])


def _came(home: Namespace, at_home: Iterable[Link]) -> list[tuple[Link, Link]]:
    """Return those of the host's links that are there, as they are, with what they were."""
    present = links.dump(home.netlink)
    pairs = [(_at_home(present, was), was) for was in at_home]
    return [(link, was) for link, was in pairs if link]


def _at_home(present: Sequence[Link], snapshot: Link) -> Link | None:
    """Find a link at home; one without a device by its MAC too: its name may be another's now."""
    if snapshot.device:
        return links.find_again(present, snapshot)
    alike = [link for link in present if (link.kind, link.mac) == (snapshot.kind, snapshot.mac)]
    by_name = [link for link in alike if link.name == snapshot.name]
    renamed = [link for link in alike if link.name.startswith(_SUBSTITUTE)]
    return next(iter((*by_name, *renamed)), None)


def wait(plan: BondPlan) -> None:
    """Wait a bounded time for devices that the kernel hands back after a namespace's end."""
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
