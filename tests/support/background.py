"""What goes on beside a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeated(act: Callable[[], object], pause_s: float = 0.0) -> Iterator[None]:
    """Act again and again, with pauses, as long as the block runs."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(pause_s):
            act()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
