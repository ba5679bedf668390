"""How much memory Python's objects take while a piece of code runs."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Memory:
    """The most that was held at once, and what is held at the end."""

    peak_bytes: int = 0
    held_bytes: int = 0


@contextmanager
def traced() -> Iterator[Memory]:
    """Trace what is allocated in the block; the numbers are there behind it."""
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
        memory.held_bytes, memory.peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
