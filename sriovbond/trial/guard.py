"""The watchdog at work: waits for the deadline of a change, and reverts what is not kept by then.

It does not give up because a lock is held, a file cannot be read or anything else goes wrong.
"""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sriovbond.errors import TryLaterError
from sriovbond.host import Host
from sriovbond.reshape.site import Site
from sriovbond.trial import ending, store
from sriovbond.trial.checkpoint import Checkpoint, Phase

_LOOK_S: Final = 0.5
_LOCK_S: Final = 1.0
_GRACE_S: Final = 5.0
"""How long after the deadline a process may still be at work on the change, before it is killed."""
_REVERTING_S: Final = 120.0
"""How long one that reverts it may take."""
_LONGEST_PAUSE_S: Final = 10.0
_INSIST_S: Final = 3600.0


def watch(site: Site, host: Host, name: str, say: Callable[[], None]) -> bool:
    """Wait for the deadline of the change of that id, and revert it unless it is gone by then.

    `say` is called when all is ready. Returns whether the change is gone.
    """
    checkpoint = store.read(host)
    if checkpoint is None or checkpoint.id != name:
        return True
    say()
    while _is_there(host, name) and (left := checkpoint.deadline_s - store.now_s()) > 0:
        time.sleep(min(left, _LOOK_S))
    return _insist(site, host, name)


def _is_there(host: Host, name: str) -> bool:
    """Return whether the change still is; one that cannot be read is."""
    try:
        checkpoint = store.read(host)
    except Exception:  # noqa: BLE001 - whatever it is, the change may be there
        return True
    return checkpoint is not None and checkpoint.id == name


def _insist(site: Site, host: Host, name: str) -> bool:
    """Revert the change, again and again for an hour. Returns whether it is gone."""
    pause, end = _LOOK_S, store.now_s() + _INSIST_S
    while _is_there(host, name) and store.now_s() < end:
        with suppress(Exception):  # the next try may do better: nothing may end this
            _revert(site, host, name)
        if _is_there(host, name):
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
    return not _is_there(host, name)


def _revert(site: Site, host: Host, name: str) -> None:
    try:
        with store.locked(host, _LOCK_S):
            checkpoint = store.read(host)
            if checkpoint is not None and checkpoint.id == name:
                ending.revert(site, host, checkpoint, is_watchdog=True)
    except TryLaterError:
        checkpoint = store.read(host)
        if checkpoint is not None and checkpoint.id == name:
            _end_overdue(checkpoint)


def _end_overdue(checkpoint: Checkpoint) -> None:
    """Kill a process that holds the lock although the change's time is over: it hangs."""
    is_reverting = checkpoint.phase is Phase.REVERTING
    patience = _REVERTING_S if is_reverting else _GRACE_S
    is_overdue = store.now_s() > checkpoint.deadline_s + patience
    is_other = checkpoint.actor.pid != os.getpid()
    if is_overdue and is_other and store.is_alive(checkpoint.actor):
        os.kill(checkpoint.actor.pid, signal.SIGKILL)
