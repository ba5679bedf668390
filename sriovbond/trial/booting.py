"""What a boot does: ends a change that was left, and applies the documents that were committed."""

import time
from collections.abc import Callable
from typing import Final

from sriovbond.errors import ConfigError, SriovbondError
from sriovbond.host import Host
from sriovbond.nodenet import document, lacking, names
from sriovbond.nodenet.document import DocumentError
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import NetState
from sriovbond.reshape import limits
from sriovbond.reshape.site import Site
from sriovbond.survey import node, owners
from sriovbond.trial import enactments, ending, persisted, store, transaction
from sriovbond.trial.enactments import Enacted, Reason
from sriovbond.trial.persisted import BootDocument
from sriovbond.trial.transaction import Manner, RevertedError

_TIMEOUT_S: Final = 300.0
"""Of each document: long, for a boot starts much at once, and what is reverted leaves the node
without its network."""
_NICS_S: Final = 30.0
_PAUSE_S: Final = 0.2
_LEASE_S: Final = 20.0
"""How long a boot waits for servers of DHCP, in all documents: clients ask on afterwards."""
_LEAST_LEASE_S: Final = 5.0
"""What is left for a further document: a server may ask by ICMP first whether it is in use."""
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
_AGAIN_S: Final = 60.0
"""How long after its first try a document is tried again: kubelet waits meanwhile."""
_LOCK_S: Final = 150.0
"""How long a watchdog or another change may be at work before."""


def boot(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """Apply the documents in their order; return what failed, after trying all.

    First a change that was left is ended: its document may be one of them. A document whose NICs
    are missing waits for them, for 30 s in all; then it is applied without them, which counts as a
    failure: one NIC that is broken must not keep a bond's other ports from being used.
    """
    failures = _end_left(site, host, say)
    end = time.monotonic() + _NICS_S
    lease_s = _LEASE_S
    for kept in persisted.list_documents(host):
        try:
            document_text = kept.text
            wish, missing = _await_nics(site, host, _read(kept, document_text), end)
            began_s = time.monotonic()
            whole = lacking.without(wish, missing)
            outcome = _apply_in_tries(site, kept.name, whole, say, lease_s)
            lease_s = max(_LEAST_LEASE_S, lease_s - (time.monotonic() - began_s))
            say(f"{kept.name}: {outcome}")
            enacted = enactments.CONFIGURED
            if missing:
                text = f"applied without {', '.join(missing)}: missing"
                failures.append(f"{kept.name}: {text}")
                enacted = enactments.failed(text)
            enactments.note(host, kept.name, enacted, document_text)
        except SriovbondError as error:
            failures.append(f"{kept.name}: {error.message}")
            enactments.note(host, kept.name, enactments.failed(error.message))
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


def _read(kept: BootDocument, text: str) -> NetState:
    try:
        return document.unite(document.read(text)).state
    except DocumentError as error:
        raise ConfigError(f"cannot apply {kept.file}: {'; '.join(error.lines)}") from error


def _apply_in_tries(
    site: Site, name: str, wish: NetState, say: Callable[[str], None], lease_s: float
) -> str:
    """Apply a document, five times at most where the kernel has refused it or differs from it.

    What a boot starts at once may be busy at first. What can never be is not tried again.
    """
    last_s = time.monotonic() + _AGAIN_S
    for retries, pause_s in enumerate(_PAUSES_S):
        try:
            return _apply(site, wish, say, lease_s)
        except RevertedError as error:
            if time.monotonic() > last_s:
                raise
            say(f"{error.message}; tried again in {pause_s:g} s")
            tried = Enacted(Reason.RETRYING, error.message, retries + 1)
            enactments.note(site.host, name, tried)
        time.sleep(pause_s)
    return _apply(site, wish, say, lease_s)


def _apply(site: Site, wish: NetState, say: Callable[[str], None], lease_s: float) -> str:
    host = site.host

    def prepare() -> Joined:
        joined = join(wish, node.read(site.node, host))
        complaints = [
            *joined.complaints,
            *owners.judge(joined, site.node, host.root),
            *limits.judge(joined),
        ]
        for row in complaints:
            if row.is_taken:  # it was so when it was kept, and a boot begins without it
                say(row.text)
        refused = [row.text for row in complaints if not row.is_taken]
        if refused:
            raise ConfigError("; ".join(refused))
        return joined

    manner = Manner(_TIMEOUT_S, is_waiting=False, say=say, lock_s=_LOCK_S, lease_s=lease_s)
    return transaction.apply(site, host, prepare, manner)


def _await_nics(site: Site, host: Host, wish: NetState, end: float) -> tuple[NetState, list[str]]:
    """Wait for the NICs that a document names: their drivers may not have found them yet.

    Return it with the names that they have at this boot, and those that are missing then.
    """
    while True:
        found, unknown = _resolve(site, host, wish)
        needed = sorted(lacking.needed(found))
        missing = [name for name in needed if name in unknown or not site.find(name)]
        if not missing or time.monotonic() >= end:
            return found, missing
        time.sleep(_PAUSE_S)


def _resolve(site: Site, host: Host, wish: NetState) -> tuple[NetState, set[str]]:
    """Return a document by the names of this boot, and what none has the MAC or PCI address of."""
    links = wish.interfaces or ()
    if all(link.identifier in (None, "name") for link in links):
        return wish, set()
    present = {link.label: link for link in node.read(site.node, host).interfaces or ()}
    unknown = {link.label for link in links if names.is_unknown(link, present)}
    return names.resolve(wish, present), unknown
