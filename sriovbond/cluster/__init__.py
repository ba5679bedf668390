"""The only room that calls the Kubernetes API; only the entry points (cli, thin mode) import it."""

import logging
from functools import partial
from typing import TYPE_CHECKING

from deviceinfo import Ask, PodRef, Reading
from sriovbond import log
from sriovbond.cluster import kubeconfig
from sriovbond.host import Host

if TYPE_CHECKING:  # most calls write no Event
    from sriovbond.cluster.events import Events
    from sriovbond.cluster.nodestate import NodeState


def asks(host: Host) -> tuple[Ask, ...]:
    """Return the API as a source, if access to it is configured; it imports when called."""
    return (partial(_ask, host),) if kubeconfig.is_there(host) else ()


def sink(host: Host, node: str) -> "Events":
    """Return a sink that writes happenings as Events of their pods, reported by `node`.

    Its thread sends from the caller's network namespace, and imports `kubernetes` (14 MiB) with the
    first Event. A missing kubeconfig is logged only then.
    """
    from sriovbond.cluster.events import Events  # noqa: PLC0415 - see above

    if not kubeconfig.is_there(host):
        log.event(
            logging.WARNING,
            f"cannot write Kubernetes Events yet: there is no kubeconfig {host.kubeconfig}; write "
            "one, or name the pod's service account in the setting service_account",
        )
    return Events(host, node)


def node_state(host: Host, node: str, namespace: str) -> "NodeState":
    """Return a reader of the SR-IOV operator's state of this node, in the given namespace."""
    from sriovbond.cluster.nodestate import NodeState  # noqa: PLC0415 - the agent's alone

    return NodeState(host, node, namespace)


def _ask(host: Host, pod: PodRef) -> Reading:
    from sriovbond.cluster.source import ask_api  # noqa: PLC0415 - most calls never ask

    return ask_api(host)(pod)
