"""How long a pod takes to be Ready and to be gone, with a bond and without one, in turns."""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.inside.conftest import MULTUS, say

ROUNDS: Final = 5
FILE: Final = Path("build/node/figures.json")
KINDS: Final = {
    "without a bond": "vf0, vf1",
    "with a bond": "vf0, vf1, figure@bond0",
}


def test_a_pod_with_a_bond_is_ready_and_gone_beside_one_without(clean: Cluster) -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
    clean.api.apply(objects.bond_network("figure", miimon=100, ipam=ipam))
    taken: dict[str, dict[str, list[float]]]
    taken = {kind: {"ready": [], "gone": []} for kind in KINDS}

    for turn in range(ROUNDS):
        for kind, annotation in KINDS.items():
            name = f"figure{turn}-{len(annotation)}"
            pod = objects.pod(name, annotation, pf0=1, pf1=1)
            taken[kind]["ready"].append(seconds(partial(clean.run_pod, pod)))
            taken[kind]["gone"].append(seconds(partial(clean.delete_pod, name)))

    FILE.write_text(json.dumps({"multus": MULTUS, "seconds": taken}, indent=1) + "\n")
    for kind, figures in taken.items():
        for what, times in figures.items():
            median = statistics.median(times)
            say(f"{kind}: {what} after {median:.1f} s ({min(times):.1f} to {max(times):.1f})")
    assert all(len(times) == ROUNDS for figures in taken.values() for times in figures.values())


def seconds(act: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.monotonic()
    act()
    return time.monotonic() - began
