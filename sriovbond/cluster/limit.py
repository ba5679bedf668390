"""Bounds time and threads of calls to the Kubernetes API."""

import errno
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import Final, TypeVar

T = TypeVar("T")
_UNANSWERED: Final = BoundedSemaphore(32)
"""Maximum number of unfinished threads; each ADD of an agent may leave one."""


def within(timeout_s: float, work: Callable[[], T]) -> T | None:
    """Run `work` in a thread; return None when it takes longer, or too many are unfinished.

    Neither the resolver nor a server that sends its headers byte by byte honours a time limit. The
    thread is abandoned then; as a daemon thread it does not keep the process alive. Raises what
    `work` does, and OSError when no thread can be started.
    """
    answers: SimpleQueue[T | Exception] = SimpleQueue()
    if not _UNANSWERED.acquire(blocking=False):
        return None

    def run() -> None:
        try:
            answers.put(work())
        except Exception as error:  # noqa: BLE001 - a fault of ours is raised where it was asked
            answers.put(error)
        finally:
            _UNANSWERED.release()

    try:
        Thread(target=run, name="kubernetes-api", daemon=True).start()
    except RuntimeError as error:  # at the limit of tasks (pids.max)
        _UNANSWERED.release()
        raise OSError(errno.EAGAIN, str(error)) from error
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        return None
    if isinstance(answer, Exception):
        raise answer
    return answer
