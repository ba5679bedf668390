"""libcni itself, by cnitool: each cniVersion, in a chain with tuning and sbr, by our shim."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.cni.versions import SUPPORTED_VERSIONS
from tests.node.cluster import Cluster
from tests.node.node import PLUGINS
from tests.support.libcni import Tool
from tests.support.pods import Pod, a_pod
from tests.vm import rig as rigs

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
    tool.ok("del", pod.path)

    assert result.get("cniVersion", "0.1.0") == version
    assert made.members
    assert pod.bond() is None
