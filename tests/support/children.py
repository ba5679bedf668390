"""The processes below another one, as the kernel lists them."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the children of a process, of all its threads; none of one that has ended."""
    pids: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for file in Path(f"/proc/{pid}/task").glob("*/children"):
            pids += map(int, file.read_text(encoding="ascii").split())
    return pids


def descendants(pid: int) -> list[int]:
    """Return a process' children, and theirs."""
    return [row for child in children(pid) for row in (child, *descendants(child))]


def kill_with_descendants(pid: int) -> None:
    """Kill a process and all below it by SIGKILL."""
    for one in (pid, *descendants(pid)):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
