"""The Kubernetes API as a source of a pod's networks and devices."""

import time
from typing import Final

from deviceinfo import PodRef, Reading, Source
from deviceinfo.plainfile import UnreadableError
from deviceinfo.statement import Ask
from sriovbond.cluster import kubeconfig
from sriovbond.cluster.annotations import are_names
from sriovbond.cluster.limit import within
from sriovbond.host import Host

# The requests' share of the time limit; the rest is for reporting their problem.
_SHARE: Final = 0.8


def ask_api(host: Host, *, timeout_s: float = 3.0) -> Ask:
    """Return a source that gets the pod and the definitions of its networks.

    `networks` does not include the default network, and has no plugin where a definition could not
    be read. Without a kubeconfig and a service account the source is absent. All requests of one
    call share `timeout_s`, after importing `kubernetes`. They are sent from the network namespace
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


def _problem(text: str) -> Reading:
    return Reading(Source.API, problems=(text,))
