"""Functions of libc that Python 3.11 does not have; they fail by OSError."""

import ctypes
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

CLONE_FS: Final = 0x200  # include/uapi/linux/sched.h: what chroot and chdir change
CLONE_NEWNET: Final = 0x40000000

_M_ARENA_MAX: Final = -8  # malloc.h of glibc
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def setns(descriptor: int, kind: int) -> None:
    """Put the calling thread into the open namespace of that kind."""
    if _LIBC.setns(descriptor, kind):
        raise _last_error()


def unshare(kind: int) -> None:
    """Give the calling thread its own copy of what `kind` names."""
    if _LIBC.unshare(kind):
        raise _last_error()


def syncfs(descriptor: int) -> None:
    """Write all of the filesystem that a file is on to its disk."""
    if _LIBC.syncfs(descriptor):
        raise _last_error()


def open_inotify() -> int:
    """Return a descriptor of inotify(7), which does not block."""
    descriptor: int = _LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        raise _last_error()
    return descriptor


def add_watch(descriptor: int, path: Path, events: int) -> None:
    """Watch the path for these events."""
    if _LIBC.inotify_add_watch(descriptor, os.fsencode(path), events) < 0:
        raise _last_error()


def limit_arenas(most: int) -> None:
    """Limit the number of malloc arenas shared by all threads."""
    with suppress(AttributeError):  # musl has one arena, and no mallopt
        _LIBC.mallopt(_M_ARENA_MAX, most)


def trim_heap() -> None:
    """Return the free pages of malloc's heap to the kernel; some milliseconds, in any thread."""
    with suppress(AttributeError):  # musl returns them by itself
        _LIBC.malloc_trim(0)


def _last_error() -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
