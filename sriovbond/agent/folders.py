"""The agent's folders: detects host folders replaced behind a mount; creates sockets in them."""

import socket
from pathlib import Path
from typing import Final

from sriovbond import ownfiles


class Mounted:
    """Folders of the host mounted into a container, which does not see one that is recreated.

    `root` is the mount point of the host's root. Only folders identical at the start are compared.
    """

    def __init__(self, root: Path, *folders: Path) -> None:
        pairs = {folder: root / folder.relative_to("/") for folder in folders if root != Path("/")}
        self._pairs: Final = {own: there for own, there in pairs.items() if _are_same(own, there)}

    def stale(self) -> list[Path]:
        """Return the folders that were replaced on the host since the start."""
        return [own for own, there in self._pairs.items() if not _are_same(own, there)]


def _are_same(own: Path, there: Path) -> bool:
    return ownfiles.identity(own) == ownfiles.identity(there)


def listen(path: Path, owner: int, backlog: int) -> socket.socket:
    """Listen at a unix socket that only `owner` can access, in a folder owned by `owner` too.

    The socket is renamed into place: a leftover of a killed agent is replaced, not followed.
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
