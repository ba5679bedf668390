"""The words that run this program again, by systemd, at a boot, or in a process of its own."""

import sys
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError

LAUNCHER: Final = "sriovbond-launch"
"""The script beside the copies: `sriovbond-launch MODULE ...` is `python -m MODULE ...` by one."""
_CGROUPS: Final = Path("/sys/fs/cgroup")


def words(module: str = "sriovbond") -> list[str]:
    """Return the words that run a module of this program: by its own Python, or by the copy's."""
    launcher = copied_to()
    return [str(launcher), module] if launcher else [sys.executable, "-m", module]


def copied_to() -> Path | None:
    """Return the launcher of the copy that this process runs from, None when it runs from none."""
    launcher = Path(sys.prefix).parent / LAUNCHER
    return launcher if launcher.is_file() else None


def leave_container(cgroups: Path = _CGROUPS) -> None:
    """Leave the container's cgroups, with which this process would be killed.

    For a process that nothing else takes out of them, as a unit of systemd is. Does nothing for one
    that was not started from a container. Raises MachineError.
    """
    if copied_to() is None:
        return
    roots = [cgroups] if (cgroups / "cgroup.procs").exists() else [*cgroups.iterdir()]
    for procs in (root / "cgroup.procs" for root in roots):
        try:
            if procs.exists():
                procs.write_text("0\n", encoding="ascii")
        except OSError as error:
            raise MachineError(
                f"cannot leave the container's cgroup by {str(procs)!r}: {error.strerror}; its end "
                "would end this process, too"
            ) from error
