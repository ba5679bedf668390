"""The watch's schedule: a task for a key is in it at most once."""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final

SETTLING_S: Final = 0.1
"""Delay of tasks for an attachment, so that a running call is neither watched nor slowed."""
AGAIN_S: Final = 5.0
FAULT_S: Final = 30.0
APART_S: Final = 0.02
"""Delay between bonds, so that many at once do not delay requests."""


class Task(StrEnum):
    """The watch's scheduled tasks; each module's `actions` are the functions that run them."""

    LISTEN = "listen"
    """Read events of records again."""
    ADOPT = "adopt"
    """Start watching a record's bond, or stop when the record is gone."""
    ADOPT_OTHERS = "adopt others"
    TAKE_BACK = "take back"
    """Retry the records that were set aside."""
    JUDGE = "judge"
    """Report a bond's happenings since it was last judged."""
    SETTLE = "settle"
    """Treat a new bond as settled."""
    ANNOUNCE = "announce"
    EXAMINE = "examine"
    """Compare a bond with its record, and repair it."""
    RESTED = "rested"
    """EXAMINE once a lost device is quiet, independent of an earlier EXAMINE."""
    GONE = "gone"
    """EXAMINE after the kernel has reported the end of the namespace."""
    ROUND = "round"
    """EXAMINE all bonds."""
    WEIGH = "weigh"
    """Find the namespaces with too many events."""
    TRUST = "trust"
    """Read those again that were read before their events."""
    POLL = "poll"
    """Read all bonds, while events are not received."""
    HEAR = "hear"
    """Receive events again after overruns."""


Actions = Mapping[Task, Callable[[str], None]]
"""The function for each task, called with its key, which is "" for a task of no attachment."""


class Agenda:
    """For one thread; times are the monotonic clock's, delays in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._due: Final[dict[tuple[Task, str], float]] = {}

    def later(self, task: Task, key: str, delay_s: float) -> None:
        """Schedule it after the delay; an already scheduled one keeps its time."""
        self._due.setdefault((task, key), self._clock() + delay_s)

    def sooner(self, task: Task, key: str, delay_s: float) -> None:
        """Schedule it after the delay, not later if it is scheduled already."""
        due = self._clock() + delay_s
        self._due[task, key] = min(due, self._due.get((task, key), due))

    def put_off(self, task: Task, key: str, delay_s: float) -> None:
        """Schedule it after the delay, not earlier if it is scheduled already."""
        self._due[task, key] = self._clock() + delay_s

    def has(self, task: Task, key: str) -> bool:
        """Return whether it is scheduled."""
        return (task, key) in self._due

    def forget(self, key: str) -> None:
        """Remove all tasks of the key."""
        for entry in [entry for entry in self._due if entry[1] == key]:
            del self._due[entry]

    def due(self) -> Iterator[tuple[Task, str]]:
        """Remove and yield the tasks due now, except those forgotten meanwhile."""
        now = self._clock()
        for entry in [entry for entry, due in self._due.items() if due <= now]:
            if self._due.pop(entry, None) is not None:
                yield entry

    def pause_s(self, most_s: float) -> float:
        """Return the seconds until the next task, `most_s` at most."""
        next_at = min(self._due.values(), default=float("inf"))
        return max(0.0, min(next_at - self._clock(), most_s))
