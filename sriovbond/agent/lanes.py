"""Limits concurrent calls in total, by network and by the pods' namespace; queues the others."""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

Work = Callable[[], object]
ROOM_BYTES: Final = 1 << 14
"""A queued call takes one place for each of these: it is held in the agent's memory."""


class Origin(NamedTuple):
    """Where a call comes from: its pod's namespace, "" outside Kubernetes, and its network."""

    namespace: str
    network: Hashable

    @property
    def tenant(self) -> Hashable:
        """Whose calls share a bound: those of a namespace, else those of a network."""
        return self.namespace or Origin("", self.network)


class Entry(Enum):
    """The outcome of a request for a lane."""

    ENTERED = "it has one, and must leave it"
    WAITS = "it waits, and will be called"
    FULL = "neither: too many wait"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued call: `go_on` runs once it has a lane, `give_up` when `until` has passed.

    `hang_up` runs when the lanes are closed first; `size` is the call's bytes.
    """

    go_on: Work
    give_up: Work
    hang_up: Work
    until: float
    size: int = 0

    @property
    def places(self) -> int:
        """The number of places that it takes in the queue."""
        return 1 + self.size // ROOM_BYTES


def half_of(free: int) -> int:
    """Return half of the lanes that others do not hold, at least one.

    So a network whose IPAM hangs holds half of all, a second one half of the rest, and a lane is
    left for the next.
    """
    return max(1, free // 2)


def three_quarters_of(free: int) -> int:
    """Return three quarters of the lanes that others do not hold, at least one.

    So a namespace with many networks, whose IPAM hangs, leaves lanes to the others.
    """
    return max(1, 3 * free // 4)


class Lanes:
    """`total` lanes. If they are shared out, a network may hold half of those that others leave.

    And a namespace three quarters of those that other namespaces leave. A queued call occupies no
    thread: `give` passes its work to one. Each origin's queue has `most` places. Once twice as
    many are taken by a namespace, or four times as many in all, only an origin without a queued
    call may queue one, of one place.
    """

    def __init__(
        self,
        total: int,
        most: int,
        give: Callable[[Work], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        is_shared_out: bool = True,
    ) -> None:
        self._total: Final = total
        self._most: Final = most
        self._give: Final = give
        self._clock: Final = clock
        self._is_shared_out: Final = is_shared_out
        self._changed: Final = threading.Lock()
        self._held: Final[dict[Origin, int]] = {}
        self._lines: Final[dict[Origin, deque[Waiting]]] = {}
        self._is_closed = False

    def enter(self, origin: Origin, waiting: Waiting | None = None) -> Entry:
        """Take a lane; when none is free queue `waiting`, if there is one."""
        with self._changed:
            if self._is_closed:
                return Entry.FULL
            if origin not in self._lines and self._is_free(origin):
                self._take(origin)
                return Entry.ENTERED
            if waiting is None or not self._has_room(origin, waiting):
                return Entry.FULL
            self._lines.setdefault(origin, deque()).append(waiting)
            return Entry.WAITS

    def leave(self, origin: Origin) -> None:
        """Release the lane, and pass it to the next queued calls."""
        with self._changed:
            self._held[origin] -= 1
            if not self._held[origin]:
                del self._held[origin]
            called = list(self._call_next())
        for waiting in called:
            self._give(waiting.go_on)

    @contextmanager
    def entered(self, origin: Origin) -> Iterator[bool]:
        """Hold a lane within the block; yields False when none is free."""
        is_entered = self.enter(origin) is Entry.ENTERED
        try:
            yield is_entered
        finally:
            if is_entered:
                self.leave(origin)

    def give_up_late(self) -> None:
        """Pass on `give_up` of the calls whose time has passed."""
        for waiting in self.take_late():
            self._give(waiting.give_up)

    def take_late(self) -> list[Waiting]:
        """Remove and return the queued calls whose time has passed."""
        now = self._clock()
        with self._changed:
            late = [
                waiting for line in self._lines.values() for waiting in line if waiting.until <= now
            ]
            for origin, line in list(self._lines.items()):
                self._keep(origin, deque(waiting for waiting in line if waiting.until > now))
        return late

    def close(self) -> None:
        """Run `hang_up` of all queued calls; admit no more."""
        with self._changed:
            self._is_closed = True
            remaining = [waiting for line in self._lines.values() for waiting in line]
            self._lines.clear()
        for waiting in remaining:
            waiting.hang_up()

    def pause_s(self) -> float | None:
        """Return the seconds until the next queued call times out; None when none is queued."""
        with self._changed:
            first = min(
                (waiting.until for line in self._lines.values() for waiting in line), default=None
            )
        return None if first is None else max(0.0, first - self._clock())

    def _is_free(self, origin: Origin) -> bool:
        if sum(self._held.values()) >= self._total:
            return False
        if not self._is_shared_out:
            return True
        network = self._held_by(lambda held: held.network == origin.network)
        tenant = self._held_by(lambda held: held.tenant == origin.tenant)
        free = self._total - sum(self._held.values())
        return network < half_of(free + network) and tenant < three_quarters_of(free + tenant)

    def _held_by(self, matches: Callable[[Origin], bool]) -> int:
        return sum(count for held, count in self._held.items() if matches(held))

    def _has_room(self, origin: Origin, waiting: Waiting) -> bool:
        places = {name: sum(entry.places for entry in line) for name, line in self._lines.items()}
        tenant = sum(count for name, count in places.items() if name.tenant == origin.tenant)
        is_crowded = sum(places.values()) >= 4 * self._most or tenant >= 2 * self._most
        if origin not in places:  # a tenant has as many of these as he likes
            return not is_crowded or waiting.places == 1
        return not is_crowded and places[origin] + waiting.places <= self._most

    def _take(self, origin: Origin) -> None:
        self._held[origin] = self._held.get(origin, 0) + 1

    def _call_next(self) -> Iterator[Waiting]:
        """Yield the waiting calls that have a lane now, of those who hold fewer first."""

        def rank(origin: Origin) -> tuple[int, int]:
            tenant = self._held_by(lambda held: held.tenant == origin.tenant)
            return tenant, self._held.get(origin, 0)

        while free := [origin for origin in self._lines if self._is_free(origin)]:
            origin = min(free, key=rank)
            self._take(origin)
            line = self._lines.pop(origin)  # moves it to the end of the order
            yield line.popleft()
            self._keep(origin, line)

    def _keep(self, origin: Origin, line: deque[Waiting]) -> None:
        if line:
            self._lines[origin] = line
        else:
            self._lines.pop(origin, None)
