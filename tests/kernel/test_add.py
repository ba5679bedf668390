"""ADD over real VFs and over veth pairs: what is asked for stands."""

import pytest

from tests.kernel.conftest import Wires
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod


@pytest.mark.vf
def test_add_bonds_the_two_vfs_of_a_pod_without_being_told_their_names(
    runtime: Runtime, vf_pod: Pod
) -> None:
    result = runtime.add(a_config()).ok()

    state = vf_pod.bond()
    assert state is not None
    assert state.settings["mode"] == "active-backup"
    assert state.settings["fail_over_mac"] == "active"
    assert state.settings["miimon"] == 100
    assert {member.name for member in state.members} == {"net1", "net2"}
    assert result["interfaces"] == [
        {"name": "bond0", "mac": state.mac, "mtu": 1500, "sandbox": vf_pod.path}
    ]


def test_add_bonds_named_links_of_the_pod(runtime: Runtime, wires: Wires) -> None:
    runtime.add(a_config(links=wires.links)).ok()

    state = wires.pod.bond()
    assert state is not None
    assert [member.name for member in state.members] == ["net1", "net2"]
    assert all(member.is_up for member in state.members)
