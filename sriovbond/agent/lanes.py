"""Limits concurrent calls in total and for each network; calls over the limit are queued."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Final

Work = Callable[[], object]
ROOM_BYTES: Final = 1 << 14
"""A queued call takes one place for each of these: it is held in the agent's memory."""


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


class Lanes:
    """`total` lanes; of those not held by other networks a network may hold `share_of` as many.

    A queued call occupies no thread: `give` passes its work to one. The queue of a network has
    `most` places; once four times as many are taken in all, only a network without queued calls may
    queue one.
    """

    def __init__(
        self,
        total: int,
        most: int,
        give: Callable[[Work], object],
        clock: Callable[[], float] = time.monotonic,
        share_of: Callable[[int], int] = half_of,
    ) -> None:
        self._total: Final = total
        self._most: Final = most
        self._give: Final = give
        self._clock: Final = clock
        self._share_of: Final = share_of
        self._changed: Final = threading.Lock()
        self._held: Final[dict[str, int]] = {}
        self._lines: Final[dict[str, deque[Waiting]]] = {}
        self._is_closed = False

    def enter(self, network: str, waiting: Waiting | None = None) -> Entry:
        """Take a lane; when none is free queue `waiting`, if there is one."""
        with self._changed:
            if self._is_closed:
                return Entry.FULL
            if network not in self._lines and self._is_free(network):
                self._take(network)
                return Entry.ENTERED
            if waiting is None or not self._has_room(network, waiting):
                return Entry.FULL
            self._lines.setdefault(network, deque()).append(waiting)
            return Entry.WAITS

    def leave(self, network: str) -> None:
        """Release the lane, and pass it to the next queued calls."""
        with self._changed:
            self._held[network] -= 1
            if not self._held[network]:
                del self._held[network]
            called = list(self._call_next())
        for waiting in called:
            self._give(waiting.go_on)

    @contextmanager
    def entered(self, network: str) -> Iterator[bool]:
        """Hold a lane within the block; yields False when none is free."""
        is_entered = self.enter(network) is Entry.ENTERED
        try:
            yield is_entered
        finally:
            if is_entered:
                self.leave(network)

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
            for network, line in list(self._lines.items()):
                self._keep(network, deque(waiting for waiting in line if waiting.until > now))
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

    def _is_free(self, network: str) -> bool:
        own = self._held.get(network, 0)
        free = self._total - (sum(self._held.values()) - own)
        return own < free and own < self._share_of(free)

    def _has_room(self, network: str, waiting: Waiting) -> bool:
        if network not in self._lines:
            return True
        places = {name: sum(entry.places for entry in line) for name, line in self._lines.items()}
        is_crowded = sum(places.values()) >= 4 * self._most
        return not is_crowded and places[network] + waiting.places <= self._most

    def _take(self, network: str) -> None:
        self._held[network] = self._held.get(network, 0) + 1

    def _call_next(self) -> Iterator[Waiting]:
        """Yield the waiting calls that have a lane now, of networks with fewer lanes first."""
        while free := [network for network in self._lines if self._is_free(network)]:
            network = min(free, key=lambda name: self._held.get(name, 0))
            self._take(network)
            line = self._lines.pop(network)  # moves the network to the end of the order
            yield line.popleft()
            self._keep(network, line)

    def _keep(self, network: str, line: deque[Waiting]) -> None:
        if line:
            self._lines[network] = line
        else:
            self._lines.pop(network, None)
