"""File events of a folder: inotify(7), missing in Python's standard library."""

import logging
import os
import selectors
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sriovbond import libc, log, ownfiles
from sriovbond.errors import MachineError

# include/uapi/linux/inotify.h
_IN_MOVED_TO: Final = 0x80
_IN_DELETE: Final = 0x200
_IN_MOVE_SELF: Final = 0x800
_IN_Q_OVERFLOW: Final = 0x4000
_IN_IGNORED: Final = 0x8000  # the folder was removed
_IN_ONLYDIR: Final = 0x01000000
_EVENT: Final = struct.Struct("=iIII")
_EVENTS_BYTES: Final = 1 << 16


_EVENTS: Final = _IN_MOVED_TO | _IN_DELETE | _IN_MOVE_SELF | _IN_ONLYDIR


class Folder:
    """A folder in which files appear by rename; `fileno` is readable when one did or vanished.

    `is_gone`: it was removed or renamed, according to the events read so far. Its inode's number
    proves nothing: the kernel may give it to the next folder.
    """

    is_gone = False

    def __init__(self, path: Path) -> None:
        try:
            self._descriptor: Final = libc.open_inotify()
        except OSError as error:
            raise _cannot_watch(path, error) from error
        try:
            libc.add_watch(self._descriptor, path, _EVENTS)
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
            self.is_gone |= bool(mask & (_IN_IGNORED | _IN_MOVE_SELF))
            start = offset + _EVENT.size
            names.add(os.fsdecode(data[start : start + length].rstrip(b"\0")))
            offset = start + length
        return names

    def close(self) -> None:
        """Close the inotify descriptor."""
        os.close(self._descriptor)


class FollowedFolder:
    """The events of a folder, also after it was recreated; `make` creates it if missing.

    When it cannot be watched, that is logged, and `is_followed` is False: all containers of root
    share the number of inotify instances (fs.inotify.max_user_instances), so any may use them up.
    Then the caller has to list it, and may try `follow` again.
    """

    def __init__(
        self, path: Path, make: Callable[[], object], waiting: selectors.BaseSelector
    ) -> None:
        self._path: Final = path
        self._make: Final = make
        self._waiting: Final = waiting
        self._folder: Folder | None = None
        self._identity: tuple[int, int] | None = None
        self._reported = ""
        self.follow()

    @property
    def is_followed(self) -> bool:
        """Whether the events of the folder at the path are received, as far as known."""
        if self._folder is None or self._folder.is_gone:
            return False
        return ownfiles.identity(self._path) == self._identity

    def look(self, ready: Sequence[object]) -> None:
        """Read its events if the selector has reported it; follow its successor if it is gone."""
        if self.is_in(ready):
            self.changed()
        if not self.is_followed:
            self.follow()

    def follow(self) -> None:
        """Watch the folder at the path, in place of an earlier one."""
        self.close()
        try:
            self._make()
            self._identity = ownfiles.identity(self._path)
            self._folder = Folder(self._path)
        except MachineError as error:
            if error.message != self._reported:
                log.event(logging.ERROR, f"{error.message}; it is listed now and then instead")
            self._reported = error.message
            return
        self._reported = ""
        self.resume()

    def is_in(self, ready: Sequence[object]) -> bool:
        """Return whether the selector has reported it."""
        return self._folder is not None and self._folder in ready

    def changed(self) -> set[str] | None:
        """Return the names of files that appeared or vanished; None when events were lost."""
        return self._folder.changed() if self._folder else None

    def pause(self) -> None:
        """Leave further events in the queue of inotify."""
        if self._folder and self._folder in self._waiting.get_map():
            self._waiting.unregister(self._folder)

    def resume(self) -> None:
        """Have the selector report it; idempotent."""
        if self._folder and self._folder not in self._waiting.get_map():
            self._waiting.register(self._folder, selectors.EVENT_READ)

    def close(self) -> None:
        """Stop watching."""
        self.pause()
        if self._folder:
            self._folder.close()
        self._folder = None


def _cannot_watch(path: Path, error: OSError) -> MachineError:
    return MachineError(f"cannot watch the folder {str(path)!r}: {error.strerror}")
