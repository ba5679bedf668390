"""Programs of the node killed and started again, while pods have bonds."""

import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from sriovbond import __version__
from tests.node import cluster as clusters
from tests.node import objects, provision
from tests.node.cluster import AGENT, Cluster, RunningPod
from tests.node.inside.conftest import FOLDER, offered
from tests.node.inside.kills import agents, processes_of
from tests.node.node import PLUGINS
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
    return pod.links()["bond0"]["ifindex"], pod.seen("bond0")


@pytest.mark.parametrize(
    "kill",
    [
        pytest.param(kill_kubelet, id="kubelet"),
        pytest.param(kill_containerd, id="containerd"),
        pytest.param(kill_agent, id="the agent", marks=pytest.mark.agent),
        pytest.param(kill_multus, id="Multus"),
    ],
)
def test_a_bond_outlives_a_killed_program_and_others_are_made_after_it(
    clean: Cluster, bonded: RunningPod, kill: Callable[[Cluster], None]
) -> None:
    before = lasting(bonded)

    kill(clean)
    after = clean.run_pod(objects.pod("after", TWO_VFS, pf0=1, pf1=1))

    assert lasting(bonded) == before
    assert sorted(bonded.members()) == sorted(after.members()) == ["net1", "net2"]
    assert after.told("bond0") == after.seen("bond0")
    assert {*after.seen("bond0").addresses}.isdisjoint(bonded.seen("bond0").addresses)


@pytest.mark.agent
def test_a_deployment_is_rolled_while_the_agent_is_killed(clean: Cluster) -> None:
    replicas, rolls = 2, int(os.environ.get("SRIOVBOND_ROLLS") or 3)
    deployment = objects.deployment("rolled", replicas, TWO_VFS, pf0=1, pf1=1)
    clean.api.apply(deployment)
    clean.await_deployment("rolled", replicas)
    killed: set[int] = set()

    for roll in range(rolls):
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        annotations["example.com/roll"] = str(roll)
        clean.api.apply(deployment)
        time.sleep(3 * roll)  # another moment of the roll each time
        running = agents()  # none while kubelet waits to start one again
        for process in running:
            os.kill(process, signal.SIGKILL)
        killed.update(running)
        clean.await_deployment("rolled", replicas)
    assert killed
    clean.api.delete("/apis/apps/v1/namespaces/default/deployments/rolled")
    clean.await_true("no pod is left", lambda: not clean.pods(), 300)
    clean.await_daemon_set(AGENT)  # killed so often, it is started after 5 minutes: DELs are queued


def agents_version() -> str:
    """Return the version of the agent, as its metrics have it."""
    with urllib.request.urlopen("http://127.0.0.1:9750/metrics", timeout=60) as page:
        text: str = page.read().decode()
    return text.partition('sriovbond_build_info{version="')[2].partition('"')[0]


@pytest.mark.agent
def test_bonds_outlive_an_upgrade_and_a_downgrade_and_no_del_waits_for_them(
    clean: Cluster, bonded: RunningPod
) -> None:
    """The later version has another shim; its records are as before."""
    before, shim = lasting(bonded), (PLUGINS / "sriovbond").read_bytes()
    clean.run_pod(objects.pod("earlier", TWO_VFS, pf0=1, pf1=1))

    clean.run_image(AGENT, provision.LATER)
    clean.delete_pod("earlier")
    clean.await_daemon_set(AGENT)
    upgraded, later_shim = agents_version(), (PLUGINS / "sriovbond").read_bytes()
    later = clean.run_pod(objects.pod("later", TWO_VFS, pf0=1, pf1=1))
    clean.run_image(AGENT, provision.OURS)
    clean.await_daemon_set(AGENT)
    as_later = lasting(later)
    clean.delete_pod("later")

    assert upgraded == provision.LATER_VERSION
    assert agents_version() == __version__
    assert later_shim != shim
    assert (PLUGINS / "sriovbond").read_bytes() == shim
    assert lasting(bonded) == before
    assert as_later[1] == later.told("bond0")
    assert len(clusters.left_behind()["records"]) == 1


@pytest.mark.agent
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
