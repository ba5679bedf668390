"""How a change in progress ends: committed, or reverted by whatever process does it first.

Its lock is held. A change of another boot has only files to restore: its links went with that boot.
"""

from contextlib import suppress
from dataclasses import replace

from sriovbond.errors import MachineError, SriovbondError, TryLaterError
from sriovbond.host import Host
from sriovbond.reshape.site import Site
from sriovbond.trial import enactments, persisted, restoring, store, watchdog
from sriovbond.trial.checkpoint import Checkpoint, Phase
from sriovbond.trial.enactments import Enacted


class StuckError(MachineError):
    """A change was reverted but for what its faults say."""


def commit(host: Host, checkpoint: Checkpoint, *, is_watchdog: bool = False) -> None:
    """Keep the change as it is: from here on nothing reverts it. Idempotent. Raises MachineError.

    A change that is stuck is not what its document says, and not kept for a boot. Where a document
    cannot be kept, the change is not committed either.
    """
    if checkpoint.name and checkpoint.phase is not Phase.STUCK:
        store.write(host, replace(checkpoint, phase=Phase.KEPT))
        try:
            persisted.keep(host, checkpoint.name, checkpoint.document)
        except MachineError:
            _write_if_possible(host, checkpoint)
            raise
        _enact(host, checkpoint, enactments.CONFIGURED)
    _forget(host, checkpoint, is_watchdog=is_watchdog)


def revert(
    site: Site,
    host: Host,
    checkpoint: Checkpoint,
    *,
    why: str = "it was not kept",
    is_watchdog: bool = False,
) -> None:
    """Revert a change, and forget it where that succeeds whole. Idempotent.

    One that is committed stays, and what is left of its commit is done.
    Raises StuckError with what could not be reverted: it is on disk too, and is tried again by the
    watchdog and by `host rollback`; not after a boot, which has ended all but files, and which
    nothing may keep from applying its documents. Raises MachineError where it is of another network
    namespace.
    """
    if checkpoint.phase is Phase.KEPT:
        commit(host, checkpoint, is_watchdog=is_watchdog)
        return
    _refuse_elsewhere(site, host, checkpoint)
    actor = store.this_process()
    checkpoint = replace(checkpoint, phase=Phase.REVERTING, actor=actor, problems=())
    _write_if_possible(host, checkpoint)
    is_of_this_boot = checkpoint.boot == host.boot_id()
    if is_of_this_boot:
        checkpoint = restoring.restore(site, host, checkpoint)
    else:
        checkpoint = restoring.restore_files(site, checkpoint)
    words = "; ".join(checkpoint.problems)
    outcome = f"it is reverted but for this: {words}" if words else "all is as it was before"
    _enact(host, checkpoint, enactments.failed(f"{why}; {outcome}"))
    if words and is_of_this_boot:
        _write_if_possible(host, replace(checkpoint, phase=Phase.STUCK))
        raise StuckError(f"cannot revert all of the change: {words}")
    _forget(host, checkpoint, is_watchdog=is_watchdog)
    if words:
        raise StuckError(f"a boot has ended a change, but left: {words}")


def clear_the_way(site: Site, host: Host) -> bool:
    """Revert a change that its process has left; return whether one was reverted.

    Raises TryLaterError for one that waits, StuckError for one that could not be reverted.
    """
    checkpoint = store.read(host)
    if checkpoint is None:
        return False
    is_of_this_boot = checkpoint.boot == host.boot_id()
    is_overdue = not is_of_this_boot or store.now_s() >= checkpoint.deadline_s
    if checkpoint.phase is Phase.WAITING and not is_overdue:
        left = checkpoint.deadline_s - store.now_s()
        raise TryLaterError(
            f"cannot begin: a change waits for {left:.0f} s more; `sriovbond host commit` keeps "
            "it, `sriovbond host rollback` reverts it"
        )
    if checkpoint.phase is Phase.STUCK and is_of_this_boot:
        raise StuckError(
            f"cannot begin: a change is reverted only in part: {'; '.join(checkpoint.problems)}; "
            "`sriovbond host rollback` tries again, `sriovbond host commit` leaves it as it is"
        )
    why = "its process ended in the middle" if is_of_this_boot else "a boot came in the middle"
    revert(site, host, checkpoint, why=why)
    return checkpoint.phase is not Phase.KEPT


def _enact(host: Host, checkpoint: Checkpoint, enacted: Enacted) -> None:
    enactments.note(host, checkpoint.name, enacted, checkpoint.document)


def _forget(host: Host, checkpoint: Checkpoint, *, is_watchdog: bool) -> None:
    store.remove(host)
    if not is_watchdog:  # it would end itself
        watchdog.disarm(checkpoint)


def _refuse_elsewhere(site: Site, host: Host, checkpoint: Checkpoint) -> None:
    """Refuse another namespace; after a boot there is none that is the same."""
    if checkpoint.boot == host.boot_id() and tuple(checkpoint.namespace) != site.node.identity:
        raise MachineError(
            "cannot revert the change here: it is of another network namespace "
            f"(inode {checkpoint.namespace[1]}); call it there"
        )


def _write_if_possible(host: Host, checkpoint: Checkpoint) -> None:
    """Write the phase; a full disk must not keep the network from being restored."""
    with suppress(SriovbondError):
        store.write(host, checkpoint)
