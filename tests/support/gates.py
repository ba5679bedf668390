"""Halts a plugin in another process at a chosen netlink request, while a test acts."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sriovbond.kernel import netlink as nl
from tests.support.agents import wait_for
from tests.support.shims import WITHIN_S

_STEPS = frozenset({"subprocess.Popen", "os.remove", "os.rename"})


@dataclass(frozen=True, slots=True)
class Spot:
    """A place among the requests of a call: before or after the one whose `doing` begins so."""

    doing: str
    is_after: bool = False

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.doing}"


@dataclass(frozen=True, slots=True)
class Gate:
    """A file that says where to halt; the process that gets there renames it, and waits."""

    folder: Path

    @property
    def _shut(self) -> Path:
        return self.folder / "gate"

    @property
    def _reached(self) -> Path:
        return self.folder / "gate.reached"

    def install(self) -> None:
        """Have all netlink requests of this process pass the gate.

        Programs and files too: after the last request of a DEL come IPAM and the record.
        """
        own = threading.local()

        def tap(request: nl.NetlinkRequest) -> None:
            before, own.doing = getattr(own, "doing", ""), request.doing
            self._pass(before, request.doing)

        def audit(event: str, _: object) -> None:
            if event in _STEPS:
                before, own.doing = getattr(own, "doing", ""), ""
                if before:
                    self._pass(before, "")

        nl.taps.append(tap)
        sys.addaudithook(audit)

    def _pass(self, before: str, doing: str) -> None:
        with suppress(FileNotFoundError):
            when, _, sought = self._shut.read_text().partition(" ")
            if (before if when == "after" else doing).startswith(sought):
                self._halt()

    def _halt(self) -> None:
        self._shut.rename(self._reached)  # of two threads one gets an error, and goes on
        deadline = time.monotonic() + WITHIN_S
        while self._reached.exists() and time.monotonic() < deadline:
            time.sleep(0.005)

    @contextmanager
    def shut(self, spot: Spot) -> Iterator[None]:
        """Halt the next process that gets to the spot."""
        fresh = self.folder / "gate.new"
        fresh.write_text(str(spot))
        fresh.rename(self._shut)
        try:
            yield
        finally:
            self._shut.unlink(missing_ok=True)
            self.open()

    def await_halt(self, has_ended: Callable[[], bool]) -> None:
        """Return when a process halts; fail where the call ended without getting there."""
        wait_for(lambda: self._reached.exists() or has_ended())
        assert self._reached.exists(), "the call ended before it got to the gate"

    def open(self) -> None:
        """Let the process go on."""
        self._reached.unlink(missing_ok=True)
