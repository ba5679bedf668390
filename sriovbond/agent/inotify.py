"""File events of a folder: inotify(7), missing in Python's standard library."""

import os
import struct
from pathlib import Path
from typing import Final

from sriovbond import libc
from sriovbond.errors import MachineError

# include/uapi/linux/inotify.h
_IN_MOVED_TO: Final = 0x80
_IN_DELETE: Final = 0x200
_IN_Q_OVERFLOW: Final = 0x4000
_IN_ONLYDIR: Final = 0x01000000
_EVENT: Final = struct.Struct("=iIII")
_EVENTS_BYTES: Final = 1 << 16


class Folder:
    """A folder in which files appear by rename; `fileno` is readable when one did or vanished."""

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: Final = libc.open_inotify()
        except OSError as error:
            raise _cannot_watch(path, error) from error
        try:
            libc.add_watch(self._descriptor, path, _IN_MOVED_TO | _IN_DELETE | _IN_ONLYDIR)
        except OSError as error:
            self.close()
            raise _cannot_watch(path, error) from error

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._descriptor

    def changed(self) -> set[str] | None:
        """Return the names of files that appeared or vanished; None when events were lost."""
        data, names, offset = os.read(self._descriptor, _EVENTS_BYTES), set(), 0
        while offset < len(data):
            _, mask, _, length = _EVENT.unpack_from(data, offset)
            if mask & _IN_Q_OVERFLOW:
                return None
            start = offset + _EVENT.size
            names.add(os.fsdecode(data[start : start + length].rstrip(b"\0")))
            offset = start + length
        return names

    def close(self) -> None:
        """Close the inotify descriptor."""
        os.close(self._descriptor)


def _cannot_watch(path: Path, error: OSError) -> MachineError:
    return MachineError(f"cannot watch the folder {str(path)!r}: {error.strerror}")
