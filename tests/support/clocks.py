"""A clock that a test sets."""

from dataclasses import dataclass


@dataclass
class Clock:
    """A clock in seconds, for what takes a function that returns the time."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now
