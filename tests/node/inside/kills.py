"""Programs in the node's own pods, found and killed by SIGKILL."""

import os
import signal
from pathlib import Path
from typing import Final

from tests.node.cluster import Cluster

MULTUS: Final = "kube-multus-ds"
_COMES_BACK_S: Final = 400.0
"""Kubelet starts a container that ends again and again only after minutes."""


def processes_of(program: str, *words: str) -> list[int]:
    """Return the processes in a container whose first words name the program; others may follow.

    A container's program may be named after its interpreter.
    """
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            is_contained = b"k8s.io" in (folder / "cgroup").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        names = {Path(os.fsdecode(word)).name for word in command[:2]}
        if is_contained and program in names and {*map(os.fsencode, words)} <= {*command}:
            processes.append(int(folder.name))
    return sorted(processes)


def agents() -> list[int]:
    """Return the agent's process; the plugin in the container of Multus' daemon has its name."""
    return processes_of("sriovbond", "agent")


def daemons() -> list[int]:
    """Return the daemon of Multus' thick mode."""
    return processes_of("multus-daemon")


def kill(processes: list[int]) -> None:
    """Kill them by SIGKILL."""
    for process in processes:
        os.kill(process, signal.SIGKILL)


def restarts(cluster: Cluster, daemon_set: str) -> int:
    """Return how often the containers of a DaemonSet's pod were started anew; -1: not ready."""
    pods = cluster.api.get("/api/v1/namespaces/kube-system/pods")["items"]
    named = [pod for pod in pods if pod["metadata"]["name"].startswith(f"{daemon_set}-")]
    statuses = [each for pod in named for each in pod["status"].get("containerStatuses", [])]
    if not statuses or not all(each["ready"] for each in statuses):
        return -1
    return sum(int(each["restartCount"]) for each in statuses)


def await_restart(cluster: Cluster, daemon_set: str, before: int) -> None:
    """Wait until kubelet has started a DaemonSet's container once more, and it is ready."""
    cluster.await_true(
        f"{daemon_set} was started anew",
        lambda: restarts(cluster, daemon_set) > before,
        _COMES_BACK_S,
    )
