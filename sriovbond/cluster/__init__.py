"""The only room that speaks to the Kubernetes API; entered by the entrances alone."""

from functools import partial
from pathlib import Path

from deviceinfo import Ask, PodRef, Reading


def asks(kubeconfig: Path) -> tuple[Ask, ...]:
    """Return the API as a source to hand in, where there is a kubeconfig; it loads when asked."""
    return (partial(_ask, kubeconfig),) if kubeconfig.exists() else ()


def _ask(kubeconfig: Path, pod: PodRef) -> Reading:
    from sriovbond.cluster.source import ask_api  # noqa: PLC0415 - most calls never ask

    return ask_api(kubeconfig)(pod)
