"""Copies this program to the host, whole or not at all, and runs it there by a launcher.

<folder>/<id>/ has a copy, <folder>/sriovbond-launch runs the newest one by the loader and the
libraries in it, so that nothing of the host's but its kernel and its shell is needed.
"""

import hashlib
import os
import secrets
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from sriovbond import libc, ownfiles
from sriovbond.container import contents
from sriovbond.container.program import LAUNCHER
from sriovbond.errors import MachineError, TryLaterError

_LABEL: Final = "security.selinux"
_LABELLED: Final = ("bin/sh", "usr/bin/env")
_ID_LENGTH: Final = 16
_LOCK_S: Final = 120.0
_PREFIX: Final = ".copying-"
_START: Final = "start.py"
_LAUNCH: Final = """\
#!/bin/sh
# {version}: runs a module of sriovbond by the Python beside this file
export LC_ALL=C # the host's locales are for its own C library
exec {copy}/{loader} --library-path {copy}/{libraries} \\
    {copy}/{python} -I -S -X utf8 {copy}/{start} "$@"
"""
_STARTED: Final = f"""\
import pathlib, runpy, sys
sys.path.append(str(pathlib.Path(__file__).parent / "{contents.PACKAGES}"))
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def make(folder: Path, version: str, root: Path = Path("/")) -> Path:
    """Copy this program below a folder, unless it has been copied; return its launcher.

    Copies that nothing runs from are removed. On a host with SELinux the files get the label of its
    shell, below `root`, so that units may execute them. Raises MachineError.
    """
    try:
        with _locked(folder) as folder_fd:
            files = contents.files()
            copy = folder / _id(files)
            if not copy.is_dir():
                _copy({**files, **contents.libraries(files)}, copy, _host_label(root))
            _put_launcher(folder_fd, copy, version, _host_label(root))
            _remove_old(folder, copy)
    except OSError as error:
        raise MachineError(
            f"cannot copy this program to {str(folder)!r} for the host: {error.strerror or error}"
        ) from error
    return folder / LAUNCHER


def remove(folder: Path) -> None:
    """Remove all copies, when none is in the making; who runs from one must end at once.

    Idempotent. Raises MachineError, TryLaterError.
    """
    if not folder.exists():
        return
    try:
        with _locked(folder):
            shutil.rmtree(folder)
    except OSError as error:
        raise MachineError(f"cannot remove {str(folder)!r}: {error.strerror}") from error


def _locked(folder: Path) -> AbstractContextManager[int]:
    busy = TryLaterError("another process has copied this program for minutes")
    return ownfiles.locked_folder(folder, _LOCK_S, busy)


def _id(files: Mapping[Path, Path]) -> str:
    """Return what differs when a file does: names, sizes and times are those of an image.

    Compiled files do not count: any process that imports may write one.
    """
    digest = hashlib.sha256()
    folders = ((folder, folder) for folder in contents.folders_of_libraries(files))
    for name, source in sorted([*contents.written(files).items(), *folders]):
        status = source.stat()
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
    return digest.hexdigest()[:_ID_LENGTH]


def _copy(files: Mapping[Path, Path], copy: Path, label: bytes | None) -> None:
    """Copy files; it is there by its name when all of it is on the disk."""
    fresh = copy.with_name(f"{_PREFIX}{secrets.token_hex(8)}")
    try:
        for name, source in files.items():
            target = fresh / name
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            shutil.copystat(source, target, follow_symlinks=True)
            target.chmod(0o755 if contents.is_program(source) else 0o644)
            _give(label, target)
        (fresh / _START).write_text(_STARTED, encoding="utf-8")
        _sync(fresh)
        fresh.rename(copy)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _put_launcher(folder_fd: int, copy: Path, version: str, label: bytes | None) -> None:
    text = _LAUNCH.format(
        version=version,
        copy=shlex.quote(str(copy)),
        loader=contents.LOADER,
        libraries=contents.LIBRARIES,
        python=contents.PYTHON,
        start=_START,
    )

    with suppress(FileNotFoundError):
        if (copy.parent / LAUNCHER).read_text(encoding="utf-8") == text:
            return

    def finish(file_fd: int) -> None:
        os.fchmod(file_fd, 0o755)
        _give(label, file_fd)

    fresh = f".{LAUNCHER}"
    ownfiles.write_whole(folder_fd, LAUNCHER, text.encode(), fresh=fresh, finish=finish)


def _remove_old(folder: Path, kept: Path) -> None:
    """Remove the copies that no process runs from, and those that were not finished."""
    executed = set(_executed())
    for path in folder.iterdir():
        is_used = path == kept or ownfiles.identity(path / contents.LOADER) in executed
        if path.is_dir() and not is_used:
            shutil.rmtree(path, ignore_errors=True)


def _executed() -> Iterator[tuple[int, int]]:
    """Yield the files that processes were executed from: for a copy, the loader in it.

    By their numbers: a process of the host and one in a container see other paths.
    """
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and (file_id := ownfiles.identity(process / "exe")):
            yield file_id


def _sync(folder: Path) -> None:
    with plainfile.open_folder(folder) as folder_fd:
        libc.syncfs(folder_fd)


def _host_label(root: Path) -> bytes | None:
    """Return the SELinux label of the host's shell; None without SELinux."""
    for name in _LABELLED:
        with suppress(OSError):
            return os.getxattr(root / name, _LABEL)
    return None


def _give(label: bytes | None, file: Path | int) -> None:
    if label is not None:
        with suppress(OSError):  # a policy may forbid it; then the file keeps the policy's label
            os.setxattr(file, _LABEL, label)
