"""The file of a change in progress, what it notes meanwhile, its lock, and the deadline's clock."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.errors import MachineError, TryLaterError
from sriovbond.host import Host
from sriovbond.trial.checkpoint import Actor, Checkpoint, Journal

_Content = TypeVar("_Content")
_NAME: Final = "change.json"
_NOTES: Final = "steps.json"
_LOCK: Final = "lock"
_MOST_BYTES: Final = 64 << 20
_MOST_OF_NOTES: Final = 1 << 20
_ROOM: Final = 1 << 20
"""Bytes that a change may need on the disk; most need less."""
_STARTED: Final = 19
"""The place of a process' start among the fields behind its name (proc_pid_stat(5))."""


@dataclass(frozen=True, slots=True)
class _Notes:
    """What the change of an id has begun since its file was written."""

    id: str
    journal: Journal


class MalformedChangeError(MachineError):
    """The file of a change is not as it was written: no retry would read it."""


_ADAPTER: Final = TypeAdapter(Checkpoint)
_NOTES_ADAPTER: Final = TypeAdapter(_Notes)


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
    checkpoint = _read(_ADAPTER, file(host))
    if checkpoint is None or checkpoint.boot != host.boot_id():
        return checkpoint  # a power loss may have left any notes
    notes = _read(_NOTES_ADAPTER, folder(host) / _NOTES, _last_line)
    is_newer = notes and notes.journal.count > checkpoint.journal.count
    if notes and is_newer and notes.id == checkpoint.id:
        return replace(checkpoint, journal=notes.journal)
    return checkpoint


def write(host: Host, checkpoint: Checkpoint) -> None:
    """Write the change in place of the one before, whole and synced.

    Raises MachineError, also for one that `read` would refuse: nothing could revert it.
    """
    path = folder(host)
    ownfiles.make_folder(path, os.geteuid())
    _put(path / _NAME, _ADAPTER.dump_json(checkpoint), ownfiles.put)
    ownfiles.remove(path / _NOTES)


def note(host: Host, checkpoint: Checkpoint) -> None:
    """Write which steps were begun, to be read where this process is killed.

    A line more in a file: to replace it would take longer than most steps do. Not synced: that may
    take long on a busy disk, and the node may be without its address by then. A boot ends by itself
    all that these steps change. Raises MachineError.
    """
    notes = _Notes(checkpoint.id, checkpoint.journal)
    line = _NOTES_ADAPTER.dump_json(notes) + b"\n"
    _put(folder(host) / _NOTES, line, partial(ownfiles.append_passing, most_bytes=_MOST_OF_NOTES))


def _last_line(content: bytes) -> bytes | None:
    """Return the last line that was written whole, None where there is none."""
    return content.rpartition(b"\n")[0].rpartition(b"\n")[2] or None


def _read(
    adapter: TypeAdapter[_Content],
    path: Path,
    part: Callable[[bytes], bytes | None] = bytes,
) -> _Content | None:
    try:
        content = part(ownfiles.read(path, _MOST_BYTES))
        return None if content is None else adapter.validate_json(content)
    except FileNotFoundError:
        return None
    except (UnreadableError, ValidationError, OSError) as error:
        reason = str(error).splitlines()[0]
        failure = MalformedChangeError if isinstance(error, ValidationError) else MachineError
        raise failure(
            f"cannot read {path}: {reason}; look what the node has, then remove the file"
        ) from error


def _put(path: Path, content: bytes, put: Callable[[Path, bytes], None]) -> None:
    if len(content) > _MOST_BYTES:
        raise MachineError(
            f"cannot write {path}: what links have is {len(content)} bytes, the most is "
            f"{_MOST_BYTES}; fewer routes on the node make it less"
        )
    try:
        put(path, content)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror}") from error


def remove(host: Host) -> None:
    """Forget the change. Idempotent. Raises MachineError."""
    path = folder(host)
    try:
        with plainfile.open_folder(path) as folder_fd:
            for name in (_NAME, _NOTES):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder_fd)
            os.fsync(folder_fd)
    except OSError as error:
        raise MachineError(f"cannot remove {path / _NAME}: {error.strerror}") from error


def try_out(host: Host) -> None:
    """See that a change can be written. Raises MachineError."""
    path = folder(host)
    ownfiles.make_folder(path, os.geteuid())
    _put(path / ".room", bytes(_ROOM), ownfiles.put)
    ownfiles.remove(path / ".room")


def put_aside(host: Host) -> Path:
    """Keep a file that cannot be read under another name; return its path. Raises MachineError."""
    damaged = file(host)
    try:
        return damaged.rename(damaged.with_suffix(".damaged"))
    except OSError as error:
        raise MachineError(f"cannot rename {damaged}: {error.strerror}") from error


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
