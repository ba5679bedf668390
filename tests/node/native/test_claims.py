"""DRA: the real scheduler puts the VFs of our example's claim on two PFs, by its constraint."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.docs_tables import CHECKOUT
from tests.node import dra_driver
from tests.node.api import Api
from tests.node.control_plane import ControlPlane
from tests.node.processes import await_true

EXAMPLE = CHECKOUT / "manifests" / "dra-pod.yaml"
PFS = {
    "0000:01:10.0": "0000:01:00.0",
    "0000:01:10.2": "0000:01:00.0",
    "0000:02:10.0": "0000:02:00.0",
}
"""The PF of each VF that a driver advertises; two of the first come first."""
_CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"


@pytest.fixture
def advertised(networking: ControlPlane, paper_node: str) -> Iterator[ControlPlane]:
    """The control plane, with a node of which a driver has advertised VFs of two PFs."""
    text = yaml.safe_dump_all(dra_driver.advertised(PFS, paper_node))
    networking.kubectl("apply", "--filename=-", stdin=text)
    yield networking
    networking.kubectl("delete", "--filename=-", stdin=text)


def pfs_of_the_claim(plane: ControlPlane, api: Api, documents: list[Any]) -> list[str]:
    """Return the PFs of what the scheduler allocates to the pod of these documents."""
    text = yaml.safe_dump_all(documents)
    plane.kubectl("apply", "--filename=-", stdin=text)

    def allocated() -> list[str]:
        allocations = [
            each.get("status", {}).get("allocation") for each in api.get(_CLAIMS)["items"]
        ]
        results = [row for each in allocations if each for row in each["devices"]["results"]]
        pfs = {dra_driver.name_of(vf): pf for vf, pf in PFS.items()}
        return sorted(pfs[row["device"]] for row in results)

    try:
        await_true("the claim is allocated", allocated, 60)
        return allocated()
    finally:
        plane.kubectl("delete", "--grace-period=0", "--force", "--filename=-", stdin=text)
        await_true("the claim is gone", lambda: not api.get(_CLAIMS)["items"], 60)


def test_the_claims_vfs_are_of_two_pfs_and_without_the_constraint_of_one(
    advertised: ControlPlane, api: Api
) -> None:
    documents = list(yaml.safe_load_all(EXAMPLE.read_text()))
    without = copy.deepcopy(documents)
    del without[0]["spec"]["spec"]["devices"]["constraints"]

    assert pfs_of_the_claim(advertised, api, documents) == ["0000:01:00.0", "0000:02:00.0"]
    assert pfs_of_the_claim(advertised, api, without) == ["0000:01:00.0", "0000:01:00.0"]
