"""Writes the agent's log from a thread of its own: a blocked log reader must not block pods."""

import logging
import os
import select
import threading
from queue import SimpleQueue
from typing import Final

from sriovbond import log

MOST_BYTES: Final = 1 << 20
"""Limit of the unwritten bytes; lines beyond it are dropped and counted."""
_FLUSHED_S: Final = 2.0
_PAUSE_MS: Final = 1000


class LogWriter:
    """Takes lines from any thread without blocking, and writes them to a descriptor in order.

    The descriptor's flags are not changed: IPAM plugins inherit it.
    """

    def __init__(self, descriptor: int, most_bytes: int = MOST_BYTES) -> None:
        self._descriptor: Final = descriptor
        self._most_bytes: Final = most_bytes
        self._lines: Final[SimpleQueue[bytes | threading.Event]] = SimpleQueue()
        self._changed: Final = threading.Lock()
        self._waiting_bytes = self._lost = self._lost_untold = 0
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def lost(self) -> int:
        """The number of lines dropped since the start."""
        return self._lost

    def write(self, text: str) -> None:
        """Queue a line; it is dropped when too many bytes are queued already."""
        data = text.encode("utf-8", "backslashreplace")
        with self._changed:
            if self._waiting_bytes + len(data) > self._most_bytes:
                self._lose()
                return
            self._waiting_bytes += len(data)
        self._lines.put(data)

    def flush(self) -> None:
        """Wait briefly until the lines queued now are written."""
        written = threading.Event()
        self._lines.put(written)
        written.wait(_FLUSHED_S)

    def _lose(self) -> None:
        self._lost += 1
        self._lost_untold += 1

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            if isinstance(line, threading.Event):
                line.set()
                continue
            is_written = self._write_all(line)
            with self._changed:
                self._waiting_bytes -= len(line)
                if not is_written:
                    self._lose()
                has_drained = is_written and 2 * self._waiting_bytes < self._most_bytes
                untold = self._lost_untold if has_drained else 0
                self._lost_untold -= untold
            if untold:
                text = (
                    f"{untold} lines of the log were lost: it was not read, or could not be written"
                )
                log.event(logging.WARNING, text)

    def _write_all(self, line: bytes) -> bool:
        """Write a line, blocking; return False when that failed."""
        try:
            while line:
                try:
                    line = line[os.write(self._descriptor, line) :]
                except BlockingIOError:  # another process has set O_NONBLOCK
                    waiting = select.poll()
                    waiting.register(self._descriptor, select.POLLOUT)
                    waiting.poll(_PAUSE_MS)
        except OSError:
            return False
        return True
