"""Bonds: made with the MAC of a port, changed in place or emptied, and their ports."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from sriovbond.bond.links import NO_MAC
from sriovbond.bond.options import (
    DELAYS,
    MODE_NUMBERS,
    ONE_ACTIVE,
    OPTIONS,
    BondMode,
    Setting,
    option,
)
from sriovbond.bond.states import MemberState
from sriovbond.kernel import bonding, links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.bonding import Handle
from sriovbond.kernel.messages import IFLA_MASTER
from sriovbond.nodenet.acts import NEEDS_DOWN, NEEDS_EMPTY
from sriovbond.nodenet.bondoptions import followers, kernel_default, whole
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.model import UP, BondOptions, BondPort, LinkAggregation, NodeLink
from sriovbond.reshape import keeping
from sriovbond.reshape.keeping import kept
from sriovbond.reshape.site import Site
from sriovbond.survey.bonds import permanent

_PATIENCE_S: Final = 5.0
"""How long a second port waits for the first: a switch may shut ports on which a MAC is twice."""
_READ_ONLY: Final = frozenset({"mode", "use_carrier"})


def make(site: Site, link: NodeLink, *attributes: bytes) -> None:
    """Make a bond without ports, which is down. Raises KernelError."""
    bond = link.link_aggregation or LinkAggregation()
    settings = [Setting("mode", bond.mode or ""), *bond.settings]
    # a delay of 0 is refused without miimon, too (_bond_option_delay_set())
    settings = [row for row in settings if row.name not in DELAYS or row.value]
    bonding.make(site.netlink, link.label, _resolve(site, settings), *attributes)


def mac_of(site: Site, port: str) -> bytes:
    """Return the MAC that a port has, or had before it came into a bond."""
    message = site.link(port)
    return permanent(message) or message.attributes.get(messages.IFLA_ADDRESS, b"")


def change(site: Site, change: LinkAggregation, current: NodeLink) -> None:
    """Change mode and options, in place where the kernel can. Raises KernelError."""
    requests = _requests_of(change, current)
    names = {row.name for settings in requests for row in settings}
    ports = ports_of(current) or ()
    is_down_needed = bool(names & NEEDS_DOWN) and current.state == UP
    with _emptied(site, current.label, ports if names & NEEDS_EMPTY else ()):
        if is_down_needed:
            with kept(site, current.label):
                site.set_down(site.link(current.label))
                _send(site, current.label, requests)
        else:
            _send(site, current.label, requests)


def add_port(site: Site, owner: str, port: str, after: str) -> None:
    """Put a port into a bond, without addresses, when `after` is active or after 5 s.

    Raises KernelError.
    """
    bond = _handle(site, owner)
    link = site.link(port)
    if link.number(IFLA_MASTER) == bond.index:
        return
    if after:
        _await_active(site, owner, after)
    keeping.strip(site, link)
    with keeping.kept_uppers(site, port):
        if link.number(IFLA_MASTER):
            release_port(site, port)
            link = site.link(port)
        if link.is_up:
            site.set_down(link)
        site.change(link, f"put {port} into {owner}", messages.word(IFLA_MASTER, bond.index))


def release_port(site: Site, port: str) -> None:
    """Take a port out of its controller; a bond keeps its MAC. Raises KernelError.

    With its last port the kernel gives a bond a MAC by chance (__bond_release_one()).
    """
    link = site.link(port)
    present = links.read_all(site.netlink, f"look at the controller of {port}")
    owners = [row for row in present if row.index == link.number(IFLA_MASTER)]
    for owner in owners:
        site.change(link, f"take {port} out of {owner.name}", messages.word(IFLA_MASTER, 0))
        ports = [row for row in present if row.number(IFLA_MASTER) == owner.index]
        if owner.kind == "bond" and len(ports) == 1:
            words = f"set the MAC of {owner.name} to {owner.mac} again"
            octets = owner.attributes.get(messages.IFLA_ADDRESS, b"")
            site.change(owner, words, messages.attribute(messages.IFLA_ADDRESS, octets))


def configure_port(site: Site, owner: str, port: BondPort) -> None:
    """Give a port its queue and priority. Raises KernelError."""
    values = {"queue_id": port.queue_id, "prio": port.priority}
    known = {name: value for name, value in values.items() if value is not None}
    if known:
        bonding.change_member(site.netlink, _handle(site, port.name or owner), known)


def _handle(site: Site, name: str) -> Handle:
    return Handle(site.link(name).index, name)


def _resolve(site: Site, settings: Iterable[Setting]) -> list[Setting]:
    """Return options as the kernel takes them: the primary's index, zeros for no MAC.

    The kernel keeps a primary by its name, also before it is a port.
    """
    resolved = []
    for row in settings:
        value = row.value
        if row.name == "primary":
            value = site.link(str(value)).index if value else 0
        elif row.name == "ad_actor_system" and value == ():
            value = NO_MAC
        resolved.append(Setting(row.name, value))
    return resolved


def _requests_of(change: LinkAggregation, current: NodeLink) -> list[list[Setting]]:
    """Return what is to be sent in one request; delays go first where the miimon of them ends.

    A delay of 0 is what there is then: without miimon it is not taken.
    """
    now = current.link_aggregation or LinkAggregation()
    settings = _changes(change, now)
    miimon = BondOptions(tuple(settings)).value("miimon")
    if miimon or (miimon is None and whole(now.options, "miimon", change.mode or now.mode)):
        return [settings]
    delays = [row for row in settings if row.name in DELAYS]
    rest = [row for row in settings if row not in delays]
    return [delays, rest] if delays and whole(now.options, "miimon", now.mode) else [rest]


def _changes(change: LinkAggregation, now: LinkAggregation) -> list[Setting]:
    """Return what is to be sent: for a new mode, or an empty object, also the defaults.

    With miimon the delays, which the kernel keeps as multiples of it.
    """
    wishes = {row.name: row for row in change.settings}
    mode = change.mode or now.mode or ""
    is_all = change.mode is not None or (change.options and not change.settings)
    present = {row.name: row.value for row in now.settings}
    defaults = [
        Setting(row.name, kernel_default(row.name, mode))
        for row in OPTIONS
        if is_all and row.name in present and BondMode(mode) in row.modes
        if row.name not in _READ_ONLY
        if row.name in DELAYS or present[row.name] != kernel_default(row.name, mode)
    ]
    following = followers(now.options or BondOptions(), change.options or BondOptions())
    settings = {row.name: row for row in (*defaults, *(() if is_all else following))} | wishes
    first = [Setting("mode", change.mode)] if change.mode else []
    return [*first, *settings.values()]


def _send(site: Site, name: str, requests: Sequence[Sequence[Setting]]) -> None:
    bond = _handle(site, name)
    for settings in filter(None, requests):
        bonding.change(site.netlink, bond, _resolve(site, settings))


@contextmanager
def _emptied(site: Site, name: str, ports: Sequence[str]) -> Iterator[None]:
    """Take the ports out, and put them in again with what the bond has for each."""
    state = bonding.observe(site.netlink, name) if ports else None
    members = sorted(state.members, key=lambda row: not row.is_active) if state else []
    for member in members:
        release_port(site, member.name)
    yield
    for number, member in enumerate(members):
        add_port(site, name, member.name, members[0].name if number else "")
        _configure_again(site, name, member)


def _configure_again(site: Site, name: str, member: MemberState) -> None:
    """Give a port its queue again, and its priority in a mode that has one."""
    state = bonding.observe(site.netlink, name)
    mode = str(state.settings.get("mode", "")) if state else ""
    priority = member.prio if mode in option("prio").modes else None
    if member.queue_id or priority:
        configure_port(site, name, BondPort(member.name, priority, member.queue_id or None))


def _await_active(site: Site, owner: str, port: str) -> None:
    """Wait until a port is in use; a bond that is down has none."""
    deadline = min(time.monotonic() + _PATIENCE_S, site.deadline_s)
    while not _is_active(site, owner, port) and time.monotonic() < deadline:
        time.sleep(nl.PAUSE_S)


def _is_active(site: Site, owner: str, port: str) -> bool:
    state = bonding.observe(site.netlink, owner)
    if state is None or not state.is_up:
        return True
    mode = str(state.settings.get("mode", ""))
    chooses = mode in MODE_NUMBERS and BondMode(mode) in ONE_ACTIVE
    return any(
        row.name == port and row.mii_up and (row.is_active or not chooses) for row in state.members
    )
