"""What deviceinfo reads of the real kubelet is what the pod has, also while its sandbox is made."""

from collections.abc import Iterator
from typing import Final

import pytest

from deviceinfo.checkpoint import read_checkpoint
from deviceinfo.find import Places
from deviceinfo.podresources import read_pod
from deviceinfo.statement import PodRef, Reading, Source
from sriovbond import records
from sriovbond.host import Host
from tests.node import objects
from tests.node.cluster import Cluster, RunningPod

PLACES: Final = Places()
ANSWERS_S: Final = 30.0


@pytest.fixture(scope="module")
def bonded(cluster: Cluster) -> Iterator[RunningPod]:
    cluster.api.apply(objects.bond_network("plain", miimon=100))
    yield cluster.run_pod(objects.pod("devices", "vf0, vf1, plain@bond0", pf0=1, pf1=1))
    cluster.delete_pod("devices")


def devices(reading: Reading) -> list[str]:
    assert reading.problems == ()
    return sorted(str(each.device) for each in reading.statements if each.device)


def test_kubelet_and_its_checkpoint_have_the_pods_devices(bonded: RunningPod) -> None:
    ref = PodRef("default", bonded.name, bonded.uid)

    asked = read_pod(PLACES.pod_resources, ref, timeout_s=ANSWERS_S)
    kept = read_checkpoint(PLACES.checkpoint, ref)

    assert devices(asked) == devices(kept) == sorted(bonded.members().values())


def test_during_the_add_kubelet_and_device_info_knew_the_devices(bonded: RunningPod) -> None:
    host = Host()
    (key,) = records.keys(host)

    record = records.read(host, key)

    assert record is not None
    assert record.plan is not None
    assert record.pod == PodRef("default", bonded.name, bonded.uid)
    sources = {source for member in record.plan.members for source in member.allocation.sources}
    assert {Source.KUBELET, Source.DEVICE_INFO} <= sources
