"""What the kind scenario does on its node, in the VM: netdevsim's NICs, a failover, a new VF."""

import json
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.kernel.conftest import Running
from tests.kind import objects, scenario
from tests.kind.cluster import Node
from tests.kind.scenario import FAR, FAR_ADDRESS, KUBELETS_PORT, NICS, PEERS, Bonded, pf_of
from tests.support import netdevsim
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.pods import Pod, ip
from tests.support.watching import POD_ARGS, await_watched

pytestmark = pytest.mark.netdevsim


@pytest.fixture
def node() -> Iterator[Node]:
    """The VM as the node; its /sys is read-only, as in kind."""
    subprocess.run(["mount", "-o", "remount,ro", "/sys"], check=True)
    try:
        yield Node()
    finally:
        subprocess.run(["mount", "-o", "remount,rw", "/sys"], check=True)
        netdevsim.delete_all()
        ip(f"link delete {FAR}", check=False)


def test_a_bond_over_the_scenarios_vfs_fails_over_and_gets_a_vf_again_that_was_made_anew(
    node: Node, pod: Pod, runtime: Runtime, running: Running
) -> None:
    scenario.make_nics(node)
    for place, number in enumerate(NICS, 1):
        pod.give(scenario.vf_of(number), f"net{place}")
    runtime.add(a_config(miimon=100), CNI_ARGS=POD_ARGS).ok()
    await_watched(running(rest_s=3.0))  # not before the new VF has its name
    bonded = Bonded(node, pod.path)
    wait_for(lambda: len(bonded.members()) == len(NICS))

    scenario.fail_over(bonded)
    scenario.lose_a_vf(bonded)

    assert sorted(bonded.members()) == ["net1", "net2"]


def test_frames_of_a_bond_over_linked_pfs_of_the_node_arrive_by_either(
    node: Node, pod: Pod, runtime: Runtime
) -> None:
    network = objects.host_network("wired", *(pf_of(number) for number in PEERS))
    config = json.loads(network["spec"]["config"]) | {"ipam": {}}
    scenario.make_nics(node)
    scenario.link_pfs(node)

    runtime.add(config).ok()
    pod.batch("address add 203.0.113.10/24 dev bond0")
    bonded = Bonded(node, pod.path)
    bonded.await_members(2)
    with socket.create_server((FAR_ADDRESS, KUBELETS_PORT)):
        scenario.reach(bonded)
        scenario.lose_a_link(bonded)
    runtime.delete(config).ok()

    assert {pf_of(number) for number in PEERS} <= {link["ifname"] for link in ip("-j link")}
