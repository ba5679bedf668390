"""Opens and reads plain files written by others: follows no link, blocks on no pipe.

All of sriovbond opens such files here. Parsing is not part of this module.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# O_NONBLOCK: opening a pipe of that name must not block
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_TYPE: Final = 0o170000  # of st_mode: S_IFMT of inode(7)
_LEAST_BYTES: Final = 1 << 16  # also for file systems that report no size


class UnreadableError(Exception):
    """A file cannot be read; the text says why."""


class NotPlainError(UnreadableError):
    """The path is no plain file, or too large; a retry would fail in the same way."""


@contextmanager
def open_folder(path: Path | str, *, inside: int | None = None) -> Iterator[int]:
    """Hold a folder open, so that all its files come from the same one; raises OSError.

    With `inside`, `path` is a name in that open folder and must not be a link.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | (0 if inside is None else os.O_NOFOLLOW)
    folder_fd = os.open(path, flags, dir_fd=inside)
    try:
        yield folder_fd
    finally:
        os.close(folder_fd)


def read(path: Path | str, most_bytes: int, *, inside: int | None = None) -> bytes:
    """Return the content of one plain file, which may be a name in the open folder `inside`.

    Raises FileNotFoundError if it does not exist, NotPlainError if it is a link, no plain file or
    too large, UnreadableError when it cannot be read now.
    """
    try:
        file_fd, status = open_plain(path, inside=inside)
        try:
            return read_opened(file_fd, status.st_size, most_bytes)
        finally:
            os.close(file_fd)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnreadableError(str(error.strerror)) from error


def open_plain(path: Path | str, *, inside: int | None = None) -> tuple[int, os.stat_result]:
    """Open a plain file, following no link to it; return its descriptor and fstat(2).

    Raises NotPlainError, OSError.
    """
    try:
        file_fd = os.open(path, _READ, dir_fd=inside)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotPlainError(f"{error.strerror} (a link is not followed)") from error
        if error.errno == errno.ENXIO:  # a socket
            raise NotPlainError("it is not a plain file") from error
        raise
    status = os.fstat(file_fd)
    if status.st_mode & _TYPE != stat.S_IFREG:
        os.close(file_fd)
        raise NotPlainError("it is not a plain file")
    return file_fd, status


def read_opened(file_fd: int, size: int, most_bytes: int) -> bytes:
    """Return the content of an open file of that size. Raises NotPlainError, OSError."""
    # One call reads a plain file whole; a buffer for its limit would cost more than the reading.
    room = size + 1 if size > _LEAST_BYTES else _LEAST_BYTES
    content = os.read(file_fd, room if room <= most_bytes else most_bytes + 1)
    if content[most_bytes:]:
        raise NotPlainError(f"it is larger than {most_bytes} bytes")
    return content
