"""Liveness of the agent's loops."""

import time
from collections.abc import Callable
from typing import Final


class Pulse:
    """Time of each loop's last turn; a loop without one for `limit_s` is reported as late.

    A loop that waits for work must wake up periodically to call `beat`.
    """

    def __init__(
        self, *loops: str, limit_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock: Final = clock
        self._limit_s: Final = limit_s
        self._turned_at = dict.fromkeys(loops, clock())

    def beat(self, loop: str) -> None:
        """Record a turn of the loop, which must be one of those named at construction."""
        if loop not in self._turned_at:
            raise KeyError(loop)
        self._turned_at[loop] = self._clock()

    def fault(self) -> str:
        """Return a text naming the late loops, or ""."""
        now = self._clock()
        return "; ".join(
            f"{loop} has been stuck for {now - at:.0f} s"
            for loop, at in self._turned_at.items()
            if now - at > self._limit_s
        )
