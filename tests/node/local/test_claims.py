"""DRA at the real kubelet: devices of a claim are understood, as their driver describes them."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from deviceinfo.find import Places, find_devices
from deviceinfo.podresources import read_pod
from deviceinfo.statement import PodRef, Reading, Sandbox, Source, Statement
from tests.node import dra_driver, objects
from tests.node.api import Api
from tests.node.cluster import Cluster, RunningPod
from tests.node.credentials import SERVICE
from tests.node.dra_driver import DRIVER, METADATA, PCI, REQUEST
from tests.node.local.conftest import FOLDER

VFS: Final = {
    "0000:03:10.0": "0000:03:00.0",
    "0000:03:10.2": "0000:03:00.0",
    "0000:04:10.0": "0000:04:00.0",
}
"""VFs, which this machine has not got, and their PFs."""
CLAIM: Final = "two-pfs"
PLACES: Final = Places()
ANSWERS_S: Final = 30.0


@pytest.fixture(scope="module")
def claiming(bare: Cluster) -> Iterator[RunningPod]:
    """A pod with a claim of two VFs."""
    claim = dra_driver.claim(CLAIM, 2)
    server = f"https://{SERVICE}"
    with (
        closing(Api(FOLDER / "admin.kubeconfig", server)) as api,
        dra_driver.a_driver(bare, api, VFS),
    ):
        bare.api.apply(claim)
        yield bare.run_pod(dra_driver.claiming(objects.pod("claiming", ""), CLAIM))
        bare.delete_pod("claiming")


def test_kubelet_reports_the_devices_of_the_claim_which_their_metadata_describes(
    claiming: RunningPod,
) -> None:
    pod = PodRef("default", claiming.name, claiming.uid)
    file = METADATA / CLAIM / REQUEST / f"{DRIVER}-metadata.json"

    reading = read_pod(PLACES.pod_resources, pod, timeout_s=ANSWERS_S)
    (request,) = json.loads(claiming.read(file))["requests"]

    described = [device["attributes"][PCI]["string"] for device in request["devices"]]
    assert reading.problems == ()
    assert sorted(str(each.device) for each in reading.statements) == sorted(described)
    assert {each.resource for each in reading.statements} == {f"claim default/{CLAIM}"}
    assert sorted(VFS[vf] for vf in described) == ["0000:03:00.0", "0000:04:00.0"]


def test_a_device_of_the_claim_in_another_pod_is_foreign_there(
    bare: Cluster, claiming: RunningPod
) -> None:
    pod = PodRef("default", claiming.name, claiming.uid)
    device = read_pod(PLACES.pod_resources, pod, timeout_s=ANSWERS_S).statements[0].device
    other = bare.run_pod(objects.pod("without-claim", ""))

    seen = Reading(Source.NAMESPACE, (Statement(Source.NAMESPACE, device, interface="net1"),))
    (in_claiming, in_other) = (
        find_devices(Sandbox(ref), PLACES, seen, kubelet_timeout_s=ANSWERS_S)
        for ref in (pod, PodRef("default", other.name, other.uid))
    )
    bare.delete_pod("without-claim")

    assert device is not None
    assert not any(map(in_claiming.is_foreign, in_claiming.devices))
    assert any(map(in_other.is_foreign, in_other.devices))
