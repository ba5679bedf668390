"""Who is served when: different attachments at once, one attachment in order, and not too many."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final

from sriovbond import log

Work = Callable[[], object]


class Turns:
    """A bounded pool of workers; work of one key runs in the order in which it was given.

    Work that waits for its key holds no worker.
    """

    def __init__(self, workers: int, waiting: int) -> None:
        self._pool: Final = ThreadPoolExecutor(workers, thread_name_prefix="worker")
        self._changed: Final = threading.Condition()
        self._lines: Final[dict[str, deque[Work]]] = {}
        self._room = workers + waiting
        self._open = 0

    def take(self, work: Work) -> bool:
        """Have a worker do `work` soon; False, and nothing, where too much waits already."""
        with self._changed:
            if self._open >= self._room:
                return False
            self._open += 1
        self._submit(work)
        return True

    def after_others(self, key: str, work: Work) -> None:
        """Do `work` in this worker, or in a later one if other work of `key` is not done yet."""
        with self._changed:
            line = self._lines.setdefault(key, deque())
            line.append(work)
            if len(line) > 1:
                self._open += 1  # for the worker that will come back to it
                return
        self._do_first(key)

    def finish(self, timeout_s: float) -> bool:
        """Wait for all that was taken; tell whether it ended in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._open == 0, timeout_s)

    def _do_first(self, key: str) -> None:
        line = self._lines[key]
        try:
            line[0]()
        finally:
            with self._changed:
                line.popleft()
                if line:
                    self._submit(lambda: self._do_first(key))
                else:
                    del self._lines[key]

    def _submit(self, work: Work) -> None:
        self._pool.submit(copy_context().run, self._counted, work)

    def _counted(self, work: Work) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the next must have its turn
            log.event(logging.ERROR, f"a fault of sriovbond: {type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()
