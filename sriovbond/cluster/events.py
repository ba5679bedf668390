"""Writes Kubernetes Events of the bonds' happenings, without blocking, from its own thread.

Callers never wait for the API server, and the backlog is bounded: equal happenings become one
series with a count; what exceeds the bounds, or fails for too long, is dropped and counted.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from deviceinfo.plainfile import UnreadableError
from sriovbond import log
from sriovbond.backoff import lengthen
from sriovbond.cluster import eventapi, kubeconfig
from sriovbond.cluster.annotations import are_names
from sriovbond.cluster.eventapi import Series
from sriovbond.cluster.resources import ApiRefusedError
from sriovbond.happenings.happening import Happening
from sriovbond.host import Host
from sriovbond.subject import Subject

if TYPE_CHECKING:  # imports kubernetes
    from sriovbond.cluster.client import Client

_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the backlog and the rate; times in seconds."""

    series: int = 1000
    """Not written yet."""
    series_in_all: int = 4000
    """With the written ones, to which equal happenings are added: a dozen of each of 300 bonds."""
    series_of_a_bond: int = 25
    again_s: float = 30.0
    """Between two writes of one series."""
    open_s: float = 600.0
    """How long after its last happening an equal one still belongs to a series."""
    give_up_s: float = 900.0
    """How long a series is retried."""
    burst: int = 100
    per_s: float = 10.0
    """Events written at once, and then per second; client-go's defaults are similar."""
    write_s: float = 10.0
    """How long a connection is used."""
    pause_s: float = 1.0
    """Pause after a failure; doubled after each further one."""


LIMITS: Final = Limits()


@dataclass(slots=True)
class _Waiting:
    """A series with its times, of the monotonic clock."""

    series: Series
    due: float
    seen_at: float
    wanted_since: float

    @property
    def is_new(self) -> bool:
        """Return whether the API does not have its current state."""
        return self.series.written < self.series.count

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self.series.first.subject.pod.namespace


