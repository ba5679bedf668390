"""The one file of a change in progress, its lock, and the clock of its deadline."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.errors import MachineError, TryLaterError
from sriovbond.host import Host
from sriovbond.trial.checkpoint import Actor, Checkpoint

_NAME: Final = "change.json"
_LOCK: Final = "lock"
_MOST_BYTES: Final = 64 << 20
_ADAPTER: Final = TypeAdapter(Checkpoint)
_STARTED: Final = 19
"""The place of a process' start among the fields behind its name (proc_pid_stat(5))."""


def now_s() -> float:
    """Return the seconds since the boot, those of sleep among them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def folder(host: Host) -> Path:
    """Return the folder of the node's own changes."""
    return host.state / "host"


def file(host: Host) -> Path:
    """Return the file of a change in progress: without it there is none."""
    return folder(host) / _NAME


@contextmanager
def locked(host: Host, timeout_s: float) -> Iterator[None]:
    """Hold the lock of the node's own network: one change at a time.

    Raises TryLaterError where another process holds it longer, MachineError.
    """
    path = folder(host)
    ownfiles.make_folder(path, os.geteuid())
    busy = TryLaterError(
        "cannot change the node's network: another `sriovbond host` is at work; wait for it"
    )
    with ownfiles.locked(path / _LOCK, timeout_s, busy):
        yield


def read(host: Host) -> Checkpoint | None:
    """Return the change in progress, None if there is none. Raises MachineError."""
    path = file(host)
    try:
        return _ADAPTER.validate_json(ownfiles.read(path, _MOST_BYTES))
    except FileNotFoundError:
        return None
    except (UnreadableError, ValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise MachineError(
            f"cannot read {path}: {reason}; look what the node has, then remove the file"
        ) from error


def write(host: Host, checkpoint: Checkpoint) -> None:
    """Write the change in place of the one before, whole and synced.

    Raises MachineError, also for one that `read` would refuse: nothing could revert it.
    """
    path, content = folder(host), _ADAPTER.dump_json(checkpoint)
    if len(content) > _MOST_BYTES:
        raise MachineError(
            f"cannot write {path / _NAME}: what links have is {len(content)} bytes, the most is "
            f"{_MOST_BYTES}; fewer routes on the node make it less"
        )
    ownfiles.make_folder(path, os.geteuid())
    try:
        ownfiles.put(path / _NAME, content)
    except OSError as error:
        raise MachineError(f"cannot write {path / _NAME}: {error.strerror}") from error


def remove(host: Host) -> None:
    """Forget the change. Idempotent. Raises MachineError."""
    path = folder(host)
    try:
        with plainfile.open_folder(path) as folder_fd:
            with suppress(FileNotFoundError):
                os.unlink(_NAME, dir_fd=folder_fd)
            os.fsync(folder_fd)
    except OSError as error:
        raise MachineError(f"cannot remove {path / _NAME}: {error.strerror}") from error


def this_process() -> Actor:
    """Return this process."""
    return Actor(os.getpid(), _began(os.getpid()) or 0)


def is_alive(actor: Actor) -> bool:
    """Return whether a process still runs, and is the same one."""
    return _began(actor.pid) == actor.began


def _began(pid: int) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = stat.rpartition(")")[2].split()
        return None if state == "Z" else int(fields[_STARTED - 1])
    return None
