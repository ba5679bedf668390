"""Networks and pods as bond-cni's documents have them, word for word but for `type`.

The networks of the VFs, the names of the node's links, and the pods' resources are this node's.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from tests.node import objects
from tests.node.api import Object
from tests.node.cluster import Cluster
from tests.node.inside.conftest import MOVER, nodes_own
from tests.node.node import PLUGINS
from tests.support import calico
from tests.vm import rig as rigs

Config = dict[str, Any]
BOND: Final[Config] = {
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
STATIC: Final = {
    "type": "static",
    "addresses": [{"address": "192.168.200.100/24", "gateway": "192.168.200.1"}],
    "subnet": "192.168.200.0/24",
    "routes": [{"dst": "0.0.0.0/0"}],
}
LACP: Final[Config] = {
    "cniVersion": "0.3.1",
    "name": "bond0",
    "ifname": "bond0",
    "type": "sriovbond",
    "mode": "802.3ad",
    "miimon": "100",
    "linksInContainer": True,
    "links": [{"name": "net1"}, {"name": "net2"}],
    "ipam": {"type": "static", "addresses": [{"address": "192.168.0.1/24"}]},
}
IN_ORDER: Final = "default/sriov-net1, default/sriov-net2, default/bond-net1"


def by_interface(*names: str) -> str:
    """Return an annotation that names the interfaces net1, net2 and bond0."""
    interfaces = zip(names, ("net1", "net2", "bond0"), strict=True)
    return json.dumps([{"name": name, "interface": interface} for name, interface in interfaces])


def in_turn(*names: str) -> str:
    """Return an annotation of names alone."""
    return json.dumps([{"name": name} for name in names])


def macvlan(master: str) -> list[Config]:
    """Return SUSE's plugins over a free link of the node."""
    return [
        {
            "type": "macvlan",
            "capabilities": {"ips": True},
            "master": master,
            "mode": "bridge",
            "ipam": {},
        },
        {"capabilities": {"mac": True}, "type": "tuning"},
    ]


def host_device(device: str) -> list[Config]:
    """Return SUSE's plugin that moves a free link of the node."""
    return [{"type": "host-device", "name": "host0", "device": device, "ipam": {}}]


@dataclass(frozen=True)
class Document:
    """A document's bond, its pod's annotation, and what the bond is called in the pod."""

    bond: Config
    annotation: str
    ifname: str = "bond0"
    lists: dict[str, list[Config]] = field(default_factory=dict)
    resources: dict[str, int] = field(default_factory=dict)

    def networks(self) -> Iterator[Object]:
        yield objects.network(self.bond["name"], self.bond)
        for name, plugins in self.lists.items():
            yield objects.network(name, {"cniVersion": "0.3.1", "plugins": plugins})
        for number, resource in enumerate(self.resources):
            for name in (f"sriov-net{number + 1}", f"sriov{number}"):
                yield objects.vf_network(name, resource, MOVER, **TRUST)


# What SR-IOV CNI restores after a pod is an administrative MAC: then a VF takes the MAC of its bond
# only with trust, which documents of modes with one MAC ask for.
TRUST: Final = {"trust": "on"} if MOVER == "sriov" else {}
OF_VFS: Final = by_interface("sriov-net1", "sriov-net2", "bond-net1")
TWO: Final = {"pf0": 1, "pf1": 1}
DOCUMENTS: Final = {
    "bond-cni's README": Document(BOND | {"ipam": IPAM}, OF_VFS, resources=TWO),
    "OpenShift's pod-level bonding": Document(BOND | {"ipam": IPAM}, IN_ORDER, "net3", {}, TWO),
    "Red Hat's bonds in pods": Document(BOND | {"ipam": {}}, OF_VFS, resources=TWO),
    "openEuler's bonds over VFs": Document(
        BOND | {"mode": "balance-xor", "ipam": IPAM}, OF_VFS, resources=TWO
    ),
    "SUSE's bond with MACVLAN": Document(
        BOND | {"ipam": STATIC},
        by_interface("enp8s0-conf", "enp9s0-conf", "bond-net1"),
        lists={"enp8s0-conf": macvlan("pf0"), "enp9s0-conf": macvlan("pf1")},
    ),
    "SUSE's bond with host-device": Document(
        BOND | {"ipam": STATIC},
        by_interface("enp8s0-hostdev", "enp9s0-hostdev", "bond-net1"),
        lists={"enp8s0-hostdev": host_device("pf0v0"), "enp9s0-hostdev": host_device("pf1v0")},
    ),
    "StarlingX's 802.3ad over VFs": Document(
        LACP, in_turn("sriov0", "sriov1", "bond0"), "net3", resources=TWO
    ),
}


@pytest.mark.parametrize("title", DOCUMENTS)
def test_the_pod_of_a_document_has_its_bond(clean: Cluster, title: str) -> None:
    document = DOCUMENTS[title]
    clean.api.apply(*document.networks())

    pod = clean.run_pod(objects.pod("test-pod", document.annotation, **document.resources))

    bond = pod.links()[document.ifname]
    (entry,) = pod.entries(document.ifname)
    found = [each["local"] for each in bond["addr_info"] if each["family"] == "inet"]
    shown = bond["linkinfo"]["info_data"]
    assert sorted(pod.members(document.ifname)) == ["net1", "net2"]
    assert bond["mtu"] == 1500
    assert shown["mode"] == document.bond["mode"]
    assert shown["mode"] != "active-backup" or shown["fail_over_mac"] == "active"
    assert entry.get("ips", []) == found
    assert bool(found) == bool(document.bond["ipam"])


@pytest.fixture
def calico_ipam() -> Iterator[Path]:
    """A stand-in for calico-ipam among the node's plugins, where it notes its calls."""
    notes = calico.install(PLUGINS)
    yield notes
    (PLUGINS / calico.NAME).unlink()
    notes.unlink(missing_ok=True)


def test_the_pod_of_starlingx_has_a_bond_of_the_nodes_links_with_an_address_of_calicos_pool(
    clean: Cluster, rig: rigs.Layout, calico_ipam: Path
) -> None:
    links = [{"name": vf.name} for vf in nodes_own(rig)]
    config = {
        "cniVersion": "0.3.1",
        "name": "bond0",
        "type": "sriovbond",
        "ifname": "net1",
        "mode": "active-backup",
        "miimon": "100",
        "failOverMac": 1,
        "links": links,
        "ipam": {"type": "calico-ipam", "assign_ipv4": "true", "ipv4_pools": ["mypool"]},
        "kubernetes": {"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"},
        "datastore_type": "kubernetes",
    }
    clean.api.apply(objects.network("bond0", config))

    pod = clean.run_pod(objects.pod("bonding", in_turn("bond0")))
    addresses = [entry["ips"] for entry in pod.entries("net1")]
    members = pod.members("net1")
    clean.delete_pod("bonding")

    assert addresses == [[calico.ADDRESS]]
    assert sorted(members) == sorted(vf.name for vf in nodes_own(rig))
    commands = {line.split()[0] for line in calico_ipam.read_text().splitlines()}
    assert commands == {"ADD", "DEL"}
