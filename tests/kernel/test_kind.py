"""What the kind scenario does on its node, in the VM: VFs of netdevsim, a failover, a new VF."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Running
from tests.kind import __main__ as scenario
from tests.kind.__main__ import NICS, Scene
from tests.kind.cluster import Cluster
from tests.support.agents import wait_for
from tests.support.calls import Runtime, a_config
from tests.support.netdevsim import BUS
from tests.support.pods import Pod
from tests.support.watching import POD_ARGS, await_watched

pytestmark = pytest.mark.netdevsim


@pytest.fixture
def scene(pod: Pod, tmp_path: Path) -> Iterator[Scene]:
    """The VM as the node, with the NICs of the scenario; its /sys is read-only, as in kind."""
    subprocess.run(["mount", "-o", "remount,ro", "/sys"], check=True)
    made = Scene(Cluster(tmp_path, enter=("env",)), tmp_path, tmp_path, known_netns=pod.path)
    try:
        scenario.make_nics(made)
        yield made
    finally:
        subprocess.run(["mount", "-o", "remount,rw", "/sys"], check=True)
        for number in NICS:
            (BUS / "del_device").write_text(str(number))


def test_a_bond_over_the_scenarios_vfs_fails_over_and_gets_a_vf_again_that_was_made_anew(
    scene: Scene, pod: Pod, runtime: Runtime, running: Running
) -> None:
    for place, number in enumerate(NICS, 1):
        pod.give(scenario.vf_of(number), f"net{place}")
    runtime.add(a_config(miimon=100), CNI_ARGS=POD_ARGS).ok()
    await_watched(running(rest_s=0.5))
    wait_for(lambda: len(scene.members()) == len(NICS))

    scenario.fail_over(scene)
    scenario.lose_a_vf(scene)

    assert sorted(scene.members()) == ["net1", "net2"]
