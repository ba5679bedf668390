"""Pods as in NFV specifications: VFs by Multus and a mover, bonds over them by our plugin."""

from collections.abc import Iterator

import pytest

from tests.kind import objects as shipped
from tests.node import objects
from tests.node.cluster import Cluster, RunningPod

IPAM = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
IPV6 = {"type": "host-local", "ranges": [[{"subnet": "2001:db8:51::/64"}]]}
TWO_VFS = "vf0, vf1, bond@bond0"
RESTORED_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def networks(cluster: Cluster) -> None:
    cluster.api.apply(
        objects.bond_network("bond", miimon=100, ipam=IPAM),
        objects.bond_network("bond6", miimon=100, ipam=IPV6),
        objects.bond_network("bare-bond", miimon=100),
    )


@pytest.fixture
def bonded(clean: Cluster) -> Iterator[RunningPod]:
    """A pod with a VF of pf0 and one of pf1, and a bond over them with an address."""
    yield clean.run_pod(objects.pod("bonded", TWO_VFS, pf0=1, pf1=1))
    clean.delete_pod("bonded")


def test_a_pod_with_two_vfs_and_a_bond_is_ready_and_right(bonded: RunningPod) -> None:
    bond = bonded.seen("bond0")

    assert bonded.links()["bond0"]["linkinfo"]["info_data"]["mode"] == "active-backup"
    assert sorted(bonded.members()) == ["net1", "net2"]
    assert bonded.told("bond0") == bond
    assert len(bond.addresses) == 1
    assert bonded.entries("bond0")[0]["name"] == "default/bond"
    assert [len(bonded.entries(name)) for name in ("net1", "net2")] == [1, 1]


@pytest.mark.agent
def test_a_failover_is_an_event_of_the_pod(clean: Cluster, bonded: RunningPod) -> None:
    active = bonded.links()["bond0"]["linkinfo"]["info_data"]["active_slave"]
    (other,) = set(bonded.members()) - {active}

    bonded.run("ip", "link", "set", active, "down")
    text = clean.await_event("bonded", "BondFailover")
    bonded.run("ip", "link", "set", active, "up")

    assert other in text
    assert "is administratively down" in text
    clean.await_event("bonded", "BondRestored", within_s=RESTORED_S)


ORDERS = {
    "each behind its VFs": "vf0, vf1, by-network@bond0, media0@net4, media2@net5, by-name@bond1",
    "interleaved": "vf0, media0@net4, media2@net5, by-name@bond1, vf1@net2, by-network@bond0",
}


@pytest.mark.parametrize("order", ORDERS)
def test_two_bonds_over_four_vfs_have_each_its_own_and_an_entry_in_the_status(
    clean: Cluster, order: str
) -> None:
    links = [{"network": "vf0"}, {"network": "vf1"}]
    named = [{"name": "net4"}, {"name": "net5"}]
    clean.api.apply(
        objects.bond_network("by-network", miimon=100, links=links, ipam=IPAM),
        objects.bond_network("by-name", miimon=100, links=named, ipam=IPV6),
        objects.vf_network("media0", "pf0"),
        objects.vf_network("media2", "pf2"),
    )

    pod = clean.run_pod(objects.pod("nf2", ORDERS[order], pf0=2, pf1=1, pf2=1))

    bonds = {name: pod.seen(name) for name in ("bond0", "bond1")}
    assert sorted(pod.members("bond0")) == ["net1", "net2"]
    assert sorted(pod.members("bond1")) == ["net4", "net5"]
    assert {name: pod.told(name) for name in bonds} == bonds
    assert [len(bond.addresses) for bond in bonds.values()] == [1, 1]


def test_a_bond_that_is_listed_before_its_vfs_is_refused_in_the_pods_event(clean: Cluster) -> None:
    clean.api.apply(objects.pod("early", "bond@bond0, vf0, vf1", pf0=1, pf1=1))

    text = clean.await_event("early", "FailedCreatePodSandBox", "vf0")

    assert "after" in text


def test_a_bond_without_ipam_has_no_address(clean: Cluster) -> None:
    pod = clean.run_pod(objects.pod("bare", "vf0, vf1, bare-bond@bond0", pf0=1, pf1=1))

    assert pod.told("bond0") == pod.seen("bond0")
    assert pod.seen("bond0").addresses == []


def test_a_bond_of_ipv6_alone_has_its_address_in_the_status(clean: Cluster) -> None:
    pod = clean.run_pod(objects.pod("six", "vf0, vf1, bond6@bond0", pf0=1, pf1=1))

    (address,) = pod.seen("bond0").addresses
    assert pod.told("bond0") == pod.seen("bond0")
    assert address.startswith("2001:db8:51::")


def test_vlan_and_macvlan_are_made_on_a_bond(clean: Cluster) -> None:
    on_bond = {"master": "bond0", "linkInContainer": True}
    static = {"type": "static", "addresses": [{"address": "203.0.113.9/24"}]}  # vlan wants some
    clean.api.apply(
        shipped.network("vlan", type="vlan", vlanId=7, ipam=static, **on_bond),
        shipped.network("macvlan", type="macvlan", mode="bridge", **on_bond),
    )
    annotation = "vf0, vf1, bond@bond0, vlan@bond0.7, macvlan@mac0"

    pod = clean.run_pod(objects.pod("stacked", annotation, pf0=1, pf1=1))

    links = pod.links()
    assert {links[name]["link"] for name in ("bond0.7", "mac0")} == {"bond0"}
    assert sorted(pod.members()) == ["net1", "net2"]
    assert pod.told("bond0") == pod.seen("bond0")
    assert pod.told("bond0.7").addresses == ["203.0.113.9"]


def test_ipam_that_fails_leaves_no_bond_and_the_pod_says_why(clean: Cluster) -> None:
    full = {"type": "host-local", "ranges": [[{"subnet": "203.0.113.0/30"}]]}
    clean.api.apply(objects.bond_network("small", miimon=100, ipam=full))
    clean.run_pod(objects.pod("first", "vf0, vf1, small@bond0", pf0=1, pf1=1))

    clean.api.apply(objects.pod("second", "vf0, vf1, small@bond0", pf0=1, pf1=1))
    text = clean.await_event("second", "FailedCreatePodSandBox", "small")

    assert "no IP addresses available" in text
    clean.delete_pod("first")
    clean.await_true("the second pod has its turn", lambda: clean.is_ready("second"), 300, "second")
