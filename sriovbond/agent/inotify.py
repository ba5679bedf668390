"""Hears of new files in a folder from the kernel: inotify(7), which Python does not have."""

import ctypes
import os
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError

_IN_MOVED_TO: Final = 0x80  # include/uapi/linux/inotify.h
_IN_ONLYDIR: Final = 0x01000000
_EVENTS_BYTES: Final = 1 << 16


class Folder:
    """A folder in which files appear by rename; `fileno` is readable when one did."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        watch = libc.inotify_add_watch(
            self._descriptor, os.fsencode(path), _IN_MOVED_TO | _IN_ONLYDIR
        )
        if watch < 0:
            reason = os.strerror(ctypes.get_errno())
            raise MachineError(f"cannot watch the folder {str(path)!r}: {reason}")

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def clear(self) -> None:
        """Forget what was heard; which files are there tells the folder itself."""
        os.read(self._descriptor, _EVENTS_BYTES)

    def close(self) -> None:
        """Hear no more."""
        os.close(self._descriptor)
