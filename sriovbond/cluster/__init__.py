"""The only room that speaks to the Kubernetes API; entered by the entrances alone."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deviceinfo import Ask, PodRef, Reading

if TYPE_CHECKING:  # most calls never write
    from sriovbond.cluster.events import Events


def asks(kubeconfig: Path) -> tuple[Ask, ...]:
    """Return the API as a source to hand in, where there is a kubeconfig; it loads when asked."""
    return (partial(_ask, kubeconfig),) if kubeconfig.exists() else ()


def sink(kubeconfig: Path, node: str) -> "Events":
    """Make what writes happenings as Events of their pods, reported by this node.

    It has a thread, which asks from the caller's network namespace, and loads `kubernetes` (14 MiB)
    with the first Event.
    """
    from sriovbond.cluster.events import Events  # noqa: PLC0415 - see above

    return Events(kubeconfig, node)


def _ask(kubeconfig: Path, pod: PodRef) -> Reading:
    from sriovbond.cluster.source import ask_api  # noqa: PLC0415 - most calls never ask

    return ask_api(kubeconfig)(pod)
