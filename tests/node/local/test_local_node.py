"""Kubelet and containerd as they are; a bond itself needs the VM's kernel."""

from pathlib import Path
from typing import Final

from deviceinfo.checkpoint import read_checkpoint
from deviceinfo.find import Places, find_devices
from deviceinfo.podresources import read_allocatable, read_pod
from deviceinfo.statement import PodRef, Reading, Sandbox, Source, Statement
from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.credentials import NODE
from tests.node.device_plugin import DevicePlugin
from tests.node.local.conftest import DEVICES

PLACES: Final = Places()
ANSWERS_S: Final = 30.0


def test_the_node_is_of_the_versions_that_are_pinned(bare: Cluster) -> None:
    system = bare.api.get(f"/api/v1/nodes/{NODE}")["status"]["nodeInfo"]

    pinned = Path("tests/node/tools/go.mod").read_text()
    assert f"k8s.io/kubernetes {system['kubeletVersion']}\n" in pinned
    assert system["containerRuntimeVersion"].startswith("containerd://")


def test_kubelet_offers_the_devices_of_each_pf(bare: Cluster, plugin: DevicePlugin) -> None:
    expected = {resource.name: str(len(resource.devices)) for resource in plugin.resources}

    def offered() -> bool:
        allocatable = bare.api.get(f"/api/v1/nodes/{NODE}")["status"].get("allocatable", {})
        return bool(expected.items() <= allocatable.items())

    bare.await_true(f"the node offers {expected}", offered, 120)
    reading = read_allocatable(PLACES.pod_resources, timeout_s=ANSWERS_S)
    assert devices(reading) == sorted(one for several in DEVICES.values() for one in several)


def devices(reading: Reading) -> list[str]:
    assert reading.problems == ()
    return sorted(str(each.device) for each in reading.statements if each.device)


def test_kubelet_and_its_checkpoint_have_the_devices_that_the_plugin_allocated(
    bare: Cluster, plugin: DevicePlugin
) -> None:
    for resource in plugin.resources:
        resource.allocated.clear()
    bare.run_pod(objects.pod("devices", "", pf0=2, pf1=1))
    ref = PodRef("default", "devices", bare.pod("devices")["metadata"]["uid"])

    asked = read_pod(PLACES.pod_resources, ref, timeout_s=ANSWERS_S)
    kept = read_checkpoint(PLACES.checkpoint, ref)
    bare.delete_pod("devices")

    allocated = sorted(one for resource in plugin.resources for one in resource.allocated)
    assert len(allocated) == 3
    assert devices(asked) == devices(kept) == allocated


def test_the_device_of_a_pod_that_has_ended_is_no_other_pods(
    bare: Cluster, plugin: DevicePlugin
) -> None:
    """Kubelet's checkpoint has it until kubelet allocates again, or lists all pods."""
    assert plugin.resources
    bare.run_pod(objects.pod("ended", "", pf0=1))
    bare.delete_pod("ended")
    bare.run_pod(objects.pod("without-devices", ""))
    ref = PodRef("default", "without-devices", bare.pod("without-devices")["metadata"]["uid"])
    (claim,) = read_checkpoint(PLACES.checkpoint, ref).claims

    seen = Statement(Source.NAMESPACE, claim.device, interface="net1")
    devices = find_devices(
        Sandbox(ref), PLACES, Reading(Source.NAMESPACE, (seen,)), kubelet_timeout_s=ANSWERS_S
    )
    bare.delete_pod("without-devices")

    (device,) = devices.devices
    assert not devices.is_foreign(device)
    assert device.claims == ()
