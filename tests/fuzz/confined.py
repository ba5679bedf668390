"""What the judged code may touch: folders to write, folders to read, and no program to start.

Python reports by its audit events each file that is opened, made, moved or removed, each program
and each connection: what leaves the folders is a fault, whoever in the code does it.
"""

import gc
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NO_FOLDER: Final = -1
# how many paths an event has, and where its first descriptor of a folder is
_CHANGES: Final[dict[str, tuple[int, int | None]]] = {
    "os.chmod": (1, 2),
    "os.chown": (1, 3),
    "os.link": (2, 2),
    "os.mkdir": (1, 2),
    "os.remove": (1, 1),
    "os.rename": (2, 2),
    "os.rmdir": (1, 1),
    "os.symlink": (2, 2),
    "os.truncate": (1, None),
    "os.utime": (1, 3),
}
_STARTS: Final = frozenset(
    {"os.exec", "os.fork", "os.posix_spawn", "os.system", "subprocess.Popen"}
)
_PROGRAM: Final = (sys.prefix, sys.base_prefix, str(Path(__file__).resolve().parents[2]))
"""Where modules are imported from."""
_KERNELS: Final = ("/proc", "/sys")


class EscapedError(AssertionError):
    """The judged code touched what it must not."""


@dataclass(slots=True)
class Confinement:
    """Below `folder` all is allowed; what is read elsewhere must be below one of `readable`."""

    folder: str
    readable: Sequence[str]
    faults: list[str] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note what an audit event shows to be a fault."""
        if event in _STARTS:
            self.faults.append(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, _, flags = arguments
            self._judge(event, path, is_read=not flags & _WRITES, is_in_folder=True)
        elif event == "socket.connect" and isinstance(arguments[1], str | bytes):
            self._judge(event, arguments[1], is_read=False, is_in_folder=False)
        elif event in _CHANGES:
            paths, at = _CHANGES[event]
            is_in_folder = at is not None and arguments[at] != _NO_FOLDER
            for path in arguments[:paths]:
                self._judge(event, path, is_read=False, is_in_folder=is_in_folder)

    def _judge(self, event: str, path: Any, *, is_read: bool, is_in_folder: bool) -> None:  # noqa: ANN401
        """Judge a path; a bare name, where `is_in_folder`, is of a folder that was judged."""
        if not isinstance(path, str | bytes | os.PathLike):
            return  # a descriptor of what was opened before
        text = os.fsdecode(path)
        if is_in_folder and "/" not in text and text not in {".", ".."}:
            return
        allowed = (self.folder, *(self.readable if is_read else ()))
        if not _is_below(os.path.normpath(text), allowed):
            self.faults.append(f"{event} {text!r}")


def _is_below(path: str, folders: Sequence[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


class _Current(threading.local):
    confinement: Confinement | None = None


_CURRENT: Final = _Current()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    confinement = _CURRENT.confinement
    if confinement is not None:
        confinement.see(event, arguments)


@contextmanager
def confined(folder: Path, *readable: str) -> Iterator[None]:
    """Have the block touch nothing but what is below the folder, modules, /proc and /sys.

    `readable` are further paths to read. No garbage is collected meanwhile: what that ends may be
    of code before. Raises EscapedError at the end of the block.
    """
    _listen()
    collects = gc.isenabled()
    others = (os.path.normpath(path) for path in readable if path)
    confinement = Confinement(str(folder), (*others, *_PROGRAM, *_KERNELS))
    writes_none, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # of what it imports
    gc.disable()
    _CURRENT.confinement = confinement
    try:
        yield
    finally:
        _CURRENT.confinement = None
        sys.dont_write_bytecode = writes_none
        if collects:
            gc.enable()
    if confinement.faults:
        raise EscapedError(f"it touched what it must not: {'; '.join(confinement.faults)}")


_listening: Final = threading.Lock()


def _listen() -> None:
    """Have the events heard from now on: a hook cannot be taken away again."""
    if _listening.acquire(blocking=False):
        sys.addaudithook(_hear)
