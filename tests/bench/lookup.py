"""How long one look-up of a pod's devices takes: `make bench-lookup`. Times in ms, no verdict.

A node with 250 pods and 128 VFs, all sources of files, and a real gRPC kubelet in another process;
this process runs on, as an agent does.
"""

import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from deviceinfo import Bus, DeviceId, Places, Reading, Search, Source, Statement
from tests.support import kubelet, node
from tests.support.kubelet import a_container

PODS, VFS, LOOK_UPS = 250, 128, 200
UNIMPLEMENTED: Final = "unimplemented"


def main() -> None:
    """Print a line for each way in which the kubelet answers."""
    pods = node.some_pods(PODS, VFS)
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        files = node.a_node(Path(folder) / "node", pods).places
        answers = [_answer(pod) for pod in pods]
        (Path(folder) / "k").mkdir()
        _print(f"{PODS} pods, {VFS} VFs, {LOOK_UPS} look-ups", ("median", "p95", "most"))
        with kubelet.running(Path(folder) / "k") as server:
            places = replace(files, pod_resources=server.socket)
            server.serve(*answers)
            _print("kubelet by Get, and files", _timed(places, pods))
            server.serve(*answers, get=UNIMPLEMENTED)
            _print("kubelet by List, and files", _timed(places, pods))
        _print("files alone", _timed(files, pods))


def _answer(pod: node.Pod) -> kubelet.Json:
    by_resource: dict[str, Any] = {vf.resource.partition("/")[2]: vf.address for vf in pod.vfs}
    return kubelet.a_pod(pod.name, a_container(**by_resource), namespace=pod.namespace)


def _timed(places: Places, pods: list[node.Pod]) -> tuple[str, str, str]:
    """Look up pods that have VFs, after one that pays for imports and connections."""
    _look_up(places, pods[0])
    took = []
    for pod in islice(cycle(candidate for candidate in pods if candidate.vfs), LOOK_UPS):
        started = time.perf_counter()
        _look_up(places, pod)
        took.append((time.perf_counter() - started) * 1000)
    *_, p95 = statistics.quantiles(took, n=20)
    return f"{statistics.median(took):.1f}", f"{p95:.1f}", f"{max(took):.1f}"


def _look_up(places: Places, pod: node.Pod) -> None:
    standing = tuple(
        Statement(Source.NAMESPACE, DeviceId(Bus.PCI, vf.address), interface=f"net{number}")
        for number, vf in enumerate(pod.vfs, 1)
    )
    pod_devices = Search(pod.sandbox, places).conclude(Reading(Source.NAMESPACE, standing))
    assert len(pod_devices.devices) == len(pod.vfs), pod_devices.problems
    assert all(len(device.sources) >= 5 for device in pod_devices.devices), pod_devices.problems


def _print(what: str, figures: tuple[str, str, str]) -> None:
    sys.stdout.write(f"{what:38}" + "".join(f"{figure:>9}" for figure in figures) + "\n")


if __name__ == "__main__":
    main()
