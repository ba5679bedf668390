"""The Kubernetes API as a source of what a pod's networks and devices are."""

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import Final, TypeVar

from deviceinfo import PodRef, Reading, Source
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import Ask
from sriovbond.cluster import kubeconfig
from sriovbond.cluster.annotations import are_names
from sriovbond.host import Host

# The requests' share of the time; the rest is for their problem to be told.
_SHARE: Final = 0.8
_UNANSWERED: Final = BoundedSemaphore(32)
"""Threads at most, whatever a server does; each ADD of an agent may leave one."""
T = TypeVar("T")


def ask_api(host: Host, *, timeout_s: float = 3.0) -> Ask:
    """Make a source that gets the pod and the definitions of the networks that it asks for.

    `networks` lacks the default network, and has no plugin where a definition could not be read.
    Without a kubeconfig and a service account the source is absent. All requests of one call take
    `timeout_s` together; loading `kubernetes` comes before. It asks from the network namespace
    of the calling thread, which must be the host's.
    """

    def ask(pod: PodRef) -> Reading:
        try:
            content = kubeconfig.read(host)
        except FileNotFoundError:
            return Reading(Source.API, is_absent=True)
        except UnreadableError as error:
            return _problem(f"cannot use {kubeconfig.describe_access(host)}: {error}")
        if not are_names(pod.namespace, pod.name):
            return _problem(f"cannot ask the Kubernetes API: {str(pod)!r} is not a pod's name")
        return _ask(content, host, pod, timeout_s)

    return ask


def _ask(content: bytes, host: Host, pod: PodRef, timeout_s: float) -> Reading:
    from sriovbond.cluster import client, reading  # noqa: PLC0415 - loads kubernetes

    deadline = time.monotonic() + _SHARE * timeout_s

    def work() -> Reading:
        try:
            with client.connected(content, host.kubeconfig.parent, deadline) as connection:
                return reading.read(connection, pod)
        except (UnreadableError, OSError) as error:
            return _problem(f"cannot use {kubeconfig.describe_access(host)}: {error}")

    return within(timeout_s, work) or _problem(f"cannot read pod {pod}: {client.LATE}")


def within(timeout_s: float, work: Callable[[], T]) -> T | None:
    """Do the work in a thread; None where it takes longer, or too many do so.

    Neither the resolver nor a server that sends its headers byte by byte keeps to a time limit.
    The thread is left to itself then: it keeps no process alive.
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

    Thread(target=run, name="kubernetes-api", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        return None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _problem(text: str) -> Reading:
    return Reading(Source.API, problems=(text,))
