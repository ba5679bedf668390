"""What is to be done when: a task for a key is in it once."""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Final

SETTLING_S: Final = 0.1
"""What a call still does with an attachment must not be watched, nor slowed."""
AGAIN_S: Final = 5.0
FAULT_S: Final = 30.0
APART_S: Final = 0.02
"""Many bonds at once must not keep requests waiting."""


class Task(StrEnum):
    """What the watch does at a time of its own; `actions` of each module say who does it."""

    LISTEN = "listen"
    """Hear of changed records again."""
    ADOPT = "adopt"
    """Begin to watch what the record says, or cease where it is gone."""
    ADOPT_OTHERS = "adopt others"
    TAKE_BACK = "take back"
    """Try the records again that were set aside."""
    JUDGE = "judge"
    """Report what has happened to a bond since it was last judged."""
    SETTLE = "settle"
    """Take a new bond for up by now."""
    ANNOUNCE = "announce"
    EXAMINE = "examine"
    """Have a bond compared with its record, and repaired."""
    RESTED = "rested"
    """The same once nothing more happens to what it lost, whatever else is due before."""
    GONE = "gone"
    """The same, where the kernel has reported the end of its namespace."""
    ROUND = "round"
    """Have all of them examined."""
    WEIGH = "weigh"
    """Look which namespaces are too loud to be heard."""
    TRUST = "trust"
    """Read those again that were read too early."""
    POLL = "poll"
    """Read all, while nothing is heard."""
    HEAR = "hear"
    """Hear again after overruns."""


Actions = Mapping[Task, Callable[[str], None]]
"""What does a task for its key; the key is "" where a task is for no single attachment."""


class Agenda:
    """For one thread; times are the monotonic clock's, delays in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock: Final = clock
        self._due: Final[dict[tuple[Task, str], float]] = {}

    def later(self, task: Task, key: str, delay_s: float) -> None:
        """Have it done after the delay; what is in it already keeps its time."""
        self._due.setdefault((task, key), self._clock() + delay_s)

    def put_off(self, task: Task, key: str, delay_s: float) -> None:
        """Have it done after the delay, and not before."""
        self._due[task, key] = self._clock() + delay_s

    def has(self, task: Task, key: str) -> bool:
        """Tell whether it is still to be done."""
        return (task, key) in self._due

    def forget(self, key: str) -> None:
        """Have nothing done for the key."""
        for entry in [entry for entry in self._due if entry[1] == key]:
            del self._due[entry]

    def due(self) -> Iterator[tuple[Task, str]]:
        """Yield what is to be done now and take it out; what is forgotten meanwhile is not."""
        now = self._clock()
        for entry in [entry for entry, due in self._due.items() if due <= now]:
            if self._due.pop(entry, None) is not None:
                yield entry

    def pause_s(self, most_s: float) -> float:
        """Return how long there is nothing to do, `most_s` at most."""
        next_at = min(self._due.values(), default=float("inf"))
        return max(0.0, min(next_at - self._clock(), most_s))
