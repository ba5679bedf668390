"""Programs of the node killed and started again, while pods have bonds."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.node import objects
from tests.node.cluster import AGENT, Cluster, RunningPod
from tests.node.inside.conftest import FOLDER, offered
from tests.node.inside.kills import agents, processes_of
from tests.vm import rig as rigs

TWO_VFS = "vf0, vf1, kept@bond0"


@pytest.fixture(scope="module", autouse=True)
def networks(cluster: Cluster) -> None:
    ipam = {"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
    cluster.api.apply(objects.bond_network("kept", miimon=100, ipam=ipam))


@pytest.fixture
def bonded(clean: Cluster) -> Iterator[RunningPod]:
    yield clean.run_pod(objects.pod("kept", TWO_VFS, pf0=1, pf1=1))
    clean.delete_pod("kept")


def kill_kubelet(cluster: Cluster) -> None:
    cluster.node.running["kubelet"].kill()
    cluster.node.start_kubelet()
    cluster.await_devices(
        device for several in offered(rigs.layout()).values() for device in several
    )


def kill_containerd(cluster: Cluster) -> None:
    cluster.node.running["containerd"].kill()
    cluster.node.start_containerd()


def kill_agent(cluster: Cluster) -> None:
    (process,) = agents()
    os.kill(process, signal.SIGKILL)
    cluster.await_true("another agent runs", lambda: agents() not in ([], [process]), 120)
    cluster.await_daemon_set(AGENT)


def kill_multus(cluster: Cluster) -> None:
    """Kill the daemon of thick mode; of thin mode, what keeps its configuration."""
    before = processes_of("multus-daemon") or processes_of("thin_entrypoint")
    for process in before:
        os.kill(process, signal.SIGKILL)
    cluster.await_true(
        "another Multus runs",
        lambda: set(processes_of("multus-daemon") + processes_of("thin_entrypoint")) - {*before},
        120,
    )
    cluster.await_daemon_set("kube-multus-ds")


def lasting(pod: RunningPod) -> tuple[object, ...]:
    """Return what of the bond must not change: the interface itself, its MAC, MTU and addresses."""
    bond = pod.links()["bond0"]
    addresses = [each["local"] for each in bond["addr_info"]]
    return bond["ifindex"], bond["address"], bond["mtu"], addresses


KILLS: dict[str, Callable[[Cluster], None]] = {
    "kubelet": kill_kubelet,
    "containerd": kill_containerd,
    "the agent": kill_agent,
    "Multus": kill_multus,
}


@pytest.mark.parametrize("victim", KILLS)
def test_a_bond_outlives_a_killed_program_and_others_are_made_after_it(
    clean: Cluster, bonded: RunningPod, victim: str
) -> None:
    before = lasting(bonded)

    KILLS[victim](clean)
    after = clean.run_pod(objects.pod("after", TWO_VFS, pf0=1, pf1=1))

    assert lasting(bonded) == before
    assert sorted(bonded.members()) == sorted(after.members()) == ["net1", "net2"]


def test_a_deployment_is_rolled_while_the_agent_is_killed(clean: Cluster) -> None:
    replicas, rolls = 2, int(os.environ.get("SRIOVBOND_ROLLS") or 3)
    deployment = objects.deployment("rolled", replicas, TWO_VFS, pf0=1, pf1=1)
    clean.api.apply(deployment)
    clean.await_deployment("rolled", replicas)

    for roll in range(rolls):
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        annotations["example.com/roll"] = str(roll)
        clean.api.apply(deployment)
        time.sleep(3 * roll)  # another moment of the roll each time
        for process in agents():
            os.kill(process, signal.SIGKILL)
        clean.await_deployment("rolled", replicas)
    clean.api.delete("/apis/apps/v1/namespaces/default/deployments/rolled")
    clean.await_true("no pod is left", lambda: not clean.pods(), 300)
    clean.await_daemon_set(AGENT)  # killed so often, it is started after 5 minutes: DELs are queued


def test_the_daemon_set_is_upgraded_while_a_pod_runs(clean: Cluster, bonded: RunningPod) -> None:
    (before,) = agents()
    patch = {"spec": {"template": {"metadata": {"annotations": {"example.com/new": "1"}}}}}

    clean.change_daemon_set(AGENT, patch)
    clean.await_daemon_set(AGENT)

    assert agents() != [before]
    assert sorted(bonded.members()) == ["net1", "net2"]


def test_a_pod_is_deleted_while_there_is_no_daemon_set_and_put_away_by_the_next_one(
    clean: Cluster, rig: rigs.Layout
) -> None:
    clean.run_pod(objects.pod("orphan", TWO_VFS, pf0=1, pf1=1))
    clean.api.delete(f"/apis/apps/v1/namespaces/kube-system/daemonsets/{AGENT}")
    clean.await_true("no agent is left", lambda: not agents(), 120)

    clean.delete_pod("orphan")
    is_emulated = rig.accel == "tcg"
    clean.api.apply(*objects.ours(FOLDER / "manifests", is_emulated=is_emulated))
    clean.await_daemon_set(AGENT)
