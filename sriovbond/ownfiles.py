"""Files and folders that only one user may write: root would act on another's content."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import NotPlainError, UnreadableError
from sriovbond.errors import MachineError, SriovbondError

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTE: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOCK_PAUSE_S: Final = 0.02
_PASSED: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a pipe without a reader must not block a pod
_APPEND: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def read(file: Path, most_bytes: int) -> bytes:
    """Return the plain file's content; only root may be able to write it and its folder.

    Raises FileNotFoundError if there is none, UnreadableError with the reason not to use it.
    """
    try:
        with plainfile.open_folder(file.parent) as folder_fd:
            _check("its folder", os.fstat(folder_fd))
            file_fd, status = plainfile.open_plain(file.name, inside=folder_fd)
            try:
                _check("it", status)
                return plainfile.read_opened(file_fd, status.st_size, most_bytes)
            finally:
                os.close(file_fd)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(file) from error
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error


def _check(which: str, status: os.stat_result) -> None:
    """Refuse what others can write; an owner other than root only when root reads."""
    if os.geteuid() == 0 and status.st_uid != 0:
        raise UnreadableError(f"{which} belongs to user {status.st_uid}; chown it to root")
    if status.st_mode & _OTHERS_WRITE:
        mode = stat.S_IMODE(status.st_mode)
        raise UnreadableError(f"{which} can be written by others (mode {mode:04o}); chmod go-w")


def write_whole(
    folder_fd: int,
    name: str,
    content: bytes,
    *,
    fresh: str,
    finish: Callable[[int], object] | None = None,
) -> None:
    """Create or replace a file atomically: written as `fresh`, synced, renamed.

    A file or link of its name is replaced. `finish` gets the written file's descriptor before it is
    synced. Raises OSError.
    """

    def end(file_fd: int) -> None:
        if finish:
            finish(file_fd)
        os.fsync(file_fd)

    _replace(folder_fd, name, content, fresh, end)
    os.fsync(folder_fd)


def put(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Create or replace a file atomically, in a folder that exists. Raises OSError."""
    with plainfile.open_folder(file.parent) as folder_fd:
        write_whole(
            folder_fd,
            file.name,
            content,
            fresh=f".{file.name}.sriovbond",
            finish=lambda file_fd: os.fchmod(file_fd, mode),
        )


def put_passing(file: Path, content: bytes) -> None:
    """Create or replace a file as `put`, but do not sync it.

    A killed process leaves it whole, a power loss may leave anything. Raises OSError.
    """
    with plainfile.open_folder(file.parent) as folder_fd:
        _replace(folder_fd, file.name, content, f".{file.name}.sriovbond", lambda _: None)


def append_passing(file: Path, line: bytes, most_bytes: int) -> None:
    """Append a line to a file, made if missing, in a folder that root alone may write; not synced.

    One that would be longer has only this line then. A killed process may leave a part of the line
    behind the others. Raises OSError.
    """
    file_fd = os.open(file, _NOTE, 0o600)
    try:
        if os.fstat(file_fd).st_size + len(line) > most_bytes:
            put_passing(file, line)
            return
        while line:
            line = line[os.write(file_fd, line) :]
    finally:
        os.close(file_fd)


def find(file: Path, most_bytes: int) -> bytes | None:
    """Return a plain file's content, also of one that others may write; None if it is missing.

    Raises MachineError.
    """
    try:
        return plainfile.read(file, most_bytes)
    except FileNotFoundError:
        return None
    except (OSError, UnreadableError) as error:
        raise MachineError(f"cannot read {file}: {error}") from error


def settle(file: Path, content: bytes | None, mode: int) -> None:
    """Create or replace a file as `put`, or remove it for None.

    One that a container's runtime has mounted by itself is written in place. Raises MachineError.
    """
    try:
        if content is None:
            file.unlink(missing_ok=True)
        else:
            _put_or_write(file, content, mode)
    except OSError as error:
        raise MachineError(f"cannot write {file}: {error.strerror}") from error


def _put_or_write(file: Path, content: bytes, mode: int) -> None:
    try:
        put(file, content, mode)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        file.write_bytes(content)


