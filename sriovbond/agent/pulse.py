"""Whether the agent's loops still turn."""

import time
from collections.abc import Callable
from typing import Final


class Pulse:
    """Each loop says that it turned; who asks is told which has not for longer than `limit_s`.

    A loop that waits for work must wake up now and then to say so.
    """

    def __init__(
        self, *loops: str, limit_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock: Final = clock
        self._limit_s: Final = limit_s
        self._turned_at = dict.fromkeys(loops, clock())

    def beat(self, loop: str) -> None:
        """Note that the loop has turned; the name must be one of those given at the start."""
        if loop not in self._turned_at:
            raise KeyError(loop)
        self._turned_at[loop] = self._clock()

    def fault(self) -> str:
        """Return which loops are late, in words, or nothing."""
        now = self._clock()
        return "; ".join(
            f"{loop} has been stuck for {now - at:.0f} s"
            for loop, at in self._turned_at.items()
            if now - at > self._limit_s
        )
