"""Schedules work on threads: attachments in parallel, each attachment's work in order, bounded."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Final

from sriovbond import log

Work = Callable[[], object]


class Door:
    """Admits two workers at a time to wait for requests, and more while these have some.

    The kernel wakes waiting threads in turn: with many, none would have a warm cache.
    """

    _MOST: Final = 2

    def __init__(self) -> None:
        self._changed: Final = threading.Condition()
        self._inside = 0
        self._is_open = False

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._inside < self._MOST)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            if not self._inside:
                self._changed.notify()

    def open(self) -> None:
        """Admit all: nothing more is accepted."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


class Turns:
    """Runs the work of one key in the order given; queued work of a key occupies no thread.

    A caller with a thread runs work in it (`do`, `after_others`); `spare` threads run the work of
    callers without (`take`), of which at most `waiting` are queued. `resuming` threads continue
    work that was suspended (`resume`); its callers bound its amount.
    """

    def __init__(self, spare: int, waiting: int, resuming: int = 0) -> None:
        self._spare_work: Final[SimpleQueue[Work]] = SimpleQueue()
        self._resumed_work: Final[SimpleQueue[Work]] = SimpleQueue()
        self._changed: Final = threading.Condition()
        self._lines: Final[dict[str, deque[Work]]] = {}
        self._room = spare + waiting
        self._taken = self._open = 0
        threads = [("spare", self._spare_work)] * spare + [
            ("resuming", self._resumed_work)
        ] * resuming
        for name, queue in threads:  # all at once, so that a growing number of threads means a leak
            threading.Thread(target=_work, args=(queue,), name=name, daemon=True).start()

    def do(self, work: Work) -> None:
        """Run `work` now, in this thread; log its failure."""
        with self._changed:
            self._open += 1
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the next work must run
            log.event(logging.ERROR, f"a fault of sriovbond: {type(error).__name__}: {error}")
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def take(self, work: Work) -> bool:
        """Queue `work` for a spare thread; return False when too much is queued already."""
        with self._changed:
            if self._taken >= self._room:
                return False
            self._taken += 1
        self._spare_work.put(partial(copy_context().run, self._run_spare, work))
        return True

    def resume(self, work: Work) -> None:
        """Queue `work` to be continued by a thread."""
        with self._changed:
            self._taken += 1
            self._room += 1
        self._resumed_work.put(partial(copy_context().run, self._went_on, work))

    def after_others(self, key: str, work: Work, most: int | None = None) -> bool:
        """Run `work` in this thread, or queue it for the thread that runs work of `key` now.

        Returns False, without queueing, when `most` works of `key` are queued already.
        """
        with self._changed:
            line = self._lines.setdefault(key, deque())
            if line and most is not None and self._in_lines() >= most:
                return False
            line.append(work)
            if len(line) > 1:
                return True
        while True:
            self.do(line[0])
            with self._changed:
                line.popleft()
                if not line:
                    del self._lines[key]
                    return True

    def finish(self, timeout_s: float) -> bool:
        """Wait for all queued work; return whether it ended in time."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not (self._taken or self._open or self._lines), timeout_s
            )

    def _in_lines(self) -> int:
        return sum(len(line) - 1 for line in self._lines.values())

    def _run_spare(self, work: Work) -> None:
        try:
            self.do(work)
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify_all()

    def _went_on(self, work: Work) -> None:
        try:
            self._run_spare(work)
        finally:
            with self._changed:
                self._room -= 1


def _work(queue: SimpleQueue[Work]) -> None:
    while True:
        queue.get()()
