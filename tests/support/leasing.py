"""A file that cannot be opened now: another process holds a lease on it (fcntl F_SETLEASE)."""

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Let a non-blocking open of the file fail with EAGAIN.

    The kernel breaks the lease after 45 s (fs.lease-break-time).
    """
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)
