"""Installs the shim in the runtime's folder of CNI plugins, atomically."""

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import NotPlainError
from sriovbond import ownfiles
from sriovbond.errors import MachineError

NAME: Final = "sriovbond"
PACKAGED: Final = Path(__file__).with_name("bin") / NAME
"""Shipped in a wheel, which is for one architecture: that of the node that installs it."""

_MODE: Final = 0o755
_ABANDONED_S: Final = 600.0
_PROGRAM: Final = b"\x7fELF"
_LABEL: Final = "security.selinux"


def install(folder: Path, source: Path = PACKAGED) -> bool:
    """Install the shim in `folder`; return whether it was missing there or different.

    A runtime that executes it meanwhile gets the old or the new one. A file or link of its name is
    replaced; an identical file is kept. The new file gets the folder's SELinux label.
    Raises MachineError.
    """
    content = _read(source)
    try:
        with plainfile.open_folder(folder) as folder_fd:
            _clear(folder_fd)
            if _is_current(folder_fd, content):
                return False
            _put(folder_fd, content)
    except OSError as error:
        raise MachineError(
            f"cannot install the shim in {str(folder)!r}: {error.strerror}"
        ) from error
    return True


def is_installed(folder: Path) -> bool:
    """Return whether `folder` has a shim of any version: only such a file may be replaced.

    A link does not count: it points to the plugin of thin mode, which calls no agent.
    """
    try:
        file_fd, status = plainfile.open_plain(folder / NAME)
    except (OSError, NotPlainError):
        return False
    with os.fdopen(file_fd, "rb") as file:
        mode = stat.S_IMODE(status.st_mode)
        is_ours = status.st_uid == os.geteuid() and not mode & (stat.S_IWGRP | stat.S_IWOTH)
        return is_ours and bool(mode & stat.S_IXUSR) and file.read(len(_PROGRAM)) == _PROGRAM


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise MachineError(
            f"cannot install the shim: {str(source)!r} cannot be read: {error.strerror}; install a "
            "wheel of sriovbond, which has it, or build it with `make shim`"
        ) from error


def _is_current(folder_fd: int, content: bytes) -> bool:
    try:
        file_fd, status = plainfile.open_plain(NAME, inside=folder_fd)
    except (OSError, NotPlainError):
        return False
    with os.fdopen(file_fd, "rb") as file:
        is_ours = stat.S_IMODE(status.st_mode) == _MODE and status.st_uid == os.geteuid()
        is_whole = status.st_size == len(content) and file.read() == content
        return is_ours and is_whole and _label(file_fd) == _label(folder_fd)


def _put(folder_fd: int, content: bytes) -> None:
    def finish(file_fd: int) -> None:
        os.fchmod(file_fd, _MODE)
        _take_label(file_fd, folder_fd)

    fresh = f".{NAME}-{secrets.token_hex(8)}"  # another agent may be installing at the same time
    ownfiles.write_whole(folder_fd, NAME, content, fresh=fresh, finish=finish)


def _label(descriptor: int) -> bytes | None:
    """Return the SELinux label of a file or folder; None when it has none."""
    try:
        return os.getxattr(descriptor, _LABEL)
    except OSError:
        return None


def _take_label(file_fd: int, folder_fd: int) -> None:
    """Give the file its folder's SELinux label, so that the runtime may execute it.

    The kernel does the same by default, but a policy may label the new files of a container as the
    container's own. When the policy forbids relabelling, the file keeps the policy's label.
    """
    label = _label(folder_fd)
    if label is not None and label != _label(file_fd):
        with suppress(OSError):
            os.setxattr(file_fd, _LABEL, label)


def _clear(folder_fd: int) -> None:
    """Remove the temporary files of a killed installation."""
    for name in os.listdir(folder_fd):
        if name.startswith(f".{NAME}-"):
            with suppress(OSError):
                status = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
                if status.st_mtime < time.time() - _ABANDONED_S:
                    os.unlink(name, dir_fd=folder_fd)
