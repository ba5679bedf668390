"""Pods that fail at first, by another network or by IPAM, or that end without a DEL or their VF."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.kind import objects as shipped
from tests.node import cluster as clusters
from tests.node import objects
from tests.node.cluster import Cluster, RunningPod
from tests.node.node import PLUGINS
from tests.support.calls import a_config
from tests.support.crio import IFNAME, CriO
from tests.support.libcni import Tool
from tests.support.pods import Pod, ip, some_pods
from tests.vm import rig as rigs
from tests.vm.reset import IGBVF

RANGES: Final = [[{"subnet": "198.51.100.0/24"}]]
NOTHING: Final[dict[str, list[str]]] = {"records": [], "leases": []}
READY_S: Final = 300.0


@pytest.fixture(scope="module", autouse=True)
def networks(cluster: Cluster) -> None:
    ipam = {"type": "host-local", "ranges": RANGES}
    cluster.api.apply(objects.bond_network("tried", miimon=100, ipam=ipam))


def await_whole(cluster: Cluster, name: str, network: str) -> None:
    """Wait until kubelet has made a pod after all; its bond is all that the node has of it."""
    cluster.await_true(f"{name} is Ready", lambda: cluster.is_ready(name), READY_S, name)
    pod = RunningPod(cluster.pod(name))
    assert sorted(pod.members()) == ["net1", "net2"]
    assert pod.told("bond0") == pod.seen("bond0")
    (address,) = pod.seen("bond0").addresses

    def is_alone() -> bool:  # an earlier sandbox may be released a moment later
        left = clusters.left_behind()
        return len(left["records"]) == 1 and left["leases"] == [f"{network}/{address}"]

    cluster.await_true("nothing is left of earlier tries", is_alone, READY_S, name)


def test_a_network_that_fails_after_the_bond_leaves_no_bond_and_kubelet_tries_again(
    clean: Cluster,
) -> None:
    uppers = {"type": "macvlan", "mode": "bridge", "linkInContainer": True}
    clean.api.apply(shipped.network("upper", master="nowhere", **uppers))

    clean.api.apply(objects.pod("late", "vf0, vf1, tried@bond0, upper@mac0", pf0=1, pf1=1))
    clean.await_event("late", "FailedCreatePodSandBox", '"upper": Link not found')
    clean.api.apply(shipped.network("upper", master="bond0", **uppers))

    await_whole(clean, "late", "tried")


TROUBLES: Final = {
    "fails": (
        """echo '{"cniVersion": "1.1.0", "code": 11, "msg": "the pool is closed"}'; exit 1""",
        "the pool is closed",
    ),
    "hangs": ("exec sleep 1000", "did not end within"),
    "prints garbage": ("echo nonsense; exit 0", "cannot decode its result"),
    "is killed": ("kill -KILL $$", "it was killed by SIGKILL"),
}
TROUBLED: Final = "troubled-ipam"
SCRIPT: Final = """#!/bin/sh
[ $CNI_COMMAND != ADD ] || . {trouble}
exec "${{0%/*}}/host-local"
"""


@pytest.fixture
def trouble() -> Iterator[Path]:
    """A file of shell that each ADD of an IPAM plugin runs, which otherwise is host-local.

    To be requested before what deletes the pods, whose DELs need the plugin.
    """
    file, program = Path("/run/trouble"), PLUGINS / TROUBLED
    file.touch()
    program.write_text(SCRIPT.format(trouble=file))
    program.chmod(0o755)
    yield file
    program.unlink()
    file.unlink()


@pytest.mark.parametrize("kind", TROUBLES)
def test_ipam_that_fails_is_named_in_the_pods_event_and_tried_again(
    trouble: Path, clean: Cluster, kind: str
) -> None:
    script, words = TROUBLES[kind]
    trouble.write_text(f"{script}\n")
    ipam = {"type": TROUBLED, "ranges": RANGES}
    clean.api.apply(objects.bond_network("troubled", miimon=100, ipam=ipam))

    clean.api.apply(objects.pod("troubled", "vf0, vf1, troubled@bond0", pf0=1, pf1=1))
    text = clean.await_event("troubled", "FailedCreatePodSandBox", words)
    trouble.write_text("")

    assert TROUBLED in text
    await_whole(clean, "troubled", "troubled")


def test_a_pod_whose_vf_is_gone_is_deleted(clean: Cluster) -> None:
    pod = clean.run_pod(objects.pod("bereft", "vf0, vf1, tried@bond0", pf0=1, pf1=1))
    device = pod.members()["net1"]

    (IGBVF / "unbind").write_text(device)
    try:
        clean.delete_pod("bereft")
        left = clusters.left_behind()
    finally:
        rigs.reset_vfs()

    assert left == NOTHING


@pytest.fixture
def sandboxes(clean: Cluster, rig: rigs.Layout) -> Iterator[list[Pod]]:
    """Two namespaces of each of two runtimes, each with a VF of two PFs."""
    assert clean.node.running
    with ExitStack() as held:
        held.callback(rigs.reset_vfs)
        pods = held.enter_context(some_pods("libcni", "libcni", "crio", "crio"))
        for index, pod in enumerate(pods):
            for number, pf in enumerate((rig.pfs[0], rig.pfs[1]), 1):
                pod.give(pf.vfs[index].name, f"net{number}")
        yield pods


@pytest.mark.agent
def test_sandboxes_that_two_runtimes_have_left_are_released_and_late_dels_succeed(
    clean: Cluster, sandboxes: list[Pod], tmp_path: Path
) -> None:
    """As where a node goes from one runtime to another: the namespaces end, and no DEL comes."""
    config = a_config(miimon=100, ipam={"type": "host-local", "ranges": RANGES})
    tool, crio = Tool(PLUGINS, tmp_path), CriO(PLUGINS, tmp_path / "crio")
    tool.define(config)
    crio.define(config)
    firsts, seconds = sandboxes[:2], sandboxes[2:]
    for pod in firsts:
        tool.ok("add", pod.path)
    for pod in seconds:
        crio.call("add", pod)
    bonds = [*(pod.bond() for pod in firsts), *(pod.bond(IFNAME) for pod in seconds)]
    standing = clusters.left_behind()

    for pod in sandboxes:
        ip(f"netns del {pod.name}")
    clean.await_true("all are released", lambda: clusters.left_behind() == NOTHING, READY_S)
    for pod in firsts:
        tool.ok("del", pod.path)
    for pod in seconds:
        crio.call("del", pod)

    assert all(bonds)
    assert [len(standing[kind]) for kind in NOTHING] == [4, 4]
    assert clusters.left_behind() == NOTHING
