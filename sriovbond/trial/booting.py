"""What a boot does: ends a change that was left, and applies the documents that were committed."""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from sriovbond import ownfiles
from sriovbond.dhcp import files
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
from sriovbond.trial.transaction import ChangeOutcome, Manner, RevertedError

_TIMEOUT_S: Final = 300.0
"""Of each document: long, for a boot starts much at once, and what is reverted leaves the node
without its network."""
_NICS_S: Final = 30.0
_PAUSE_S: Final = 0.2
_LEASE_S: Final = 20.0
"""How long a boot waits for servers of DHCP, in all documents: clients ask on afterwards."""
_LEAST_LEASE_S: Final = 5.0
"""What is left for a further document: a server may ask by ICMP first whether it is in use."""
_FURTHER_PASSES: Final = 2
"""How often documents are gone through again where a later one may have made what one needs."""
_PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0)
_AGAIN_S: Final = 60.0
"""How long after its first try a document is tried again: kubelet waits meanwhile."""
_SPARE: Final = "boot"
"""The state's folder, below the run folder, of a boot that cannot write the disk."""
_LOCK_S: Final = 150.0
"""How long a watchdog or another change may be at work before."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What came of a document: whether it changed the node, why it failed, what was `missing`.

    One that `is_unreadable` fails whatever the node is; behind one that `is_interrupted` no other
    is applied.
    """

    name: str
    is_changing: bool = False
    failure: str = ""
    missing: tuple[str, ...] = ()
    is_unreadable: bool = False
    is_interrupted: bool = False


@dataclass(slots=True)
class _Patience:
    """How long a boot waits, for all documents together; not for what one of them has `made`."""

    nics_end_s: float
    made: frozenset[str]
    lease_s: float = _LEASE_S


