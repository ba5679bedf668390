"""Processes that a test starts and ends, and those below them, as the kernel lists them."""

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

_ENDS_WITHIN_S: Final = 60.0


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[bytes]]:  # noqa: ANN401 - Popen's
    """Run a program, with options of Popen; it is ended by SIGTERM after the block."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


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
    for process_id in (pid, *descendants(pid)):
        with suppress(ProcessLookupError):
            os.kill(process_id, signal.SIGKILL)
