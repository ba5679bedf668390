"""The node itself: kubelet, containerd, and VFs that kubelet knows."""

import time
from pathlib import Path

from tests.node import tried
from tests.node.cluster import Cluster
from tests.node.credentials import NODE
from tests.node.device_plugin import DevicePlugin
from tests.node.inside.conftest import FOLDER, MULTUS, nodes_own
from tests.vm import rig as rigs


def test_the_node_is_of_the_versions_that_are_pinned(bare: Cluster) -> None:
    system = bare.api.get(f"/api/v1/nodes/{NODE}")["status"]["nodeInfo"]

    pinned = Path("tests/node/tools/go.mod").read_text()
    assert f"k8s.io/kubernetes {system['kubeletVersion']}\n" in pinned
    assert system["containerRuntimeVersion"].startswith("containerd://")


def test_kubelet_offers_the_vfs_of_each_pf(
    bare: Cluster, device_plugin: DevicePlugin, rig: rigs.Layout
) -> None:
    expected = {resource.name: str(len(resource.devices)) for resource in device_plugin.resources}

    def offered() -> bool:
        allocatable = bare.api.get(f"/api/v1/nodes/{NODE}")["status"].get("allocatable", {})
        return bool(expected.items() <= allocatable.items())

    assert sum(map(int, expected.values())) == len(rig.vfs) - len(nodes_own(rig))
    bare.await_true(f"the node offers {expected}", offered, 900)


def test_the_versions_of_the_nodes_programs_are_written_for_the_docs(cluster: Cluster) -> None:
    found = tried.look(cluster, time.strftime("%Y-%m-%d"))

    tried.write(FOLDER / tried.FILE, {MULTUS: found})
    pinned = Path("tests/node/tools/go.mod").read_text()
    assert f"k8s.io/kubernetes v{found['kubernetes']}\n" in pinned
    assert f"multus-cni.v4 v{found['multus']}\n" in pinned
    assert all(found.values())
