"""Fixtures of the tests on the node: one node for all of them, Multus and our agent on it."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.node import cluster as clusters
from tests.node import machine, node, objects
from tests.node.api import Api
from tests.node.cluster import Cluster
from tests.node.credentials import SERVICE
from tests.node.device_plugin import DevicePlugin
from tests.node.inside import plugin, vm
from tests.node.node import CONFIGURATIONS, Node, a_node
from tests.vm import rig as rigs

FOLDER = Path(os.environ["SRIOVBOND_NODE"])
PROGRAMS = Path(os.environ["SRIOVBOND_NODE_PROGRAMS"])
PLUGINS = Path(os.environ["SRIOVBOND_PLUGINS"])
SRIOV_CNI = Path(os.environ.get("SRIOVBOND_PEERS") or "/nonexistent", "sriov")
MOVER = SRIOV_CNI.name if SRIOV_CNI.exists() else "host-device"
"""The plugin that moves the VFs into the pods: SR-IOV CNI, where it is there."""
MULTUS = os.environ.get("SRIOVBOND_MULTUS") or "thick"
MANIFESTS = {"thick": "multus-daemonset-thick.yml", "thin": "multus-daemonset.yml"}
MULTUS_LIST = CONFIGURATIONS / "00-multus.conf"
_BEGAN = time.monotonic()
LEFT_OUT = pytest.StashKey[dict[str, str]]()
LACKS = {
    "netdevsim": "" if os.environ.get("NETDEVSIM") == "1" else "NETDEVSIM=1",
    "agent": "an agent" if plugin.IS_THIN else "",
}
"""What is not there of what a test needs, by its mark."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is not there."""
    left_out = {
        each: lack
        for each in items
        for mark, lack in LACKS.items()
        if each.get_closest_marker(mark) and lack
    }
    items[:] = [each for each in items if each not in left_out]
    config.hook.pytest_deselected(items=[*left_out])
    config.stash[LEFT_OUT] = {each.nodeid: lack for each, lack in left_out.items()}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was left out."""
    for name, lack in terminalreporter.config.stash[LEFT_OUT].items():
        terminalreporter.write_line(f"left out for the lack of {lack}: {name}")


def say(words: str) -> None:
    """Say how far it is: the node takes minutes."""
    os.write(2, f"node: {time.monotonic() - _BEGAN:4.0f} s in the VM: {words}\n".encode())


@pytest.fixture(scope="session")
def rig() -> rigs.Layout:
    return rigs.layout()


@pytest.fixture(scope="session")
def bare() -> Iterator[Cluster]:
    """A node that is Ready, with containerd's images, and neither Multus nor our agent."""
    say("containerd and kubelet")
    vm.make_machine(PROGRAMS, PLUGINS)
    with (
        closing(Api(FOLDER / "admin.kubeconfig", f"https://{SERVICE}")) as api,
        a_node(Node(PROGRAMS, FOLDER, machine.ADDRESS), [], say) as node,
    ):
        cluster = Cluster(api, node)
        cluster.await_node()
        say("the node is Ready")
        yield cluster


def is_multus_first() -> bool:
    """Return whether the node has Multus' configuration; its thin mode writes a .conflist."""
    return any(CONFIGURATIONS.glob(f"{MULTUS_LIST.name}*"))


def offered(rig: rigs.Layout) -> dict[str, tuple[str, ...]]:
    """Return the devices of each resource: one of each PF, and one VF that no pod's kernel has."""
    first, second, third = (tuple(vf.pci for vf in pf.vfs) for pf in rig.pfs)
    return {"pf0": first, "pf1": second[:-1], "pf2": third[:-2], "userspace": third[-2:-1]}


def nodes_own(rig: rigs.Layout) -> tuple[rigs.Vf, rigs.Vf]:
    """Return two VFs, of two PFs, that no device plugin offers."""
    return rig.pfs[1].vfs[-1], rig.pfs[2].vfs[-1]


@pytest.fixture(scope="session")
def device_plugin(bare: Cluster, rig: rigs.Layout) -> Iterator[DevicePlugin]:
    """Our device plugin, whose resources kubelet has."""
    assert bare.node.running
    devices = offered(rig)
    made = DevicePlugin(devices)
    bare.await_devices(device for several in devices.values() for device in several)
    yield made
    made.close()


@pytest.fixture(scope="session")
def cluster(bare: Cluster, device_plugin: DevicePlugin, rig: rigs.Layout) -> Cluster:
    """The node with Multus, our plugin, and a network for each PF's VFs: vf0, vf1, vf2."""
    assert device_plugin.resources
    is_emulated = rig.accel == "tcg"
    bare.api.apply(*objects.multus(PROGRAMS / MANIFESTS[MULTUS], is_emulated=is_emulated))
    bare.await_daemon_set("kube-multus-ds")
    # it has no probe: it is ready before it has looked for the default network
    bare.await_true("Multus is the node's plugin", is_multus_first, clusters.READY_S)
    say(f"Multus is ready, {MULTUS}")
    plugin.install(bare, FOLDER / "manifests", is_emulated=is_emulated)
    say(f"our plugin is ready, {plugin.MODE}")
    if SRIOV_CNI.exists():
        node.add_plugin(SRIOV_CNI)
    say(f"VFs are moved by {MOVER}")
    networks = (objects.vf_network(f"vf{number}", f"pf{number}", MOVER) for number in range(3))
    bare.api.apply(*networks)
    return bare


@pytest.fixture
def clean(cluster: Cluster, rig: rigs.Layout) -> Iterator[Cluster]:
    """The cluster, on which a test leaves nothing behind: no pod, record or lease, all VFs home."""
    yield cluster
    for each in cluster.pods():
        cluster.delete_pod(each["metadata"]["name"])
    nothing: dict[str, list[str]] = {"records": [], "leases": []}
    cluster.await_true("nothing is left", lambda: clusters.left_behind() == nothing, 120)
    vfs = {vf.name for vf in rig.vfs}
    home = lambda: vfs <= {path.name for path in Path("/sys/class/net").iterdir()}  # noqa: E731
    cluster.await_true("all VFs are home", home, 120)
