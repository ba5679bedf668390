"""`sriovbond host apply`, `commit` and `rollback`: a change for a person at a terminal."""

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import click

from sriovbond.container import entering, program
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.log import visible
from sriovbond.nodenet.joined import Joined
from sriovbond.reshape.site import Site
from sriovbond.trial import (
    booting,
    ending,
    footprints,
    guard,
    probes,
    removal,
    store,
    transaction,
    unit,
)
from sriovbond.trial.transaction import ChangeOutcome, Manner
from sriovbond.trial.watchdog import ARMED

_REVERTED, _REFUSED, _STUCK = 1, 2, 3
_LOOK_S: Final = 1.0


def apply(prepare: Callable[[], Joined], timeout_s: float, name: str, *, is_waiting: bool) -> int:
    """Make a change, and report it; return the status."""
    is_asking = sys.stdin.isatty() and sys.stdout.isatty() and not is_waiting
    manner = Manner(timeout_s, is_waiting, _say, name, _confirm if is_asking else None)
    with _reported() as status, _opened() as site:
        outcome = transaction.apply(site, Host(), prepare, manner)
        _say(_WORDS[outcome])
        if name:
            _keep_for_boot()
    return status[0]


def commit() -> int:
    """Keep the change that waits, and report it; return the status."""
    with _reported() as status:
        _refuse_unless_root()
        transaction.commit(Host())
        _say("committed")
    return status[0]


def rollback() -> int:
    """Revert the change that waits, and report it; return the status."""
    with _reported() as status, _opened() as site:
        transaction.rollback(site, Host())
        _say("all is as it was before")
    return status[0]


def remove() -> int:
    """Remove documents, units and clients of DHCP, and report it; return the status."""
    with _reported() as status, _opened() as site:
        for words in removal.remove(site, Host()):
            _say(words)
        launcher = program.copied_to()
        if launcher and not store.file(Host()).exists():  # else the change's watchdog needs it
            from sriovbond.container import copying  # noqa: PLC0415 - of a copy only

            copying.remove(launcher.parent)  # at the very end: this process runs from it
    return status[0]


def boot() -> int:
    """Apply the documents that were committed, and report it; return the status."""
    with _reported() as status, _opened() as site:
        for failure in booting.boot(site, Host(), _say):
            click.echo(visible(f"Error: {failure}"), err=True)
            status[0] = _REVERTED
    return status[0]


def watch(host: Host, name: str, *, is_leaving: bool) -> int:
    """Revert the change of that id unless it is kept in time; return the status.

    `is_leaving`: the end of the container that began the change must not end this process.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with _reported() as status, netns.own() as own:
        if is_leaving:
            program.leave_container()
        if not guard.watch(Site(own, host.root, host.places.sysfs, host), host, name, _say_armed):
            status[0] = _STUCK
    return status[0]


_WORDS: Final = {
    ChangeOutcome.NOTHING_TO_DO: "nothing to do",
    ChangeOutcome.COMMITTED: "committed",
    ChangeOutcome.WAITING: "the change waits: `sriovbond host commit` keeps it",
}


def _say(text: str) -> None:
    click.echo(visible(text))


def _keep_for_boot() -> None:
    """See that the unit is installed; a change stays where that is not possible."""
    try:
        if not unit.install(Host()):
            _say("systemd does not run here: no boot applies the document")
    except SriovbondError as error:
        click.echo(visible(f"warning: {error.message}"), err=True)


def _say_armed() -> None:
    """Report once, and leave the pipe: the process that reads it may be gone later."""
    os.write(sys.stdout.fileno(), f"{ARMED} {os.getpid()}\n".encode())
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


@contextmanager
def _opened() -> Iterator[Site]:
    _refuse_unless_root()
    host = Host()
    with netns.own() as own:
        yield Site(own, host.root, host.places.sysfs, host)


def _refuse_unless_root() -> None:
    if os.geteuid() != 0:
        raise MachineError("cannot change the node's network: only root may; call it as root")


@contextmanager
def _reported() -> Iterator[list[int]]:
    """Report an error, and have its status in the list."""
    status = [0]
    try:
        yield status
    except SriovbondError as error:
        click.echo(visible(f"Error: {error.message}"), err=True)
        is_stuck = isinstance(error, ending.StuckError)
        is_reverted = isinstance(error, transaction.RevertedError)
        status[0] = _STUCK if is_stuck else _REVERTED if is_reverted else _REFUSED


def _confirm(joined: Joined, left_s: Callable[[], float]) -> bool:
    """Ask a person whether a change is kept that may cut them off; return their answer."""
    if not _may_cut_off(joined):
        return True
    while left_s() > _LOOK_S:
        click.echo(f"\rkeep the change? It is reverted in {left_s():.0f} s [y/N] ", nl=False)
        if select.select([sys.stdin], [], [], _LOOK_S)[0]:
            return sys.stdin.readline().strip().lower() in {"y", "yes"}
    return False


def _may_cut_off(joined: Joined) -> bool:
    """Return whether the change touches what a default route is over, or a person is on ssh."""
    links = {link.label: link for link in joined.current.interfaces or ()}
    names = footprints.closure((pair.name for pair in joined.pairs), links)
    carriers = {probe.link for probe in probes.choose(joined.current)} - {""}
    is_remote = "SSH_CONNECTION" in os.environ or entering.came_from_container()
    return is_remote or not carriers.isdisjoint(names)
