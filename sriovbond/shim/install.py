"""Puts the shim where the runtime looks for CNI plugins: whole, or not at all."""

import os
import secrets
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError

NAME: Final = "sriovbond"
PACKAGED: Final = Path(__file__).with_name("bin") / NAME
"""In a wheel, which is for one architecture: that of the node that could install it."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FRESH: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE: Final = 0o755
_ABANDONED_S: Final = 600.0
_PROGRAM: Final = b"\x7fELF"
_LABEL: Final = "security.selinux"


def install(folder: Path, source: Path = PACKAGED) -> bool:
    """Make `folder` have the shim; tell whether it had another, or none.

    A runtime that executes it meanwhile has the old one or the new one. What stands there under its
    name, also a link, is replaced; an equal file is left alone. It has the folder's SELinux label.
    Raises MachineError.
    """
    content = _read(source)
    try:
        opened = os.open(folder, _FOLDER)
    except OSError as error:
        raise _cannot(folder, error) from error
    try:
        _clear(opened)
        if _is_as_wanted(opened, content):
            return False
        _put(opened, content)
    except OSError as error:
        raise _cannot(folder, error) from error
    finally:
        os.close(opened)
    return True


def is_installed(folder: Path) -> bool:
    """Tell whether `folder` has a shim, of whatever version: a program of ours alone to change.

    A link is none: it leads to the plugin of thin mode, which asks no agent.
    """
    try:
        file = os.open(folder / NAME, _READ)
    except OSError:
        return False
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(file)
        mode = stat.S_IMODE(status.st_mode)
        is_program = stat.S_ISREG(status.st_mode) and bool(mode & stat.S_IXUSR)
        is_ours = status.st_uid == os.geteuid() and not mode & (stat.S_IWGRP | stat.S_IWOTH)
        return is_program and is_ours and opened.read(len(_PROGRAM)) == _PROGRAM


def _read(source: Path) -> bytes:
    try:
        return source.read_bytes()
    except OSError as error:
        raise MachineError(
            f"cannot install the shim: {str(source)!r} cannot be read: {error.strerror}; install a "
            "wheel of sriovbond, which has it, or build it with `make shim`"
        ) from error


def _cannot(folder: Path, error: OSError) -> MachineError:
    return MachineError(f"cannot install the shim in {str(folder)!r}: {error.strerror}")


def _is_as_wanted(folder: int, content: bytes) -> bool:
    try:
        file = os.open(NAME, _READ, dir_fd=folder)
    except OSError:
        return False  # not there, or a link
    with os.fdopen(file, "rb") as opened:
        found = os.fstat(file)
        is_as_ours = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == _MODE
        is_ours = is_as_ours and found.st_uid == os.geteuid() and found.st_size == len(content)
        return is_ours and opened.read() == content and _label(file) == _label(folder)


def _put(folder: int, content: bytes) -> None:
    fresh = f".{NAME}-{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(fresh, _FRESH, 0o600, dir_fd=folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), _MODE)
            _take_label(file.fileno(), folder)
            os.fsync(file.fileno())
        os.rename(fresh, NAME, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(fresh, dir_fd=folder)
        raise
    os.fsync(folder)


def _label(opened: int) -> bytes | None:
    """Return the SELinux label of a file or folder; None where there is none."""
    try:
        return os.getxattr(opened, _LABEL)
    except OSError:
        return None


def _take_label(file: int, folder: int) -> None:
    """Label the file as its folder is, so that the runtime may execute it as all plugins there.

    The kernel does the same unless the policy knows better for this process: a container's new
    files may be labelled as a container's own. Where the policy forbids it, its own choice stays.
    """
    label = _label(folder)
    if label is not None and label != _label(file):
        with suppress(OSError):
            os.setxattr(file, _LABEL, label)


def _clear(folder: int) -> None:
    """Remove what an installation that was killed left."""
    for name in os.listdir(folder):
        if name.startswith(f".{NAME}-"):
            with suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if found.st_mtime < time.time() - _ABANDONED_S:
                    os.unlink(name, dir_fd=folder)