def boot(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """Apply the documents in their order; return what failed, after trying all.

    First a change that was left is ended: its document may be one of them. A document whose NICs
    are missing waits for them, for 30 s in all; then it is applied without them, which counts as a
    failure: one NIC that is broken must not keep a bond's other ports from being used. What may
    have failed for the want of a later document is tried again, and so are those behind it: the
    last one counts. A signal ends it, with the document that is being applied reverted.
    """
    failures = _end_left(site, host, say)
    documents = persisted.list_documents(host)
    if documents:
        site, without_room = _with_room(site)
        failures += without_room
    patience = _Patience(time.monotonic() + _NICS_S, _made(documents))
    rows = _apply_each(site, documents, say, patience)
    for _ in range(_FURTHER_PASSES):
        first = next((n for n in range(len(rows)) if _may_succeed(site, rows[n:])), None)
        if first is None:
            break
        say(f"{rows[first].name}: tried again, for a later document has changed the node")
        rows[first:] = _apply_each(site, documents[first:], say, patience)
    return [*failures, *(f"{row.name}: {row.failure}" for row in rows if row.failure)]


def _with_room(site: Site) -> tuple[Site, list[str]]:
    """Return a site whose state can be written; where the disk cannot, it is in memory for now.

    A node whose disk is full, or read-only, needs its network for that to be repaired. What clients
    of DHCP have is taken along.
    """
    host = site.host
    try:
        store.try_out(host)
    except SriovbondError as error:
        reason = error.message
    else:
        return site, []
    spare = replace(host, state=host.run / _SPARE)
    try:
        for folder in (host.run, spare.state):
            ownfiles.make_folder(folder, os.geteuid())
        if files.folder(host).is_dir():
            shutil.copytree(files.folder(host), files.folder(spare), dirs_exist_ok=True)
    except (OSError, SriovbondError) as error:
        return site, [reason, str(error)]
    failure = f"{reason}; the documents are applied all the same, by {spare.state}"
    return replace(site, host=spare), [failure]


def _may_succeed(site: Site, rows: Sequence[_Kept]) -> bool:
    """Return whether the first of these failed, and a later one may have made what it needs."""
    if rows[-1].is_interrupted:
        return False
    row, *later = rows
    is_there = not row.missing or any(site.find(name) for name in row.missing)
    may_succeed = bool(row.failure) and is_there and not row.is_unreadable
    return may_succeed and any(other.is_changing for other in later)


def _apply_each(
    site: Site, documents: Iterable[BootDocument], say: Callable[[str], None], patience: _Patience
) -> list[_Kept]:
    """Apply documents, those behind an interrupted one not."""
    rows: list[_Kept] = []
    for kept in documents:
        rows.append(_apply_kept(site, kept, say, patience))
        if rows[-1].is_interrupted:
            break
    return rows


def _apply_kept(
    site: Site, kept: BootDocument, say: Callable[[str], None], patience: _Patience
) -> _Kept:
    """Apply a document as far as its NICs are there, and note what came of it."""
    try:
        text = kept.text
        wish = _read(kept, text)
    except SriovbondError as error:
        enactments.note(site.host, kept.name, enactments.failed(error.message))
        return _Kept(kept.name, failure=error.message, is_unreadable=True)
    try:
        wish, missing = _await_nics(site, site.host, wish, patience)
        began_s = time.monotonic()
        whole = lacking.without(wish, missing)
        outcome = _apply_in_tries(site, kept.name, whole, say, patience.lease_s)
        left_s = patience.lease_s - (time.monotonic() - began_s)
        patience.lease_s = max(_LEAST_LEASE_S, left_s)
    except SriovbondError as error:
        enactments.note(site.host, kept.name, enactments.failed(error.message))
        is_interrupted = transaction.is_interrupted(error)
        return _Kept(kept.name, failure=error.message, is_interrupted=is_interrupted)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other documents are applied
        text = f"a fault of sriovbond: {type(error).__name__}: {error}"
        enactments.note(site.host, kept.name, enactments.failed(text))
        return _Kept(kept.name, failure=text)
    say(f"{kept.name}: {outcome}")
    failure = f"applied without {', '.join(missing)}: missing" if missing else ""
    enacted = enactments.failed(failure) if failure else enactments.CONFIGURED
    enactments.note(site.host, kept.name, enacted, text)
    is_changing = outcome is ChangeOutcome.COMMITTED
    return _Kept(kept.name, is_changing, failure, tuple(missing))


def _end_left(site: Site, host: Host, say: Callable[[str], None]) -> list[str]:
    """End a change that was left; return what of it could not be reverted.

    One whose file is malformed is set aside: it would keep every document from being applied.
    """
    try:
        with store.locked(host, _LOCK_S):
            try:
                is_reverted = ending.clear_the_way(site, host)
            except store.MalformedChangeError as error:
                return [f"{error.message}; it is kept as {store.put_aside(host)}"]
            if is_reverted:
                say("a change that was left in the middle is reverted")
    except SriovbondError as error:
        return [error.message]
    return []


def _made(documents: Iterable[BootDocument]) -> frozenset[str]:
    """Return what the documents make: none waits for what only another one brings."""
    names: set[str] = set()
    for kept in documents:
        with suppress(SriovbondError):
            names |= lacking.made(_read(kept, kept.text))
    return frozenset(names)


def _read(kept: BootDocument, text: str) -> NetState:
    try:
        return lacking.without_ignored(document.unite(document.read(text)).state)
    except DocumentError as error:
        raise ConfigError(f"cannot apply {kept.file}: {'; '.join(error.lines)}") from error


def _apply_in_tries(
    site: Site, name: str, wish: NetState, say: Callable[[str], None], lease_s: float
) -> ChangeOutcome:
    """Apply a document, five times at most where the kernel has refused it or differs from it.

    What a boot starts at once may be busy at first. What can never be is not tried again.
    """
    last_s = time.monotonic() + _AGAIN_S
    for retries, pause_s in enumerate(_PAUSES_S):
        try:
            return _apply(site, wish, say, lease_s)
        except RevertedError as error:
            if transaction.is_interrupted(error) or time.monotonic() > last_s:
                raise
            say(f"{error.message}; tried again in {pause_s:g} s")
            tried = Enacted(Reason.RETRYING, error.message, retries + 1)
            enactments.note(site.host, name, tried)
        time.sleep(pause_s)
    return _apply(site, wish, say, lease_s)


def _apply(site: Site, wish: NetState, say: Callable[[str], None], lease_s: float) -> ChangeOutcome:
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


def _await_nics(
    site: Site, host: Host, wish: NetState, patience: _Patience
) -> tuple[NetState, list[str]]:
    """Wait for the NICs that a document names: their drivers may not have found them yet.

    Return it with the names that they have at this boot, and those that are missing then.
    """
    while True:
        found, unknown = _resolve(site, host, wish)
        needed = sorted(lacking.needed(found))
        missing = [name for name in needed if name in unknown or not site.find(name)]
        if patience.made.issuperset(missing) or time.monotonic() >= patience.nics_end_s:
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
