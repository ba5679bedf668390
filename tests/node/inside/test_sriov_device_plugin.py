"""The SR-IOV network device plugin and the real kubelet: a bond takes the VFs allocated by them."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from deviceinfo.statement import Source
from sriovbond import records
from sriovbond.host import Host
from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.inside.conftest import FOLDER, MOVER, nodes_own
from tests.vm import rig as rigs

PROGRAM: Final = Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent", "sriovdp")
ENDS_WITHIN_S: Final = 60.0

pytestmark = pytest.mark.skipif(not PROGRAM.exists(), reason="SRIOVBOND_PEERS has no sriovdp")


@pytest.fixture
def offered(clean: Cluster, rig: rigs.Layout, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The VF of each resource that the device plugin offers: those that ours does not."""
    vfs = {f"real{number}": vf.pci for number, vf in enumerate(nodes_own(rig))}
    resources = [
        {"resourceName": name, "selectors": {"pciAddresses": [pci]}} for name, pci in vfs.items()
    ]
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"resourceList": resources}))
    options = ["-logtostderr", f"-resource-prefix={objects.DOMAIN}", f"-config-file={config}"]
    # It reads vendor names from pci.ids, which need not be installed; an empty file will do.
    environment = {**os.environ, "PCIDB_PATH": os.devnull}
    with (
        (FOLDER / "sriovdp.log").open("wb") as log,
        subprocess.Popen([PROGRAM, *options], stderr=log, env=environment) as plugin,
    ):
        try:
            clean.await_devices(vfs.values())
            yield vfs
        finally:
            plugin.terminate()
            with suppress(subprocess.TimeoutExpired):
                plugin.wait(ENDS_WITHIN_S)
            plugin.kill()


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
