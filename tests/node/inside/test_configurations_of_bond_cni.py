"""Networks and pods as bond-cni's documents have them, word for word but for `type`.

The networks of the VFs and the pods' resources are this node's.
"""

import json
from typing import Any, Final

import pytest

from tests.node import objects
from tests.node.cluster import Cluster

BOND: Final[dict[str, Any]] = {
    "type": "sriovbond",
    "cniVersion": "0.3.1",
    "name": "bond-net1",
    "mode": "active-backup",
    "failOverMac": 1,
    "linksInContainer": True,
    "miimon": "100",
    "mtu": 1500,
    "links": [{"name": "net1"}, {"name": "net2"}],
}
IPAM: Final = {
    "type": "host-local",
    "subnet": "10.56.217.0/24",
    "routes": [{"dst": "0.0.0.0/0"}],
    "gateway": "10.56.217.1",
}
BY_INTERFACE: Final = json.dumps(
    [
        {"name": "sriov-net1", "interface": "net1"},
        {"name": "sriov-net2", "interface": "net2"},
        {"name": "bond-net1", "interface": "bond0"},
    ]
)
IN_ORDER: Final = "default/sriov-net1, default/sriov-net2, default/bond-net1"
EXAMPLES: Final = {
    "bond-cni's README": (BOND | {"ipam": IPAM}, BY_INTERFACE, "bond0"),
    "OpenShift's pod-level bonding": (BOND | {"ipam": IPAM}, IN_ORDER, "net3"),
    "Red Hat's bonds in pods": (BOND | {"ipam": {}}, BY_INTERFACE, "bond0"),
}


@pytest.mark.parametrize("document", EXAMPLES)
def test_the_pod_of_a_document_has_its_bond(clean: Cluster, document: str) -> None:
    config, annotation, name = EXAMPLES[document]
    clean.api.apply(
        objects.vf_network("sriov-net1", "pf0"),
        objects.vf_network("sriov-net2", "pf1"),
        objects.network("bond-net1", config),
    )

    pod = clean.run_pod(objects.pod("test-pod", annotation, pf0=1, pf1=1))

    bond = pod.links()[name]
    (entry,) = pod.entries(name)
    found = [each["local"] for each in bond["addr_info"] if each["family"] == "inet"]
    assert sorted(pod.members(name)) == ["net1", "net2"]
    assert bond["mtu"] == 1500
    assert bond["linkinfo"]["info_data"]["fail_over_mac"] == "active"
    assert entry.get("ips", []) == found
    assert bool(found) == bool(config["ipam"])
