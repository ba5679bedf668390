"""Proves that a pod has ended whose namespace path is missing, which alone is no proof."""

import threading
import time
from collections.abc import Callable
from typing import Final

from deviceinfo import read_names
from sriovbond import records
from sriovbond.host import Host
from sriovbond.kernel import holders
from sriovbond.records import Record

_APART_S: Final = 60.0
_MOST: Final = 4096  # more pods than a node has; those that ended by a DEL are removed


class Ended:
    """Kubelet's answers about pods, with their times; one per agent, thread-safe.

    A missing path proves nothing: a container without that mount has no such path, and a running
    pod would lose its addresses.
    """

    def __init__(
        self,
        host: Host,
        apart_s: float = _APART_S,
        clock: Callable[[], float] = time.monotonic,
        most: int = _MOST,
    ) -> None:
        self._host: Final = host
        self._apart_s: Final = apart_s
        self._clock: Final = clock
        self._most: Final = most
        self._lock: Final = threading.Lock()
        self._missed_since: Final[dict[str, float]] = {}

    def doubt(self, record: Record) -> str:
        """Return why the record's pod may still run; empty if it has certainly ended.

        It has if kubelet, queried twice at an interval of a minute, lists others and not this one,
        and neither a process nor a mount holds the namespace. Raises MachineError.
        """
        why = self._doubt_kubelet(record)
        with self._lock:
            if why:
                self._missed_since.pop(record.key, None)
                return why
            left_s = self._note_missed(record.key) + self._apart_s - self._clock()
        if left_s > 0:
            return "kubelet does not list its pod: kubelet is asked again in a minute"
        holder = holders.find(self._host.proc, record.namespace)
        if not holder:
            with self._lock:
                self._missed_since.pop(record.key, None)
        return holder

    def _note_missed(self, key: str) -> float:
        """Return since when kubelet has not listed it; of too many the oldest are forgotten."""
        since = self._missed_since.setdefault(key, self._clock())
        while len(self._missed_since) > self._most:
            self._missed_since.pop(next(iter(self._missed_since)))
        return since

    def _doubt_kubelet(self, record: Record) -> str:
        pod = record.pod.full_name
        if not pod:
            return "no pod is known by which kubelet could be asked"
        listing = read_names(
            self._host.places.pod_resources, timeout_s=self._host.kubelet_timeout_s
        )
        if listing.problem:
            return listing.problem
        if not listing.sees_processes:
            return "kubelet's process is not seen from here, so others may not be either (hostPID)"
        if pod in listing.names and not self._has_successor(record):
            return f"kubelet lists the pod {pod}"
        # a kubelet that has just started may list none yet
        return "" if listing.names - {pod} else "kubelet lists no other pod"

    def _has_successor(self, record: Record) -> bool:
        """Return whether another sandbox of this pod exists: then that is the one listed."""
        siblings = (
            sibling
            for sibling in records.every(self._host)
            if sibling.pod.full_name == record.pod.full_name
            and sibling.container_id != record.container_id
        )
        return any(
            holders.is_that(path, sibling.namespace)
            for sibling in siblings
            if sibling.plan and sibling.is_complete
            for path in self._host.paths_of(sibling.netns)
        )
