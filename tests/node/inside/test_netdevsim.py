"""The scenario of kind, step by step, on the node in the VM: pods over netdevsim's VFs and PFs."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.kind.cluster import Node
from tests.kind.scenario import FAR, POD, STEPS, WIRED, Scene
from tests.node import cluster as clusters
from tests.node import node, objects, provision
from tests.node.api import Object
from tests.node.cluster import Cluster, RunningPod
from tests.node.inside.conftest import FOLDER, MANIFESTS, MULTUS, PLUGINS, PROGRAMS, say
from tests.support import netdevsim
from tests.vm import rig as rigs

pytestmark = [pytest.mark.netdevsim, pytest.mark.agent]
_NODE: Final = Node()


@dataclass(frozen=True, slots=True)
class NodeOfVm:
    """The cluster of which the VM is the node, as the scenario asks one: it has no kubectl."""

    cluster: Cluster
    is_emulated: bool
    node: Node = _NODE

    def add_plugin(self, program: Path) -> None:
        """Put a CNI plugin among the node's."""
        node.add_plugin(program)

    def load(self, _archive: Path) -> None:
        """See that containerd has the image: it is on the node's disk."""
        assert provision.OURS in self.cluster.node.ctr("images", "list", "--quiet").split()

    def apply(self, objects_of_kind: Sequence[Object]) -> None:
        """Create or change objects; DaemonSets fit the machine."""
        fit = objects.fitted if self.is_emulated else list
        self.cluster.api.apply(*fit(objects_of_kind))

    def await_daemon_set(self, name: str) -> None:
        """Wait until the node's pod of a DaemonSet of kube-system is the newest, and ready."""
        self.cluster.await_daemon_set(name)

    def await_ready(self, pod: str) -> None:
        """Wait until a pod is Ready."""
        ready = lambda: self.cluster.is_ready(pod)  # noqa: E731 - read once
        self.cluster.await_true(f"pod {pod} is Ready", ready, clusters.READY_S, pod)

    def pod(self, name: str) -> Object:
        """Return a pod."""
        return self.cluster.pod(name)

    def delete_pod(self, name: str) -> None:
        """Delete a pod, and wait until the API has it no more."""
        self.cluster.delete_pod(name)

    def netns(self, pod: str) -> str:
        """Return the path of a pod's network namespace."""
        return RunningPod(self.cluster.pod(pod)).netns


@pytest.fixture
def scene(bare: Cluster, rig: rigs.Layout) -> Iterator[Scene]:
    """The node in the place of kind's; nothing of the scenario is left on it."""
    is_emulated = rig.accel == "tcg"
    bare.api.apply(objects.settings(is_emulated=is_emulated))
    manifests = PROGRAMS / MANIFESTS[MULTUS], FOLDER / "manifests" / "sriovbond.yaml"
    yield Scene(NodeOfVm(bare, is_emulated), *manifests, PLUGINS)
    for pod in (POD, WIRED):
        bare.delete_pod(pod)
    netdevsim.delete_all()
    subprocess.run(["ip", "link", "delete", FAR], check=False)


def test_each_step_of_the_scenario_of_kind(scene: Scene) -> None:
    for words, step in STEPS:
        say(words)
        step(scene)

    nothing: dict[str, list[str]] = {"records": [], "leases": []}
    assert clusters.left_behind() == nothing
