"""DRA on the node: Multus moves the VFs of a claim into the pod, and a bond takes them as such."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import pytest

from deviceinfo.statement import Source
from sriovbond import records
from sriovbond.bond.plan import BondPlan
from sriovbond.host import Host
from tests.kind import objects as shipped
from tests.node import dra_driver, objects
from tests.node.api import Api
from tests.node.cluster import Cluster, RunningPod
from tests.node.credentials import SERVICE
from tests.node.inside.conftest import FOLDER, MOVER, nodes_own
from tests.vm import rig as rigs

CLAIM: Final = "two-pfs"


@pytest.fixture
def vfs(rig: rigs.Layout) -> dict[str, str]:
    """Two VFs that no device plugin offers, and their PFs."""
    pfs = {vf.pci: pf.pci for pf in rig.pfs for vf in pf.vfs}
    return {vf.pci: pfs[vf.pci] for vf in nodes_own(rig)}


@pytest.fixture
def claiming(clean: Cluster, vfs: dict[str, str]) -> Iterator[RunningPod]:
    """A pod with a bond over the VFs of its claim; to Multus the claim is their resource."""
    network = shipped.network("claimed", type=MOVER)
    network["metadata"]["annotations"] = {objects.RESOURCE: CLAIM}
    bond = objects.bond_network("over-claim", miimon=100, redundancy="require")
    pod = objects.pod("claiming", "claimed, claimed, over-claim@bond0")
    with (
        closing(Api(FOLDER / "admin.kubeconfig", f"https://{SERVICE}")) as api,
        dra_driver.a_driver(clean, api, vfs),
    ):
        clean.api.apply(dra_driver.claim(CLAIM, len(vfs)), network, bond)
        yield clean.run_pod(dra_driver.claiming(pod, CLAIM))
        clean.delete_pod("claiming")


def test_a_bond_has_the_vfs_of_the_pods_claim(claiming: RunningPod, vfs: dict[str, str]) -> None:
    members = claiming.members()

    plan = the_plan()

    assert sorted(members.values()) == sorted(vfs)
    for member in plan.members:
        assert Source.KUBELET in member.allocation.sources
        assert member.allocation.resource == f"claim default/{CLAIM}"


def the_plan() -> BondPlan:
    """Return the plan of the node's one bond."""
    (key,) = records.keys(Host())
    record = records.read(Host(), key)
    assert record is not None
    assert record.plan is not None
    return record.plan
