"""Exponential backoff of retries, which are never given up."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final


def lengthen(wait_s: float, first_s: float, most_s: float) -> float:
    """Return how long to wait after a wait of `wait_s`, which is 0 before the first."""
    return min(2 * wait_s, most_s) if wait_s else first_s


@dataclass(frozen=True, slots=True)
class _Failure:
    wait_s: float
    until: float


class Backoff:
    """The retries of several keys, each on its own; thread-safe."""

    def __init__(
        self, first_s: float, most_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._first_s = first_s
        self._most_s = max(first_s, most_s)
        self._clock = clock
        self._changed: Final = threading.Lock()
        self._failures: Final[dict[str, _Failure]] = {}

    def failed(self, key: str) -> None:
        """Postpone the key, for twice as long as the last time."""
        with self._changed:
            last = self._failures.get(key)
            wait_s = lengthen(last.wait_s if last else 0.0, self._first_s, self._most_s)
            self._failures[key] = _Failure(wait_s, self._clock() + wait_s)

    def due(self, waiting: Collection[str]) -> list[str]:
        """Return the waiting keys that may be retried now; forget all keys that no longer wait."""
        now = self._clock()
        with self._changed:
            for key in self._failures.keys() - set(waiting):
                del self._failures[key]
            put_off = {key for key, failure in self._failures.items() if failure.until > now}
        return [key for key in waiting if key not in put_off]

    def pause_s(self) -> float | None:
        """Return the seconds until the next retry; None if none is postponed."""
        with self._changed:
            first = min((failure.until for failure in self._failures.values()), default=None)
        return None if first is None else max(0.0, first - self._clock())
