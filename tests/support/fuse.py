"""Kills an agent before a chosen step: a netlink request, a file operation, a program start."""

import multiprocessing
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sriovbond.kernel import netlink as nl

_SHARED = multiprocessing.get_context("forkserver")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NAME_BYTES = 200


@dataclass(slots=True)
class Fuse:
    """A counter that a test sets and the agent's process decrements at each step; at 0 it dies.

    Steps have effects outside of the process: netlink requests and, by Python's audit events,
    writing, renaming, removing or syncing the agent's own files, writing sysctls, starting
    programs. Without `reads`, requests that change nothing are no steps: killing before or after
    them is the same.
    """

    home: Path
    reads: bool = False
    _left: Any = field(default_factory=lambda: _SHARED.RawValue("i", 0))  # unlocked: it may die
    _name: Any = field(default_factory=lambda: _SHARED.RawArray("c", _NAME_BYTES))

    def light(self, steps: int) -> None:
        """Let the process die before that step, counted from 1 and from now on."""
        self._left.value = steps

    def put_out(self) -> int:
        """Let the process live; return the number of steps left, 0 if it died."""
        left = int(self._left.value)
        self._left.value = 0
        return left

    @property
    def step(self) -> str:
        """The step before which the process died."""
        return bytes(self._name.value).decode()

    def install(self) -> None:
        """Count the steps of this process from now on."""
        lock = threading.Lock()

        def burn(name: str) -> None:
            with lock:
                if self._left.value == 0:
                    return
                self._left.value -= 1
                if self._left.value == 0:
                    self._name.value = name.encode()[: _NAME_BYTES - 1]
                    os.kill(os.getpid(), signal.SIGKILL)

        def audit(event: str, arguments: tuple[Any, ...]) -> None:
            if self._left.value and self._is_step(event, arguments):
                burn(f"{event} {arguments[0]}")

        def tap(request: nl.NetlinkRequest) -> None:
            if self.reads or request.changes:
                burn(str(request))

        nl.taps.append(tap)
        sys.addaudithook(audit)

    def _is_step(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "subprocess.Popen":
            return True
        if event not in {"open", "os.rename", "os.remove"}:
            return False
        path = str(arguments[0])
        if event == "open" and not arguments[2] & (_WRITING | os.O_DIRECTORY):
            return False
        return path.startswith((f"{self.home}/", "/proc/sys/"))