class Events:
    """A sink of happenings that never blocks; `close` writes the rest, within a time limit.

    Create it in the host's network namespace: its thread sends from there.
    """

    def __init__(self, host: Host, node: str, limits: Limits = LIMITS) -> None:
        self.lost = 0
        self._host = host
        self._node = node
        self._limits = limits
        self._changed = threading.Condition()
        self._all: dict[tuple[object, ...], _Waiting] = {}
        self._of_bond: Counter[Subject] = Counter()
        self._is_closing = False
        self._paused_until = 0.0
        self._pause_s = 0.0
        self._failed_at: dict[str, float] = {}
        self._allowed = float(limits.burst)
        self._allowed_at = time.monotonic()
        self._reported = ""
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def __call__(self, happening: Happening) -> None:
        """Queue a happening to be written; one of a bond without a pod is ignored."""
        subject = happening.subject
        if not are_names(subject.pod.namespace, subject.pod.name):
            return
        key, now = eventapi.key_of(happening), time.monotonic()
        with self._changed:
            waiting = self._all.get(key)
            if waiting and (waiting.is_new or now - waiting.seen_at < self._limits.open_s):
                if not waiting.is_new:
                    waiting.wanted_since = now
                waiting.series.count += 1
                waiting.series.last_at, waiting.seen_at = happening.at, now
            elif self._has_room(happening):
                series = Series(happening, happening.at)
                self._forget_one(key)  # a closed series
                self._all[key] = _Waiting(series, due=now, seen_at=now, wanted_since=now)
                self._of_bond[subject] += 1
            else:
                self.lost += 1
            self._changed.notify()

    def close(self, timeout_s: float = 5.0) -> bool:
        """Accept no more, write the backlog; return whether the thread ended in time."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _has_room(self, happening: Happening) -> bool:
        return (
            not self._is_closing
            and self._of_bond[happening.subject] < self._limits.series_of_a_bond
            and (len(self._all) < self._limits.series or self._make_room())
        )

    def _make_room(self) -> bool:
        """Return whether few are not written yet; forget a written one where there are too many."""
        written = [waiting for waiting in self._all.values() if not waiting.is_new]
        if len(self._all) - len(written) >= self._limits.series:
            return False
        if len(self._all) >= self._limits.series_in_all:
            self._forget_one(min(written, key=lambda waiting: waiting.seen_at).series.key)
        return True

    def _run(self) -> None:
        with log.logged_to(None, self._host.logs):
            while batch := self._next_batch():
                try:
                    self._write(batch)
                except Exception as error:  # noqa: BLE001 - the next ones must be written
                    self._drop(batch)
                    why = f"{type(error).__name__}: {error}"
                    log.event(logging.ERROR, f"a fault of sriovbond: {why}")

    def _next_batch(self) -> list[_Waiting]:
        """Wait until some series are due, and return them; empty when closed."""
        with self._changed:
            while True:
                now = time.monotonic()
                self._forget(now)
                new = self._list_new()
                if self._is_closing:
                    return new[: self._limits.burst]
                due = [waiting for waiting in new if waiting.due <= now]
                allowed = self._allowance(now)
                if due and allowed and now >= self._paused_until:
                    self._allowed -= min(len(due), allowed)
                    return due[:allowed]
                self._changed.wait(self._wait_s(new, now))

    def _list_new(self) -> list[_Waiting]:
        """Return the series to be written, those last whose namespace has failed last.

        A namespace may have a webhook of its own, whose server is away: each of its Events fails.
        """
        new = [waiting for waiting in self._all.values() if waiting.is_new]
        return sorted(new, key=lambda waiting: self._failed_at.get(waiting.namespace, 0.0))

    def _forget(self, now: float) -> None:
        """Drop the series that are written and closed, and those that failed for too long."""
        for key, waiting in list(self._all.items()):
            is_late = waiting.is_new and now - waiting.wanted_since > self._limits.give_up_s
            self.lost += is_late
            if is_late or (not waiting.is_new and now - waiting.seen_at > self._limits.open_s):
                self._forget_one(key)

    def _forget_one(self, key: tuple[object, ...]) -> bool:
        waiting = self._all.pop(key, None)
        if waiting is None:
            return False
        subject = waiting.series.first.subject
        self._of_bond[subject] -= 1
        if not self._of_bond[subject]:
            del self._of_bond[subject]
        return True

    def _allowance(self, now: float) -> int:
        more = (now - self._allowed_at) * self._limits.per_s
        self._allowed = min(float(self._limits.burst), self._allowed + more)
        self._allowed_at = now
        return int(self._allowed)

    def _wait_s(self, new: Sequence[_Waiting], now: float) -> float | None:
        if not new:
            return None
        first = max(min(waiting.due for waiting in new), self._paused_until)
        return max(first - now, 1 / self._limits.per_s)

    def _write(self, batch: Sequence[_Waiting]) -> None:
        """Write them over one connection; the rest is retried when it fails or takes too long."""
        from sriovbond.cluster import client  # noqa: PLC0415 - loads kubernetes

        started = time.monotonic()
        try:
            content = kubeconfig.read(self._host)  # each time: tokens are renewed
        except FileNotFoundError:
            self._note_failure("there is no such file")
            return
        except UnreadableError as error:
            self._note_failure(str(error))
            return
        try:
            deadline = started + self._limits.write_s
            with client.connected(content, self._host.kubeconfig.parent, deadline) as connection:
                for waiting in batch:
                    if time.monotonic() > started + self._limits.write_s / 2:
                        return
                    self._write_one(waiting, connection)
        except (UnreadableError, OSError) as error:
            self._note_failure(str(error))

    def _write_one(self, waiting: _Waiting, connection: "Client") -> None:
        try:
            eventapi.write(waiting.series, self._node, connection)
        except ApiRefusedError as error:
            if not error.is_lasting:
                self._note_failed(waiting.namespace)
                raise
            self._drop([waiting])
            self._tell(str(error))
        except (UnreadableError, OSError):
            self._note_failed(waiting.namespace)
            raise
        else:
            waiting.due = time.monotonic() + self._limits.again_s
            self._pause_s = 0.0
            self._reported = ""

    def _note_failed(self, namespace: str) -> None:
        """Write what other namespaces have before what this one has."""
        now = time.monotonic()
        kept_since = now - self._limits.give_up_s
        recent = {name: at for name, at in self._failed_at.items() if at > kept_since}
        self._failed_at = {**recent, namespace: now}

    def _note_failure(self, why: str) -> None:
        """Pause before the next attempt, longer after each failure; drop the series at the end."""
        self._tell(why)
        self._pause_s = lengthen(self._pause_s, self._limits.pause_s, _LONGEST_PAUSE_S)
        self._paused_until = time.monotonic() + self._pause_s
        if self._is_closing:
            with self._changed:
                self._drop([waiting for waiting in self._all.values() if waiting.is_new])

    def _drop(self, batch: Sequence[_Waiting]) -> None:
        with self._changed:
            for waiting in batch:
                self.lost += self._forget_one(waiting.series.key)

    def _tell(self, why: str) -> None:
        """Log a failure once, until an Event is written or another failure occurs."""
        if why != self._reported:
            self._reported = why
            named = kubeconfig.describe_access(self._host)
            log.event(logging.WARNING, f"cannot write Events with {named}: {why}")
