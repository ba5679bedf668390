"""The SR-IOV network device plugin and the real kubelet: a bond takes the VFs allocated by them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deviceinfo.statement import Source
from sriovbond import records
from sriovbond.host import Host
from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.inside.conftest import FOLDER, MOVER, nodes_own
from tests.support import device_plugins
from tests.vm import rig as rigs

PROGRAM: Final = Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent", "sriovdp")

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="SRIOVBOND_PEERS has no sriovdp")


@pytest.fixture
def offered(clean: Cluster, rig: rigs.Layout) -> Iterator[dict[str, str]]:
    """The VF of each resource that the device plugin offers: those that ours does not."""
    vfs = {f"real{number}": vf.pci for number, vf in enumerate(nodes_own(rig))}
    resources = [
        {"resourceName": name, "selectors": {"pciAddresses": [pci]}} for name, pci in vfs.items()
    ]
    with device_plugins.sriov_plugin(resources, FOLDER):
        clean.await_devices(vfs.values())
        yield vfs


def test_a_pod_has_a_bond_of_the_vfs_that_the_sriov_network_device_plugin_offers(
    clean: Cluster, offered: dict[str, str]
) -> None:
    networks = [objects.vf_network(name, name, MOVER) for name in offered]
    clean.api.apply(*networks, objects.bond_network("plain", miimon=100))

    annotation = ", ".join([*offered, "plain@bond0"])
    pod = clean.run_pod(objects.pod("of-sriovdp", annotation, **dict.fromkeys(offered, 1)))
    (key,) = records.keys(Host())
    record = records.read(Host(), key)
    members = sorted(pod.members().values())
    clean.delete_pod("of-sriovdp")

    assert members == sorted(offered.values())
    assert record is not None
    assert record.plan is not None
    for member in record.plan.members:
        assert {Source.KUBELET, Source.DEVICE_INFO} <= {*member.allocation.sources}
