"""libcni itself, by cnitool and our shim: each cniVersion, in chains, and as flannel's delegate."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.cni.versions import SUPPORTED_VERSIONS
from tests.node.cluster import Cluster
from tests.node.inside.conftest import nodes_own
from tests.node.node import PLUGINS
from tests.support import flannel
from tests.support.libcni import Tool
from tests.support.pods import Pod, a_pod
from tests.vm import rig as rigs

LINKS = Path("/sys/class/net")
SUBNET = """\
FLANNEL_NETWORK=198.51.0.0/16
FLANNEL_SUBNET=198.51.100.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
"""
COMMANDS = {"0.4.0": ("check",), "1.0.0": ("check",), "1.1.0": ("status", "check")}
ADDRESS = {"address": "198.51.100.7/24"}


@pytest.fixture
def pod(clean: Cluster, rig: rigs.Layout) -> Iterator[Pod]:
    """A namespace with two VFs, as a mover leaves them."""
    assert clean.node.running
    with a_pod() as made:
        for number, pf in enumerate(rig.pfs[:2], 1):
            made.give(pf.vfs[0].name, f"net{number}")
        yield made
    rigs.reset_vfs()


@pytest.mark.parametrize("version", SUPPORTED_VERSIONS)
def test_each_version_makes_and_deletes_a_bond_in_a_chain(
    pod: Pod, tmp_path: Path, version: str
) -> None:
    tool = Tool(PLUGINS, tmp_path)
    ipam = {"type": "static", "addresses": [ADDRESS | {"version": "4"}]}
    own = {"type": "sriovbond", "links": [{"name": "net1"}, {"name": "net2"}], "ipam": ipam}
    plugins = [own, {"type": "tuning", "txQLen": 500}, {"type": "sbr"}]
    network = {"cniVersion": version, "name": "test-bond", "plugins": plugins}
    (tmp_path / "10-bond.conflist").write_text(json.dumps(network))

    result = tool.ok("add", pod.path)
    made = pod.the_bond()
    for command in COMMANDS.get(version, ()):
        tool.ok(command, pod.path)
    tool.ok("del", pod.path)

    assert result.get("cniVersion", "0.1.0") == version
    assert made.members
    assert pod.bond() is None


def test_as_flannels_delegate_it_bonds_two_links_of_the_node(
    clean: Cluster, rig: rigs.Layout, tmp_path: Path
) -> None:
    assert clean.node.running
    shutil.copy(flannel.__file__, PLUGINS / "flannel")
    (PLUGINS / "flannel").chmod(0o755)
    links = [{"name": vf.name} for vf in nodes_own(rig)]
    delegate = {"type": "sriovbond", "miimon": "100", "failOverMac": 1, "links": links}
    flannel_keys = {"subnetFile": str(tmp_path / "subnet.env"), "dataDir": str(tmp_path / "kept")}
    plugins = [{"type": "flannel", "delegate": delegate, **flannel_keys}]
    network = {"cniVersion": "1.0.0", "name": "test-bond", "plugins": plugins}
    (tmp_path / "10-bond.conflist").write_text(json.dumps(network))
    (tmp_path / "subnet.env").write_text(SUBNET)
    tool = Tool(PLUGINS, tmp_path)

    with a_pod() as pod:
        result = tool.ok("add", pod.path)
        bond = pod.the_bond()
        tool.ok("del", pod.path)

    assert {member.name for member in bond.members} == {vf.name for vf in nodes_own(rig)}
    assert result["ips"][0]["address"].startswith("198.51.100.")
    assert result["routes"] == [{"dst": "198.51.0.0/16"}]
    assert {vf.name for vf in nodes_own(rig)} <= {path.name for path in LINKS.iterdir()}
