"""The host's name, of the kernel and of the next boot."""

from pathlib import Path

from sriovbond import hostname
from sriovbond.nodenet.routing import HostName


def name(root: Path, change: HostName) -> None:
    """Give the host the names that differ. Raises MachineError."""
    if change.config is not None:
        hostname.write(root, hostname.content(change.config))
    if change.running:
        hostname.run_as(change.running)
