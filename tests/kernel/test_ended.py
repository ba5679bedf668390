"""A pod that ended without a DEL is released on proof only, if the kernel reported nothing."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.upkeep import examination
from sriovbond.upkeep.ended import Ended
from sriovbond.upkeep.examination import Examined
from sriovbond.upkeep.repair import Repairs
from tests.kernel.test_repair import bonded as bonded  # noqa: PLC0414 - a fixture
from tests.kernel.test_repair import config as config  # noqa: PLC0414 - a fixture
from tests.kernel.test_repair import members
from tests.support import kubelet as kubelets
from tests.support.agents import wait_for
from tests.support.calls import Runtime
from tests.support.kubelet import Kubelet
from tests.support.pods import Pod, a_pod, come_home, ip
from tests.support.watching import POD_ARGS
from tests.vm import rig as rigs

pytestmark = pytest.mark.vf
DEVICES = Path("/sys/bus/pci/devices")


def looked_at(host: Host, pod: Pod, ended: Ended) -> Examined:
    return examination.examine(host, pod.key(), Repairs(), ended.doubt)


def died(bonded: Pod, vfs: rigs.Layout) -> None:
    """Delete the pod without a DEL, and wait until its VFs are on the host."""
    ip(f"netns del {bonded.name}")
    wait_for(lambda: all(any((DEVICES / pf.vfs[0].pci / "net").iterdir()) for pf in vfs.pfs[:2]))


@pytest.fixture
def kubelet(host: Host) -> Iterator[Kubelet]:
    """Run a kubelet at the host's path that lists another pod and not this one."""
    folder = host.places.pod_resources.parents[1]
    folder.mkdir(parents=True, exist_ok=True)
    with kubelets.running(folder) as running:
        running.serve(kubelets.a_pod("other"))
        yield running


def test_a_pod_that_died_while_no_agent_ran_is_released_when_kubelet_has_missed_it_twice(
    host: Host, bonded: Pod, vfs: rigs.Layout, kubelet: Kubelet
) -> None:
    died(bonded, vfs)
    clock = [0.0]
    ended = Ended(host, clock=lambda: clock[0])

    first = looked_at(host, bonded, ended)
    clock[0] = 59
    second = looked_at(host, bonded, ended)
    clock[0] = 61
    third = looked_at(host, bonded, ended)

    for early in (first, second):
        assert "kubelet does not list its pod: kubelet is asked again" in early.drift[0]
    assert [one.kind for one in third.notes] == [HappeningKind.RELEASED]
    assert kubelet.methods() == ["List"] * 3
    assert not records.keys(host)


def test_without_an_answer_of_kubelet_nothing_is_released(
    host: Host, bonded: Pod, vfs: rigs.Layout, kubelet: Kubelet
) -> None:
    died(bonded, vfs)
    ended = Ended(host, apart_s=0)
    answers = {
        "kubelet lists no other pod": (),
        "kubelet lists the pod nf/upf-0": (
            kubelets.a_pod("upf-0", namespace="nf"),
            kubelets.a_pod("other"),
        ),
    }

    for words, listed in answers.items():
        kubelet.serve(*listed)
        (drift,) = looked_at(host, bonded, ended).drift
        assert words in drift
    kubelet.serve(raw={"List": b"\xff"})
    (drift,) = looked_at(host, bonded, ended).drift

    assert "cannot ask kubelet" in drift
    assert records.keys(host)


def test_a_pod_whose_namespace_is_held_is_not_released(
    host: Host, bonded: Pod, kubelet: Kubelet
) -> None:
    ended = Ended(host, apart_s=0)

    with bonded.held():
        ip(f"netns del {bonded.name}")
        (by_process,) = looked_at(host, bonded, ended).drift

    assert "the process" in by_process
    assert "is in it" in by_process
    assert kubelet.methods() == ["List"]
    assert records.keys(host)


def test_a_pod_whose_namespace_is_mounted_elsewhere_is_not_released(
    host: Host, bonded: Pod, kubelet: Kubelet, tmp_path: Path
) -> None:
    ended, elsewhere = Ended(host, apart_s=0), tmp_path / "a place"
    elsewhere.touch()
    subprocess.run(["mount", "--bind", bonded.path, elsewhere], check=True)
    try:
        ip(f"netns del {bonded.name}")
        (drift,) = looked_at(host, bonded, ended).drift
    finally:
        subprocess.run(["umount", elsewhere], check=True)

    assert f"it is mounted on {elsewhere}" in drift
    assert records.keys(host)
    assert kubelet.methods() == ["List"]


@pytest.mark.kernel_from("5.14", "reuses the number of a namespace and has no cookie of it")
def test_a_dead_pod_is_released_though_its_vfs_are_in_another_bond_of_its_name(
    runtime: Runtime, bonded: Pod, vfs: rigs.Layout, config: dict[str, object], kubelet: Kubelet
) -> None:
    kubelet.serve(kubelets.a_pod("upf-0", namespace="nf"), kubelets.a_pod("other"))
    died(bonded, vfs)
    with a_pod("next") as following:
        for pf, name in zip(vfs.pfs, ("net1", "net2"), strict=False):
            following.give(come_home(pf.vfs[0].pci), name)
        again = replace(runtime, pod=following)
        again.add(config, CNI_ARGS=POD_ARGS).ok()

        ended = Ended(runtime.host, apart_s=0)
        found = looked_at(runtime.host, bonded, ended)

        assert [one.kind for one in found.notes] == [HappeningKind.RELEASED], found
        assert records.keys(runtime.host) == [following.key()]
        assert len(members(following)) == 2
        again.delete(config).ok()


def test_a_namespace_that_only_the_hosts_root_shows_is_found_there(
    host: Host, bonded: Pod, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    (root / "run/netns").mkdir(parents=True)
    seen = root / bonded.path.removeprefix("/")
    seen.touch()
    subprocess.run(["mount", "--bind", bonded.path, seen], check=True)
    try:
        ip(f"netns del {bonded.name}")
        found = looked_at(replace(host, root=root), bonded, Ended(host))
    finally:
        subprocess.run(["umount", seen], check=True)

    assert found == Examined()
