"""The host's name: the kernel's, and the one of hostname(5) that a boot gives it."""

import re
import socket
from pathlib import Path
from typing import Final

from sriovbond import ownfiles
from sriovbond.errors import MachineError

MOST: Final = 64  # HOST_NAME_MAX
_FILE: Final = "etc/hostname"
_MOST_BYTES: Final = 4096
_MODE: Final = 0o644
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def is_possible(name: str) -> bool:
    """Return whether a host can have that name: labels of letters, digits and hyphens.

    Underscores are no hostname's (RFC 1123), and hosts have them.
    """
    labels = name.split(".")
    return bool(_NAME.fullmatch(name)) and all(
        label and not label.startswith("-") and not label.endswith("-") for label in labels
    )


def running() -> str:
    """Return the name that the kernel has, of this process' UTS namespace."""
    return socket.gethostname()


def run_as(name: str) -> None:
    """Give the kernel a name. Raises MachineError."""
    try:
        socket.sethostname(name)
    except OSError as error:
        raise MachineError(f"cannot name the host {name!r}: {error.strerror}") from error


def configured(root: Path) -> str:
    """Return the name that the file has, empty where it has none. Raises MachineError."""
    lines = (read(root) or b"").decode("ascii", "replace").splitlines()
    names = (line.strip() for line in lines)
    return next((name for name in names if name and not name.startswith("#")), "")


def read(root: Path) -> bytes | None:
    """Return the file's content, None where it is missing. Raises MachineError."""
    return ownfiles.find(root / _FILE, _MOST_BYTES)


def content(name: str) -> bytes | None:
    """Return the file's content for a name; None, no file, for the empty one."""
    return f"{name}\n".encode("ascii") if name else None


def write(root: Path, content: bytes | None) -> None:
    """Write the file whole, or remove it for None. Raises MachineError."""
    ownfiles.settle(root / _FILE, content, _MODE)
