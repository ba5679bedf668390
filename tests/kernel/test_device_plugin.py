"""The SR-IOV network device plugin over real VFs: a bond takes the allocated ones."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deviceinfo import Places, PodRef, Sandbox
from sriovbond import records
from sriovbond.bond.config import parse_config
from sriovbond.bond.links import Member
from sriovbond.cli import explanation
from sriovbond.host import Host
from tests.support import device_plugins, movers
from tests.support import kubelet as kubelets
from tests.support.calls import Runtime, a_config
from tests.support.device_plugins import HEALTHY, Allocation, Endpoint, Options
from tests.support.kubelet import Kubelet, a_container
from tests.support.movers import HOST_DEVICE, TAKERS_BACK, Mover
from tests.support.node import Node
from tests.support.pods import Pod
from tests.vm import rig as rigs
from tests.vm.layout import Vf

pytestmark = [pytest.mark.vf, pytest.mark.peer("sriovdp")]

POOLS = {"example.com/pf0": "pf0", "example.com/pf1": "pf1"}
NOTHING_ELSE = Options(pre_start_required=False, preferred_allocation_available=False)
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 60.0
# The plugin's folders cannot be configured, so its /var is that of the test's node.
WITH_VAR = 'mount --bind "$0" /var && exec "$@"'


@dataclass(frozen=True, slots=True)
class Given:
    """A node with a kubelet, and the device plugin that runs on it."""

    node: Node
    kubelet: Kubelet
    plugin: subprocess.Popen[bytes]
    endpoints: Mapping[str, Endpoint]


@contextmanager
def a_node_with_the_plugin() -> Iterator[Given]:
    with ExitStack() as held:
        node = Node(Path(held.enter_context(tempfile.TemporaryDirectory(prefix="n"))))
        folder = node.places.pod_resources.parents[1]
        folder.mkdir(parents=True)
        kubelet = held.enter_context(kubelets.running(folder))
        registry = held.enter_context(device_plugins.registering(folder / "device-plugins"))
        plugin = held.enter_context(running(node))
        await_all(lambda: POOLS.keys() <= registry.endpoints.keys(), plugin, node)
        yield Given(node, kubelet, plugin, registry.endpoints)


@contextmanager
def running(node: Node) -> Iterator[subprocess.Popen[bytes]]:
    """Run the device plugin with a pool for each of two PFs."""
    pools = [a_pool(*pool) for pool in POOLS.items()]
    before = ("unshare", "--mount", "sh", "-c", WITH_VAR, str(node.root / "var"))
    with device_plugins.sriov_plugin(pools, node.root, before) as plugin:
        yield plugin


def a_pool(resource: str, pf: str) -> dict[str, object]:
    selectors = {"drivers": ["igbvf"], "pfNames": [pf]}
    return {"resourceName": resource.partition("/")[2], "selectors": selectors}


def log_of(node: Node) -> Path:
    return node.root / device_plugins.SRIOV_LOG


def await_all(are_there: Callable[[], bool], plugin: subprocess.Popen[bytes], node: Node) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while not are_there():
        is_late = time.monotonic() > deadline or plugin.poll() is not None
        assert not is_late, log_of(node).read_text()
        time.sleep(0.1)


@pytest.fixture(scope="module")
def given() -> Iterator[Given]:
    with a_node_with_the_plugin() as one:
        yield one


def test_the_device_plugin_lists_the_vfs_of_each_pf(given: Given, rig: rigs.Layout) -> None:
    lists = {resource: one.devices for resource, one in given.endpoints.items()}

    assert {one.version for one in given.endpoints.values()} == {"v1beta1"}
    assert {one.options() for one in given.endpoints.values()} == {NOTHING_ELSE}
    listed = {resource: {device.id for device in devices} for resource, devices in lists.items()}
    vfs = {pf.name: {vf.pci for vf in pf.vfs} for pf in rig.pfs}
    assert listed == {resource: vfs[pf] for resource, pf in POOLS.items()}
    assert {device.health for devices in lists.values() for device in devices} == {HEALTHY}


@dataclass(frozen=True, slots=True)
class Allocated:
    """A pod's allocation, one VF of each pool, in the order of the pools."""

    vfs: tuple[Vf, Vf]
    allocations: tuple[Allocation, ...]


@pytest.fixture
def allocated(given: Given, vfs: rigs.Layout) -> Iterator[Allocated]:
    """Allocate VFs to the pod default/nf1, listed by kubelet then."""
    made = allocate(given, vfs)
    devices = [one.of_container() for one in made.allocations]
    given.kubelet.serve(kubelets.a_pod("nf1", {**a_container(), "devices": devices}))
    yield made
    rigs.reset_vfs(*(vf.name for vf in made.vfs))  # SR-IOV CNI's DEL leaves an administrative MAC


