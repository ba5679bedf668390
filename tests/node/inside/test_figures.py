"""How long a pod takes to be Ready and to be gone, with a bond and without one, in turns.

Where SRIOVBOND_PEERS has it, also with bond-cni.
"""

import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.kind import objects as shipped
from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.inside.conftest import FOLDER, MULTUS, say
from tests.node.node import add_plugin

ROUNDS: Final = int(os.environ.get("SRIOVBOND_ROUNDS") or 3)
FILE: Final = FOLDER / "figures.json"
KINDS: Final = {
    "without a bond": "vf0, vf1",
    "with a bond": "vf0, vf1, figure@bond0",
    "with bond-cni": "vf0, vf1, peer@bond0",
}
PEER: Final = Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent", "bond")


@pytest.fixture
def kinds(cluster: Cluster) -> dict[str, str]:
    """The networks of each kind of pod, which the cluster has."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
    cluster.api.apply(objects.bond_network("figure", miimon=100, ipam=ipam))
    if not PEER.exists():
        return {kind: networks for kind, networks in KINDS.items() if "peer" not in networks}
    add_plugin(PEER)
    links = [{"name": "net1"}, {"name": "net2"}]
    options = {"mode": "active-backup", "miimon": "100", "failOverMac": 1, "links": links}
    peer = shipped.network("peer", type="bond", linksInContainer=True, ipam=ipam, **options)
    cluster.api.apply(peer)
    return KINDS


def test_a_pod_with_a_bond_is_ready_and_gone_beside_one_without(
    clean: Cluster, kinds: dict[str, str]
) -> None:
    taken: dict[str, dict[str, list[float]]]
    taken = {kind: {"ready": [], "gone": []} for kind in kinds}

    for turn in range(ROUNDS):
        for number, (kind, annotation) in enumerate(kinds.items()):
            name = f"figure-{turn}-{number}"
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