def remove(file: Path) -> None:
    """Remove a file. Idempotent. Raises MachineError."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise MachineError(f"cannot remove {file}: {error.strerror}") from error


def _replace(
    folder_fd: int, name: str, content: bytes, fresh: str, end: Callable[[int], None]
) -> None:
    """Write a file as `fresh`, and rename it; `end` gets the written file's descriptor."""
    try:
        file_fd = _create(folder_fd, fresh)
        try:
            while content:
                content = content[os.write(file_fd, content) :]
            end(file_fd)
        finally:
            os.close(file_fd)
        os.rename(fresh, name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder_fd)
        raise


def _create(folder_fd: int, fresh: str) -> int:
    try:
        return os.open(fresh, _NEW, 0o600, dir_fd=folder_fd)
    except FileExistsError:  # left by a killed call
        os.unlink(fresh, dir_fd=folder_fd)
        return os.open(fresh, _NEW, 0o600, dir_fd=folder_fd)


def open_to_append(folder: Path, below: Path) -> int:
    """Open a plain file below the folder, created if missing, following no link on the way.

    Raises NotPlainError, OSError.
    """
    *parents, name = below.parts
    folder_fd = os.open(folder, _PASSED)
    try:
        for parent in parents:
            inner_fd = os.open(parent, _PASSED | os.O_NOFOLLOW, dir_fd=folder_fd)
            os.close(folder_fd)
            folder_fd = inner_fd
        file_fd = os.open(name, _APPEND, 0o600, dir_fd=folder_fd)
    finally:
        os.close(folder_fd)
    if not stat.S_ISREG(os.fstat(file_fd).st_mode):
        os.close(file_fd)
        raise NotPlainError("it is not a plain file")
    return file_fd


def make_folder(path: Path, owner: int) -> None:
    """Create the folder if missing. Raises MachineError for one that others can write."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise MachineError(f"cannot make the folder {str(path)!r}: {error.strerror}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != owner or status.st_mode & _OTHERS_WRITE:
        raise MachineError(
            f"cannot use {str(path)!r}: it is no folder that user {owner} owns and others cannot "
            "write; look who made it"
        )


def identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what is at the path, links followed; None for nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def locked(file: Path, timeout_s: float, busy: SriovbondError) -> Iterator[int]:
    """Hold the lock of a file, created if missing; yield its descriptor.

    Raises `busy` where another process has held it for so long, MachineError.
    """
    try:
        descriptor = lock(file, partial(os.open, file, _LOCK, 0o600), timeout_s)
    except OSError as error:
        raise MachineError(f"cannot open {file}: {error.strerror}") from error
    with _held(descriptor, busy) as held:
        yield held


@contextmanager
def locked_folder(folder: Path, timeout_s: float, busy: SriovbondError) -> Iterator[int]:
    """Hold the lock of a folder, created if missing; yield its descriptor.

    Its holder may remove it: the next one creates it anew. Raises `busy` as `locked`, MachineError
    as `make_folder`, OSError.
    """

    def opened() -> int:
        make_folder(folder, os.geteuid())
        return os.open(folder, _FOLDER)

    descriptor = lock(folder, opened, timeout_s)
    with _held(descriptor, busy) as held:
        yield held


@contextmanager
def _held(descriptor: int | None, busy: SriovbondError) -> Iterator[int]:
    if descriptor is None:
        raise busy
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def lock(path: Path | str, opened: Callable[[], int], timeout_s: float) -> int | None:
    """Lock what is at a path; return its descriptor, None where another has held it for so long.

    `opened` opens it, at each attempt: its last holder may have removed it. A program that inherits
    the descriptor holds the lock, too. Raises OSError, and what `opened` raises.
    """
    end = time.monotonic() + timeout_s
    while True:
        descriptor = opened()
        if _has_locked(descriptor) and _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)
        if time.monotonic() >= end:
            return None
        time.sleep(_LOCK_PAUSE_S)


def _has_locked(descriptor: int) -> bool:
    try:  # suppress() would be three more Python calls, in each ADD and DEL
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(path: Path | str, descriptor: int) -> bool:
    """Return whether the locked file is still the one at the path."""
    try:
        return os.stat(path).st_ino == os.fstat(descriptor).st_ino  # noqa: PTH116 - fewer calls
    except FileNotFoundError:
        return False


def is_locked(file: Path | str) -> bool:
    """Return whether a process holds the lock of a file. Raises OSError, also for one missing."""
    descriptor = os.open(file, _LOOK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
