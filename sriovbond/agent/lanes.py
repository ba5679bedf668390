"""Who may run IPAM now: few calls at once, of one network fewer; the others stand in line."""

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
"""A call in line takes one place for each of these: what waits is in the agent's memory."""


class Entry(Enum):
    """What became of who wanted a lane."""

    ENTERED = "it has one, and must leave it"
    WAITS = "it waits, and will be called"
    FULL = "neither: too many wait"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call in line: what is done once it has a lane, or when it has waited long enough.

    `hang_up` is for when neither will be; `size` is its bytes.
    """

    go_on: Work
    give_up: Work
    hang_up: Work
    until: float
    size: int = 0

    @property
    def places(self) -> int:
        """How many places in line it takes."""
        return 1 + self.size // ROOM_BYTES


class Lanes:
    """There are `total`; a network may have half of what the others leave, and one at least.

    So one whose IPAM hangs has half of all, a second one half of the rest, and a lane stays for
    who comes then. Who waits holds no thread: `give` has one do what is due. Each network's line
    has `most` places; where four times as many are taken in all, one call of each may wait.
    """

    def __init__(
        self,
        total: int,
        most: int,
        give: Callable[[Work], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total: Final = total
        self._most: Final = most
        self._give: Final = give
        self._clock: Final = clock
        self._changed: Final = threading.Lock()
        self._held: Final[dict[str, int]] = {}
        self._lines: Final[dict[str, deque[Waiting]]] = {}

    def enter(self, network: str, waiting: Waiting | None = None) -> Entry:
        """Take a lane; where none is free stand in line, unless nobody would wait."""
        with self._changed:
            if network not in self._lines and self._is_free(network):
                self._take(network)
                return Entry.ENTERED
            if waiting is None or not self._has_room(network, waiting):
                return Entry.FULL
            self._lines.setdefault(network, deque()).append(waiting)
            return Entry.WAITS

    def leave(self, network: str) -> None:
        """Give the lane back, to whoever is next in line."""
        with self._changed:
            self._held[network] -= 1
            if not self._held[network]:
                del self._held[network]
            called = list(self._call_next())
        for waiting in called:
            self._give(waiting.go_on)

    @contextmanager
    def entered(self, network: str) -> Iterator[bool]:
        """Have a lane within the block, or be told that none is free."""
        is_entered = self.enter(network) is Entry.ENTERED
        try:
            yield is_entered
        finally:
            if is_entered:
                self.leave(network)

    def give_up_late(self) -> None:
        """Have those answered that have waited for as long as they would."""
        now = self._clock()
        with self._changed:
            late = [
                waiting for line in self._lines.values() for waiting in line if waiting.until <= now
            ]
            for network, line in list(self._lines.items()):
                self._keep(network, deque(waiting for waiting in line if waiting.until > now))
        for waiting in late:
            self._give(waiting.give_up)

    def close(self) -> None:
        """Hang up on all that stand in line."""
        with self._changed:
            remaining = [waiting for line in self._lines.values() for waiting in line]
            self._lines.clear()
        for waiting in remaining:
            waiting.hang_up()

    def pause_s(self) -> float | None:
        """Return when the next will have waited long enough; None where nobody waits."""
        with self._changed:
            first = min(
                (waiting.until for line in self._lines.values() for waiting in line), default=None
            )
        return None if first is None else max(0.0, first - self._clock())

    def _is_free(self, network: str) -> bool:
        own = self._held.get(network, 0)
        free = self._total - (sum(self._held.values()) - own)
        return own < free and own < max(1, free // 2)

    def _has_room(self, network: str, waiting: Waiting) -> bool:
        if network not in self._lines:
            return True
        places = {name: sum(entry.places for entry in line) for name, line in self._lines.items()}
        is_crowded = sum(places.values()) >= 4 * self._most
        return not is_crowded and places[network] + waiting.places <= self._most

    def _take(self, network: str) -> None:
        self._held[network] = self._held.get(network, 0) + 1

    def _call_next(self) -> Iterator[Waiting]:
        """Yield who has a lane now: a network that has fewer comes first, of equal ones in turn."""
        while free := [network for network in self._lines if self._is_free(network)]:
            network = min(free, key=lambda name: self._held.get(name, 0))
            self._take(network)
            line = self._lines.pop(network)  # to be the last of them
            yield line.popleft()
            self._keep(network, line)

    def _keep(self, network: str, line: deque[Waiting]) -> None:
        if line:
            self._lines[network] = line
        else:
            self._lines.pop(network, None)
