"""What the kind scenario reads and applies; the cluster itself is public CI's."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from sriovbond.bond.config import parse_config
from tests.kind import objects, scenario
from tests.kind.cluster import FailedError, KindCluster, a_cluster, netns_of
from tests.kind.objects import Object
from tests.kind.scenario import Scene
from tests.node import provision
from tests.support import kustomize

MEMBER = {
    "ifname": "net1",
    "linkinfo": {"info_slave_kind": "bond", "info_slave_data": {"mii_status": "UP"}},
}
MULTUS = """
apiVersion: apps/v1
kind: DaemonSet
spec:
  template:
    spec:
      initContainers: [{name: install, image: "multus:snapshot"}]
      containers: [{name: daemon, image: "multus:snapshot"}]
---
apiVersion: v1
kind: ConfigMap
"""


KIND = """#!/bin/sh
echo "$*" >> {calls}
case $1 in
create) exit 1 ;;
export) mkdir "$3" && touch "$3/journal.log" && chmod 640 "$3/journal.log" ;;
esac
"""
"""It creates no cluster, and exports logs that are root's alone."""


@dataclass(frozen=True, slots=True)
class Applied(KindCluster):
    """A cluster that keeps what it is given, and runs nothing."""

    objects: list[Object] = field(default_factory=list)

    def load(self, archive: Path) -> None:
        """Import nothing."""

    def apply(self, objects: Sequence[Object]) -> None:
        """Keep the objects."""
        self.objects.extend(objects)

    def await_daemon_set(self, name: str) -> None:
        """Wait for nothing."""


@pytest.mark.slow
def test_our_manifests_name_the_image_of_the_archive_without_a_kustomize_in_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(kustomize.CHECKOUT)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    cluster = Applied(tmp_path)

    provision.render(tmp_path)
    scenario.install_ours(Scene(cluster, tmp_path, tmp_path / "sriovbond.yaml", tmp_path))

    (agent,) = (each for each in cluster.objects if each["kind"] == "DaemonSet")
    specs = agent["spec"]["template"]["spec"]["containers"]
    assert {spec["image"] for spec in specs} == {provision.OURS}


def test_multus_is_that_of_its_manifest_with_the_image_of_a_version(tmp_path: Path) -> None:
    manifest = tmp_path / "multus.yml"
    manifest.write_text(MULTUS)

    daemon_set, config_map = objects.multus(manifest)

    spec = daemon_set["spec"]["template"]["spec"]
    images = {each["image"] for each in [*spec["containers"], *spec["initContainers"]]}
    assert images == {objects.MULTUS_IMAGE}
    assert config_map["kind"] == "ConfigMap"


def test_the_networks_move_two_vfs_and_bond_them_without_a_fault() -> None:
    *movers, bond = objects.networks(("eni10npf0vf0", "eni11npf0vf0"))

    configs = [json.loads(each["spec"]["config"]) for each in movers]
    assert [config["device"] for config in configs] == ["eni10npf0vf0", "eni11npf0vf0"]
    assert parse_config(json.loads(bond["spec"]["config"])).warnings == ()


def test_the_pod_asks_for_the_vfs_before_the_bond() -> None:
    pod = objects.pod("a", "image", "vf-1", "vf-2", "bond")
    annotations = pod["metadata"]["annotations"]

    networks = json.loads(annotations["k8s.v1.cni.cncf.io/networks"])

    assert networks == [
        {"name": "vf-1"},
        {"name": "vf-2"},
        {"name": "bond", "interface": objects.BOND},
    ]


def test_the_bond_over_the_nodes_links_names_them_and_has_addresses_other_than_its_peers() -> None:
    network = objects.host_network("wired", "eni12np1", "eni13np1")

    config = json.loads(network["spec"]["config"])
    parsed = parse_config(config)
    first = IPv4Address(config["ipam"]["rangeStart"])
    assert not parsed.links_in_container
    assert first > IPv4Address(scenario.FAR_ADDRESS)
    assert first in IPv4Network(config["ipam"]["subnet"])


def test_a_member_is_up_where_its_bond_says_so() -> None:
    down = {"ifname": "net1", "linkinfo": {"info_slave_kind": "bond", "info_slave_data": {}}}

    assert scenario.is_member_up(MEMBER)
    assert not scenario.is_member_up(down)
    assert not scenario.is_member_up({"ifname": "lo"})


def test_a_cluster_that_does_not_come_up_leaves_its_logs(tmp_path: Path) -> None:
    kind, calls, logs = tmp_path / "kind", tmp_path / "calls", tmp_path / "logs"
    kind.write_text(KIND.format(calls=calls))
    kind.chmod(0o755)

    with pytest.raises(FailedError, match="create cluster"), a_cluster(kind, logs):
        pass

    create, export, delete = calls.read_text().splitlines()
    assert "--retain" in create
    assert export.startswith(f"export logs {logs}")
    assert delete.startswith("delete cluster")
    assert (logs / "journal.log").stat().st_mode & 0o004


def test_the_namespace_is_the_sandbox_network() -> None:
    namespaces = [{"type": "pid"}, {"type": "network", "path": "/run/netns/cni-1"}]
    sandbox = {"info": {"runtimeSpec": {"linux": {"namespaces": namespaces}}}}

    assert netns_of(json.dumps(sandbox)) == "/run/netns/cni-1"


def test_network_status_needs_one_entry_of_the_bond_with_an_address() -> None:
    entry = {"name": "default/bond", "interface": "bond0", "ips": ["198.51.100.2"]}

    assert scenario.has_address(json.dumps([entry]), "bond0")
    assert not scenario.has_address(json.dumps([entry, entry]), "bond0")
    assert not scenario.has_address(json.dumps([{**entry, "ips": []}]), "bond0")
