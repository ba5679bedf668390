"""Folders of the agent: which they are, also where they are mounts, and the sockets in them."""

import socket
from pathlib import Path
from typing import Final

from sriovbond import ownfiles


def identity(path: Path) -> tuple[int, int] | None:
    """Return which folder stands there, None where none does."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


class Mounted:
    """Folders of the host that a container has as mounts: one made anew there is not seen here.

    `root` is where the host's root is seen. Compared are those that were the same at the start.
    """

    def __init__(self, root: Path, *folders: Path) -> None:
        pairs = {folder: root / folder.relative_to("/") for folder in folders if root != Path("/")}
        self._pairs: Final = {
            own: there for own, there in pairs.items() if identity(own) == identity(there)
        }

    def stale(self) -> list[Path]:
        """Return which are other folders on the host by now."""
        return [own for own, there in self._pairs.items() if identity(own) != identity(there)]


def listen(path: Path, owner: int, backlog: int) -> socket.socket:
    """Listen at a unix socket of the owner's alone, in a folder that is so too.

    It takes its place by a rename: what a killed agent left there is replaced, not followed.
    Raises MachineError for the folder, OSError for the socket.
    """
    ownfiles.make_folder(path.parent, owner)
    fresh = path.with_name(f".{path.name}.new")
    listening = socket.socket(socket.AF_UNIX)
    try:
        fresh.unlink(missing_ok=True)
        listening.bind(str(fresh))
        fresh.chmod(0o600)
        listening.listen(backlog)
        fresh.rename(path)
    except OSError:
        listening.close()
        raise
    return listening
