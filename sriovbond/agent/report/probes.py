"""Serves kubelet's probes at their own address and in their own thread, independent of load."""

import threading
import time
from collections.abc import Callable, Mapping
from contextvars import copy_context
from typing import Final

from sriovbond import health
from sriovbond.agent.report.address import Address
from sriovbond.agent.report.pages import Page, Served, Service, verdict
from sriovbond.host import Host

ALIVE, READY = "/livez", "/readyz"
_SERVICE: Final = Service(
    "answer probes", "kubelet will restart the agent", timeout_s=2.0, connections=256, backlog=1024
)
_LOOK_S: Final = 2.0
_OLD_S: Final = 1.0


class Readiness:
    """Whether an ADD could succeed, checked in its own thread: a disk may block for ever."""

    def __init__(self, host: Host, remarks: Callable[[], str] = lambda: "") -> None:
        self._host: Final = host
        self._remarks: Final = remarks
        self._changed: Final = threading.Condition()
        self._looking_since: float | None = None
        self._seen_at = float("-inf")
        self._reasons = ""

    def page(self) -> Page:
        """Return the page of the readiness probe, within a few seconds."""
        with self._changed:
            if self._looking_since is None and time.monotonic() > self._seen_at + _OLD_S:
                run = copy_context().run
                threading.Thread(
                    target=run, args=(self._look,), name="readiness", daemon=True
                ).start()  # may fail; its outcome is reported by the thread that waits
                self._looking_since = time.monotonic()
            if self._looking_since is not None:  # only one probe waits for a check
                left_s = self._looking_since + _LOOK_S - time.monotonic()
                self._changed.wait_for(lambda: self._looking_since is None, max(0.0, left_s))
            since, reasons = self._looking_since, self._reasons
        if since is not None:
            late_s = time.monotonic() - since
            return verdict(f"the files of this node have not been read for {late_s:.0f} s")
        return verdict(reasons) if reasons else Page(f"ok\n{self._remarks()}".encode())

    def _look(self) -> None:
        try:
            reasons = "; ".join(map(str, health.reasons_against_add(self._host)))
        except Exception as error:  # noqa: BLE001 - a waiting probe must get the reason
            reasons = f"a fault of sriovbond: {type(error).__name__}: {error}"
        with self._changed:
            self._reasons, self._seen_at, self._looking_since = reasons, time.monotonic(), None
            self._changed.notify_all()


class Probes(Served):
    """Kubelet's probes, whose neighbours on the host's network may crowd their port."""

    def __init__(
        self, address: Address, pages: Mapping[str, Callable[[], Page]], owner: int
    ) -> None:
        super().__init__(address, pages, owner, _SERVICE)
