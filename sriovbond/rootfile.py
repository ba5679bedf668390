"""Reads a file that decides what root does: only where nobody but root can have written it."""

import os
import stat
from pathlib import Path
from typing import Final

from deviceinfo.jsonfile import UnreadableError, opened_folder, read_bounded

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def read(file: Path, most_bytes: int) -> bytes:
    """Return the plain file's content; it and its folder must be root's, for root alone to write.

    Raises FileNotFoundError if there is none, UnreadableError with the reason not to use it.
    """
    try:
        with opened_folder(file.parent) as folder_fd:
            status = os.stat(file.name, dir_fd=folder_fd, follow_symlinks=False)
            _check("its folder", os.fstat(folder_fd))
            _check("it", status)
            return read_bounded(folder_fd, file.name, most_bytes)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(file) from error
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error


def _check(which: str, status: os.stat_result) -> None:
    """Blame what others can write; an owner other than root only where root reads."""
    if os.geteuid() == 0 and status.st_uid != 0:
        raise UnreadableError(f"{which} belongs to user {status.st_uid}; chown it to root")
    if status.st_mode & _OTHERS_WRITE and not stat.S_ISLNK(status.st_mode):
        mode = stat.S_IMODE(status.st_mode)
        raise UnreadableError(f"{which} can be written by others (mode {mode:04o}); chmod go-w")
