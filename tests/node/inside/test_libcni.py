"""libcni itself, by cnitool: each command and version, in chains, and as flannel's delegate."""

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
CHECKED = {"0.4.0", "1.0.0", "1.1.0"}
COLLECTED = {"1.1.0"}
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
def test_each_command_of_each_version_does_its_part_in_a_chain(
    pod: Pod, tmp_path: Path, version: str
) -> None:
    tool = Tool(PLUGINS, tmp_path)
    ipam = {"type": "static", "addresses": [ADDRESS | {"version": "4"}]}
    own = {"type": "sriovbond", "links": [{"name": "net1"}, {"name": "net2"}], "ipam": ipam}
    plugins = [own, {"type": "tuning", "txQLen": 500}, {"type": "sbr"}]
    network = {"cniVersion": version, "name": "test-bond", "plugins": plugins}
    (tmp_path / "10-bond.conflist").write_text(json.dumps(network))

    tool.ok("status", pod.path)
    result = tool.ok("add", pod.path)
    made = pod.the_bond()
    checked = tool.run("check", pod.path)
    tool.ok("del", pod.path)
    deleted = pod.bond()
    tool.ok("add", pod.path)
    collected = tool.run("gc", pod.path)

    assert result.get("cniVersion", "0.1.0") == version
    assert made.members
    assert checked.returncode == 0 or version not in CHECKED, checked.stderr
    assert deleted is None
    assert pod.bond() is None  # libcni deletes what it has cached before it asks plugins
    # to them cnitool lists no valid attachments, and then ours removes nothing
    assert ("cni.dev/valid-attachments" in collected.stderr) == (version in COLLECTED)


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
