"""Writes resolv.conf whole, and restores it byte by byte."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.errors import MachineError
from sriovbond.nodenet.routing import Resolver
from sriovbond.survey import resolver

_MOST_BYTES: Final = 1 << 20
_FRESH: Final = ".resolv.conf.sriovbond"
_WORDS: Final = ("nameserver", "search", "domain", "options")
_MODE: Final = 0o644


def read(root: Path) -> bytes | None:
    """Return the file's content, None where it is missing. Raises MachineError."""
    path = resolver.path(root)
    try:
        return plainfile.read(path, _MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, UnreadableError) as error:
        raise MachineError(f"cannot read {path}: {error}") from error


def change(root: Path, wish: Resolver) -> None:
    """Give the resolver its servers, search domains and options; other lines stay.

    What is None stays as it is; all of them empty clears the file of them. Raises MachineError.
    """
    write(root, planned(root, wish))


def planned(root: Path, wish: Resolver) -> bytes:
    """Return the content that `change` writes. Raises MachineError."""
    return _content((read(root) or b"").decode("utf-8", "replace"), wish).encode()


def write(root: Path, content: bytes | None) -> None:
    """Write the file whole, or remove it for None; nothing is done where it is so.

    Raises MachineError.
    """
    path = resolver.path(root)
    if read(root) == content:
        return
    try:
        _put(path, content)
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror}") from error


def _put(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    folder_fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        mode = _mode(path)
        ownfiles.write_whole(
            folder_fd,
            path.name,
            content,
            fresh=_FRESH,
            finish=lambda file_fd: os.fchmod(file_fd, mode),
        )
    except OSError as error:
        if error.errno != errno.EBUSY:  # a container's runtime mounts the file by itself
            raise
        path.write_bytes(content)
    finally:
        os.close(folder_fd)


def _mode(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_mode & 0o7777
    return _MODE


def _content(before: str, wish: Resolver) -> str:
    lines = [line for line in before.splitlines() if _keeps(line, wish)]
    lines += [f"nameserver {server}" for server in wish.server or ()]
    if wish.search:
        lines.append(f"search {' '.join(wish.search)}")
    if wish.options:
        lines.append(f"options {' '.join(wish.options)}")
    return "".join(f"{line}\n" for line in lines)


def _keeps(line: str, wish: Resolver) -> bool:
    """Return whether a line stays: a comment, what is not ours, what is not mentioned."""
    word = (line.split() or [""])[0]
    if wish == Resolver():
        return word not in _WORDS
    gone = {
        "nameserver": wish.server is not None,
        "search": wish.search is not None,
        "domain": wish.search is not None,
        "options": wish.options is not None,
    }
    return not gone.get(word, False)
