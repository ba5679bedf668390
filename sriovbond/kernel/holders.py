"""Finds what keeps a network namespace alive that has no path: a process, or a mount."""

import errno
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError
from sriovbond.kernel import netns

_WITHIN_S: Final = 10.0
_MOST_BYTES: Final = 4 << 20  # of one mountinfo: a node has some 100 bytes for each of its mounts
# of a process that has ended meanwhile; EINVAL for a zombie (fs/proc_namespace.c)
_ENDED: Final = frozenset({errno.ENOENT, errno.ESRCH, errno.EINVAL})
# proc_pid_mountinfo(5): root (4) and mount point (5), then the type behind a dash
_NSFS: Final = re.compile(r"^\d+ \d+ \S+ net:\[(\d+)\] (\S+) .* - nsfs ", re.MULTILINE)
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def find(proc: Path, identity: tuple[int, int, int]) -> str:
    """Return a text naming the holder, "" when there is none; `proc` must show all processes.

    A namespace that merely reuses the inode of an ended one is detected by its cookie. Raises
    MachineError when not all could be checked.
    """
    deadline = time.monotonic() + _WITHIN_S
    mounts_seen: set[str] = set()
    for process in _list_processes(proc):
        if time.monotonic() > deadline:
            raise MachineError(
                f"cannot look for who holds a namespace in {str(proc)!r}: all processes take more "
                f"than {_WITHIN_S:g} s"
            )
        for path, words in _find_held(process, identity[1], mounts_seen):
            if is_that(path, identity):
                return words
    return ""


def is_that(path: str, identity: tuple[int, int, int]) -> bool:
    """Return whether the namespace of that identity is at the path."""
    with suppress(netns.NamespaceGoneError), netns.opened(path) as namespace:
        return namespace.identity == identity
    return False


def _list_processes(proc: Path) -> list[Path]:
    try:
        names = os.listdir(proc)  # noqa: PTH208 - thousands of names, most of them used
    except OSError as error:
        raise MachineError(f"cannot list the processes in {str(proc)!r}: {error}") from error
    return [proc / name for name in names if name.isdigit()]


def _find_held(process: Path, inode: int, mounts_seen: set[str]) -> Iterator[tuple[str, str]]:
    """Yield paths to namespaces of that inode, each with its holder; a process may end meanwhile.

    The mounts of processes that share them are read once.
    """
    with suppress(FileNotFoundError, ProcessLookupError):
        if _read_number(process / "ns" / "net") == f"net:[{inode}]":
            yield f"{process}/ns/net", f"the process {process.name} is in it"
        mounts = _read_number(process / "ns" / "mnt")
        if mounts not in mounts_seen:
            mounts_seen.add(mounts)
            for point in _find_mount_points(process / "mountinfo", inode):
                yield f"{process}/root{point}", f"it is mounted on {point}"


def _read_number(link: Path) -> str:
    try:
        return os.readlink(link)  # noqa: PTH115 - thousands of them
    except PermissionError as error:
        raise MachineError(f"cannot look at {str(link)!r}: {error.strerror}") from error


def _find_mount_points(file: Path, inode: int) -> Iterator[str]:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        if error.errno in _ENDED:
            return
        raise MachineError(f"cannot read {str(file)!r}: {error.strerror}") from error
    if len(content) > _MOST_BYTES:
        raise MachineError(f"cannot read {str(file)!r}: it has more than {_MOST_BYTES} bytes")
    for number, point in _NSFS.findall(content.decode("utf-8", "surrogateescape")):
        if int(number) == inode:
            yield _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), point)