def allocate(given: Given, rig: rigs.Layout) -> Allocated:
    pair = rig.pfs[0].vfs[1], rig.pfs[1].vfs[2]
    endpoints = [given.endpoints[resource] for resource in POOLS]
    return Allocated(
        pair,
        tuple(
            endpoint.allocate(next(one for one in endpoint.devices if one.id == vf.pci))
            for endpoint, vf in zip(endpoints, pair, strict=True)
        ),
    )


@pytest.fixture
def runtime(given: Given, host: Host, pod: Pod) -> Runtime:
    """Return a runtime that calls for default/nf1, on a host with SR-IOV CNI's real cache."""
    places = replace(given.node.places, sriov_cni=Places().sriov_cni)
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nf1"
    return Runtime(replace(host, places=places), pod, environment={"CNI_ARGS": args})


@pytest.mark.parametrize("mover", TAKERS_BACK)
def test_a_bond_takes_the_vfs_that_the_device_plugin_allocated(
    given: Given, allocated: Allocated, runtime: Runtime, mover: Mover
) -> None:
    config = a_config(links=[{"resource": resource} for resource in reversed(POOLS)])
    before = [movers.at_home(vf) for vf in allocated.vfs]

    with moved(allocated.vfs, runtime.pod, mover):
        explained = explain(runtime, config)
        runtime.add(config).ok()
        taken = members(runtime)
        runtime.delete(config).ok()

    cache = () if mover is HOST_DEVICE else ("SR-IOV CNI's cache",)
    sources = ("kubelet", *cache, "device-info")
    one, other = zip((vf.pci for vf in allocated.vfs), POOLS, strict=True)
    assert taken == [("net2", *other, sources), ("net1", *one, sources)]
    assert explained == taken
    assert given.kubelet.methods() == ["Get", "Get"]
    assert [movers.at_home(vf) for vf in allocated.vfs] == before


@contextmanager
def moved(vfs: tuple[Vf, ...], pod: Pod, mover: Mover) -> Iterator[None]:
    """Let the mover move the VFs into the pod, and out again."""
    for number, vf in enumerate(vfs, start=1):
        mover.add(pod, f"net{number}", vf)
    yield
    for number, vf in enumerate(vfs, start=1):
        mover.delete(pod, f"net{number}", vf).ok()


def members(runtime: Runtime) -> list[tuple[object, ...]]:
    """Return the record's members: name, device, resource, and the sources of the allocation."""
    record = records.read(runtime.host, runtime.pod.key(runtime.ifname))
    assert record is not None
    assert record.plan is not None
    return [described(one) for one in record.plan.members]


def explain(runtime: Runtime, config: Mapping[str, object]) -> list[tuple[object, ...]]:
    """Return the members that `explain` would take, in the same form."""
    ref = PodRef("default", "nf1")
    sandbox = Sandbox(ref, runtime.pod.container_id, runtime.pod.path)
    told = explanation.explain(runtime.host, sandbox, parse_config(config), "sriovbond")
    subjects = [one.subject for one in told.verdicts if one.is_taken]
    return [described(one) for one in subjects if isinstance(one, Member)]


def described(member: Member) -> tuple[object, ...]:
    given = member.allocation
    return member.name, member.device, given.resource, given.sources


def test_the_device_plugin_writes_allocations_for_container_and_node(
    given: Given, allocated: Allocated
) -> None:
    told = [one.environment for one in allocated.allocations]
    files = written(given.node)

    addresses = [vf.pci for vf in allocated.vfs]
    keys = ("PCIDEVICE_EXAMPLE_COM_PF0", "PCIDEVICE_EXAMPLE_COM_PF1")
    assert [one[key] for one, key in zip(told, keys, strict=True)] == addresses
    names = [f"example.com-pf{number}-{pci}-device.json" for number, pci in enumerate(addresses)]
    assert [files[name]["pci"]["pci-address"] for name in names] == addresses
    assert len(files) == len(names)


def written(node: Node) -> dict[str, Any]:
    """Return the device-info files of the device plugin."""
    return {file.name: json.loads(file.read_text()) for file in node.devinfo_dp.iterdir()}


def test_a_device_plugin_that_ends_takes_its_files_along(rig: rigs.Layout) -> None:
    with a_node_with_the_plugin() as given:
        allocate(given, rig)
        assert written(given.node)

        given.plugin.terminate()
        status = given.plugin.wait(ENDS_WITHIN_S)

        assert status == 0, log_of(given.node).read_text()
        assert written(given.node) == {}
        assert not any(one.socket.exists() for one in given.endpoints.values())
