"""What a boot does: ends a change that was left, and applies the documents that were committed."""

import time
from collections.abc import Callable
from typing import Final

from sriovbond.errors import ConfigError, SriovbondError
from sriovbond.host import Host
from sriovbond.nodenet import document
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.document import DocumentError
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import ETHERNET, IGNORE, NetState
from sriovbond.nodenet.routing import ABSENT
from sriovbond.reshape import limits
from sriovbond.reshape.site import Site
from sriovbond.survey import node, owners
from sriovbond.trial import ending, persisted, store, transaction
from sriovbond.trial.persisted import BootDocument
from sriovbond.trial.transaction import Manner

_TIMEOUT_S: Final = 60.0
_NICS_S: Final = 30.0
_PAUSE_S: Final = 0.2
_LOCK_S: Final = 150.0
"""How long a watchdog or another change may be at work before."""


def boot(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """Apply the documents in their order; return what failed, after trying all.

    First a change that was left is ended: its document may be one of them. A document whose NICs
    are missing waits for them, for 30 s in all.
    """
    failures = _end_left(site, host, say)
    end = time.monotonic() + _NICS_S
    for kept in persisted.list_documents(host):
        try:
            wish = _read(kept)
            _await_nics(site, wish, end)
            outcome = _apply(site, host, wish, say)
            say(f"{kept.name}: {outcome}")
        except SriovbondError as error:
            failures.append(f"{kept.name}: {error.message}")
    return failures


def _end_left(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """End a change that was left; return what of it could not be reverted."""
    try:
        with store.locked(host, _LOCK_S):
            if ending.clear_the_way(site, host):
                say("a change that was left in the middle is reverted")
    except SriovbondError as error:
        return [error.message]
    return []


def _read(kept: BootDocument) -> NetState:
    try:
        return document.unite(document.read(kept.text)).state
    except DocumentError as error:
        raise ConfigError(f"cannot apply {kept.file}: {'; '.join(error.lines)}") from error


def _apply(site: Site, host: Host, wish: NetState, say: Callable[[str], None]) -> str:
    def prepare() -> Joined:
        joined = join(wish, node.read(site.node, host))
        complaints = [
            *joined.complaints,
            *owners.judge(joined, site.node, host.root),
            *limits.judge(joined),
        ]
        if complaints:
            raise ConfigError("; ".join(row.text for row in complaints))
        return joined

    manner = Manner(_TIMEOUT_S, is_waiting=False, say=say, lock_s=_LOCK_S)
    return transaction.apply(site, host, prepare, manner)


def _await_nics(site: Site, wish: NetState, end: float) -> None:
    """Wait for the NICs that a document names: their drivers may not have found them yet."""
    names = _nics(wish)
    while not all(site.find(name) for name in names) and time.monotonic() < end:
        time.sleep(_PAUSE_S)


def _nics(wish: NetState) -> set[str]:
    """Return what a document names and does not make: NICs, ports, and what others are on."""
    links = [link for link in wish.interfaces or () if link.state not in {ABSENT, IGNORE}]
    made = {link.label for link in links if link.type != ETHERNET or link.veth}
    below = {link.base or "" for link in links} - {""}
    ports = {port for link in links for port in ports_of(link) or ()}
    nics = {link.label for link in links if link.type == ETHERNET}
    return (nics | ports | below) - made
