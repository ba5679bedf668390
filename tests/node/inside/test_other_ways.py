"""Bonds that come in other ways: as the default network, in static pods, by DHCP; or not at all."""

import json
from collections.abc import Iterator

import pytest

from tests.node import objects
from tests.node.cluster import Cluster, RunningPod
from tests.node.credentials import NODE
from tests.node.inside.conftest import nodes_own
from tests.node.node import STATIC_PODS
from tests.support import dhcp, movers
from tests.support.pods import Pod
from tests.vm import rig as rigs

IPAM = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
TWO_VFS = "vf0, vf1, other@bond0"
DEFAULT_NETWORK = "v1.multus-cni.io/default-network"


@pytest.fixture(scope="module", autouse=True)
def networks(cluster: Cluster) -> None:
    cluster.api.apply(objects.bond_network("other", miimon=100, ipam=IPAM))


def test_a_vf_on_vfio_pci_is_refused_in_the_pods_event_by_its_address_and_driver(
    clean: Cluster, rig: rigs.Layout
) -> None:
    vf = rig.pfs[2].vfs[-2]
    clean.api.apply(objects.vf_network("userspace", "userspace"))

    with movers.bound_to_vfio(vf):
        clean.api.apply(objects.pod("user", "vf0, userspace, other@bond0", pf0=1, userspace=1))
        text = clean.await_event("user", "FailedCreatePodSandBox", "vfio-pci")
        clean.delete_pod("user")
    rigs.reset_vfs()

    assert "[userspace-driver]" in text
    assert vf.pci in text


def test_a_bond_over_the_nodes_own_links_is_a_pods_default_network(
    clean: Cluster, rig: rigs.Layout
) -> None:
    links = [{"name": vf.name} for vf in nodes_own(rig)]
    network = objects.bond_network(
        "default-bond", miimon=100, ipam=IPAM, links=links, linksInContainer=False
    )
    network["metadata"]["namespace"] = "kube-system"
    clean.api.apply(network)
    pod = objects.pod("defaulted", "")
    pod["metadata"]["annotations"] = {DEFAULT_NETWORK: "default-bond"}

    made = clean.run_pod(pod)

    (entry,) = made.status
    bond = made.links()["eth0"]
    assert bond["linkinfo"]["info_kind"] == "bond"
    assert len(made.members("eth0")) == 2
    assert entry["default"] is True
    assert entry["ips"] == [clean.pod("defaulted")["status"]["podIP"]]
    assert made.told("eth0") == made.seen("eth0")


@pytest.fixture
def static(clean: Cluster) -> Iterator[str]:
    """The name of a static pod with a bond."""
    file = STATIC_PODS / "static.json"
    file.write_text(json.dumps(objects.pod("static", TWO_VFS, pf0=1, pf1=1)))
    yield f"static-{NODE}"
    file.unlink(missing_ok=True)
    gone = lambda: not clean.pods()  # noqa: E731 - read once
    clean.await_true("the static pod is gone", gone, 300)


@pytest.mark.agent
def test_a_static_pod_has_its_bond_and_its_events(clean: Cluster, static: str) -> None:
    there = lambda: clean.api.find(f"/api/v1/namespaces/default/pods/{static}")  # noqa: E731
    clean.await_true("kubelet has told of the static pod", there, 120)
    clean.await_true("the static pod is Ready", lambda: clean.is_ready(static), 300, static)
    pod = RunningPod(clean.pod(static))
    active = pod.links()["bond0"]["linkinfo"]["info_data"]["active_slave"]
    told, seen = pod.told("bond0"), pod.seen("bond0")

    pod.run("ip", "link", "set", active, "down")
    clean.await_event(static, "BondFailover")

    assert told == seen
    assert sorted({*pod.members()} | {active}) == ["net1", "net2"]


@pytest.fixture
def leasing(rig: rigs.Layout) -> Iterator[None]:
    """A DHCP server on the far side of the wire, and the daemon of the dhcp plugin on the node."""
    far = Pod(rig.remote.netns, "")
    with dhcp.server(far, rig.remote.name), dhcp.daemon():
        yield


@pytest.mark.usefixtures("leasing")
def test_an_address_of_dhcp_is_in_the_status_and_outlives_a_failover(clean: Cluster) -> None:
    clean.api.apply(
        objects.bond_network("leased", miimon=100, failOverMac="active", ipam=dhcp.IPAM)
    )
    pod = clean.run_pod(objects.pod("leased", "vf0, vf1, leased@bond0", pf0=1, pf1=1))
    before = pod.links()["bond0"]
    active = before["linkinfo"]["info_data"]["active_slave"]

    pod.run("ip", "link", "set", active, "down")
    clean.await_true("the other member is active", lambda: active not in pod.members(), 120)

    after = pod.links()["bond0"]
    (entry,) = pod.entries("bond0")
    assert before["address"] != after["address"]
    (address,) = (each["local"] for each in after["addr_info"] if each["family"] == "inet")
    assert entry["ips"] == [address]
    assert address.startswith("192.0.2.1")
    pod.run("ping", "-c", "3", "-i", "5", "-W", "20", "192.0.2.1")
