"""What is to be done when: a thing for a key stands in it once."""

import time
from collections.abc import Callable, Iterator
from typing import Final


class Agenda:
    """For one thread; times are the monotonic clock's, delays in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._due: Final[dict[tuple[str, str], float]] = {}

    def later(self, what: str, key: str, delay_s: float) -> None:
        """Have it done after the delay; what stands already keeps its time."""
        self._due.setdefault((what, key), self._clock() + delay_s)

    def put_off(self, what: str, key: str, delay_s: float) -> None:
        """Have it done after the delay, and not before."""
        self._due[what, key] = self._clock() + delay_s

    def has(self, what: str, key: str) -> bool:
        """Tell whether it stands in it."""
        return (what, key) in self._due

    def forget(self, key: str) -> None:
        """Have nothing done for the key."""
        for task in [task for task in self._due if task[1] == key]:
            del self._due[task]

    def due(self) -> Iterator[tuple[str, str]]:
        """Yield what is to be done now and take it out; what is forgotten meanwhile is not."""
        now = self._clock()
        for task in [task for task, due in self._due.items() if due <= now]:
            if self._due.pop(task, None) is not None:
                yield task

    def pause_s(self, most_s: float) -> float:
        """Return how long there is nothing to do, `most_s` at most."""
        next_at = min(self._due.values(), default=float("inf"))
        return max(0.0, min(next_at - self._clock(), most_s))
