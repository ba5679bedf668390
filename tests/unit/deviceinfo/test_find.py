"""The merge: several sources' statements on one pod, in agreement and not."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deviceinfo import (
    Bus,
    Claim,
    DeviceId,
    DeviceKind,
    NetworkRequest,
    PodDevices,
    PodRef,
    Reading,
    Sandbox,
    Search,
    Source,
    Statement,
    find_devices,
)
from tests.support import kubelet
from tests.support.counting import counted_calls
from tests.support.node import Node, Pod, Vf, a_node
from tests.support.sysfs import a_vf

REF = PodRef("default", "nf1", "a7a12eba-d958-461a-bb10-d6271ffea285")
POD = Sandbox(REF, "57fe", "/run/netns/x")
ONE, TWO = DeviceId(Bus.PCI, "0000:01:10.0"), DeviceId(Bus.PCI, "0000:02:10.0")


def found(folder: Path, *readings: Reading, pod: Sandbox = POD) -> PodDevices:
    places = replace(Node(folder / "none").places, sysfs=folder)
    return find_devices(pod, places, *readings)


def said(source: Source, *statements: Statement, **facts: object) -> Reading:
    return Reading(source, tuple(replace(one, source=source) for one in statements), **facts)  # type: ignore[arg-type]


def on(device: DeviceId | None = ONE, **facts: object) -> Statement:
    return Statement(Source.API, device, **facts)  # type: ignore[arg-type]


def test_statements_of_all_sources_on_a_device_are_merged(tmp_path: Path) -> None:
    a_vf(tmp_path, ONE.address, driver="igbvf", numa_node=1)

    devices = found(
        tmp_path,
        said(Source.NAMESPACE, on(interface="net1")),
        said(Source.RESULTS, on(interface="net1", network="sriov-a")),
        said(Source.MULTUS, on(network="default/sriov-a", resource="rig.io/pf0")),
        said(Source.KUBELET, on(resource="rig.io/pf0", container="app", numa_node=1)),
    )

    (device,) = devices.devices
    assert (device.resource, device.network, device.container, device.interface) == (
        "rig.io/pf0",
        "default/sriov-a",
        "app",
        "net1",
    )
    assert device.device is not None
    assert device.device.driver == "igbvf"
    assert device.sources == (Source.KUBELET, Source.MULTUS, Source.RESULTS)
    assert [one.source for one in device.statements] == [
        Source.KUBELET,
        Source.MULTUS,
        Source.RESULTS,
        Source.SYSFS,
        Source.NAMESPACE,
    ]
    assert devices.disagreements == ()
    assert devices.is_known
    assert devices.get(ONE.address) is device


def calls_of(folder: Path, count: int) -> int:
    """Return how many Python calls it takes to merge as many devices and loose networks."""
    texts = [f"{number:04x}:01:10.0" for number in range(count)]
    devices = [on(DeviceId(Bus.PCI, text), network=f"with/{text}") for text in texts]
    loose = [on(None, network=f"without/{text}", resource=text) for text in texts]
    readings = (said(Source.MULTUS, *devices), said(Source.RESULTS, *loose))
    with counted_calls() as calls:
        merged = found(folder, *readings)
    assert (len(merged.devices), len(merged.loose)) == (count, count)
    return calls["call"]


def test_twice_as_many_networks_are_merged_in_twice_as_many_calls(tmp_path: Path) -> None:
    """A pod may ask for thousands, and Multus lists all of them."""
    few, many = calls_of(tmp_path, 100), calls_of(tmp_path, 200)

    assert many < 2.2 * few


def test_without_any_source_the_namespace_counts(tmp_path: Path) -> None:
    devices = found(tmp_path, said(Source.NAMESPACE, on(interface="net1")))

    assert not devices.is_known
    assert [(one.id, one.interface, one.sources) for one in devices.devices] == [(ONE, "net1", ())]
    assert all(one.is_absent for one in devices.readings if one.source is not Source.NAMESPACE)


def test_a_statement_on_an_interface_gets_the_device_that_is_there(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.NAMESPACE, on(interface="net1"), on(TWO, interface="net2")),
        said(Source.MULTUS, on(None, interface="net2", network="default/sriov-b")),
    )

    assert [(one.id, one.network) for one in devices.devices] == [
        (ONE, None),
        (TWO, "default/sriov-b"),
    ]
    assert devices.loose == ()


def test_a_statement_on_a_network_gets_the_device_that_another_names(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.DEVICE_INFO, on(network="default/sriov-a", interface="net1")),
        said(Source.API, on(None, network="default/sriov-a", resource="rig.io/pf0")),
    )

    assert [one.resource for one in devices.devices] == ["rig.io/pf0"]


def test_networks_of_one_resource_get_its_devices_in_the_order_of_multus(tmp_path: Path) -> None:
    ids = [DeviceId(Bus.PCI, f"0000:01:10.{number}") for number in (4, 2, 0)]

    devices = found(
        tmp_path,
        said(Source.KUBELET, *(on(one, resource="rig.io/pf0", container="app") for one in ids)),
        said(
            Source.API,
            *(on(None, network=f"default/{name}", resource="rig.io/pf0") for name in "cab"),
        ),
    )

    assert [(one.id.address[-1], one.network) for one in devices.devices] == [
        ("0", "default/c"),
        ("2", "default/a"),
        ("4", "default/b"),
    ]


def test_a_network_that_cannot_be_tied_to_one_device_stays_loose(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.KUBELET, on(resource="rig.io/pf0"), on(TWO, resource="rig.io/pf0")),
        said(Source.MULTUS, on(None, network="default/a", resource="rig.io/pf0")),
    )

    assert [one.network for one in devices.devices] == [None, None]
    assert [one.network for one in devices.loose] == ["default/a"]


def test_the_last_sources_are_queried_only_where_a_networks_device_is_missing(
    tmp_path: Path,
) -> None:
    asked: list[PodRef] = []

    def api(pod: PodRef) -> Reading:
        asked.append(pod)
        return said(Source.API, on(network="default/a", interface="net1"))

    loose = said(Source.MULTUS, on(None, network="default/a", resource="rig.io/pf0"))
    socket = said(Source.DEVICE_INFO, on(None, network="default/fast", kind=DeviceKind.MEMIF))
    places = replace(Node(tmp_path).places, sysfs=tmp_path)

    Search(POD, places).conclude(socket, if_networks_lack_devices=[api])
    assert asked == []

    devices = Search(POD, places).conclude(loose, if_networks_lack_devices=[api])
    assert asked == [REF]
    assert [(one.id, one.resource) for one in devices.devices] == [(ONE, "rig.io/pf0")]


def test_a_source_that_fails_is_a_problem_and_no_more(tmp_path: Path) -> None:
    def api(_: PodRef) -> Reading:
        raise RuntimeError("boom")

    loose = said(Source.MULTUS, on(None, network="default/a", resource="rig.io/pf0"))
    places = replace(Node(tmp_path).places, sysfs=tmp_path)

    devices = Search(POD, places).conclude(loose, if_networks_lack_devices=[api])

    assert devices.problems == ("cannot ask Kubernetes API: RuntimeError: boom",)


def test_another_pod_with_our_device_is_a_claim_beside_ours(tmp_path: Path) -> None:
    claim = Claim(Source.KUBELET, ONE, "default/nf2")

    devices = found(tmp_path, said(Source.KUBELET, on(resource="rig.io/pf0"), claims=(claim,)))

    assert devices.devices[0].sources == (Source.KUBELET,)
    assert devices.devices[0].claims == (claim,)
    assert devices.disagreements == ()


def test_pods_of_one_name_are_distinguished_by_the_checkpoint(tmp_path: Path) -> None:
    kubelet = said(Source.KUBELET, on(), on(TWO), is_ambiguous=True)
    checkpoint = said(
        Source.CHECKPOINT, on(), claims=(Claim(Source.CHECKPOINT, TWO, "pod UID other"),)
    )

    assert [one.id for one in found(tmp_path, kubelet).devices] == [ONE, TWO]
    assert [one.id for one in found(tmp_path, kubelet, checkpoint).devices] == [ONE]


# Two contradictory statements that each source can make of one device.
SAYINGS: dict[Source, dict[str, tuple[object, object]]] = {
    Source.KUBELET: {"resource": ("a/x", "a/y"), "container": ("c1", "c2"), "numa_node": (0, 1)},
    Source.CHECKPOINT: {"resource": ("a/x", "a/y"), "container": ("c1", "c2"), "numa_node": (0, 1)},
    Source.SRIOV_CNI: {"interface": ("net1", "net2")},
    Source.DEVICE_INFO: {
        "network": ("ns/a", "ns/b"),
        "interface": ("net1", "net2"),
        "kind": (DeviceKind.PCI, DeviceKind.VDPA),
        "pf": (ONE, TWO),
    },
    Source.MULTUS: {
        "network": ("ns/a", "ns/b"),
        "interface": ("net1", "net2"),
        "resource": ("a/x", "a/y"),
    },
    Source.RESULTS: {"network": ("ns/a", "ns/b"), "interface": ("net1", "net2")},
    Source.API: {
        "network": ("ns/a", "ns/b"),
        "interface": ("net1", "net2"),
        "resource": ("a/x", "a/y"),
        "kind": (DeviceKind.PCI, DeviceKind.VDPA),
        "pf": (ONE, TWO),
    },
    Source.SYSFS: {
        "kind": (DeviceKind.PCI, DeviceKind.VDPA),
        "pf": (ONE, TWO),
        "numa_node": (0, 1),
    },
    Source.NAMESPACE: {"interface": ("net1", "net2")},
}
PAIRS = [
    (first, second, field)
    for first, second in combinations(SAYINGS, 2)
    for field in SAYINGS[first]
    if field in SAYINGS[second]
]


@pytest.mark.parametrize(("first", "second", "field"), PAIRS)
def test_each_pair_of_sources_that_disagrees_is_reported(
    tmp_path: Path, first: Source, second: Source, field: str
) -> None:
    one, other = SAYINGS[first][field][0], SAYINGS[second][field][1]
    same = SAYINGS[second][field][0]

    apart = found(
        tmp_path, said(first, on(ONE, **{field: one})), said(second, on(ONE, **{field: other}))
    )
    agreed = found(
        tmp_path, said(first, on(ONE, **{field: one})), said(second, on(ONE, **{field: same}))
    )

    assert [str(told) for told in apart.disagreements if told.field == field] == [
        f"the sources disagree about {ONE}: {field} is {one}, says {first}; {other}, says {second}"
    ]
    assert [told for told in agreed.disagreements if told.field == field] == []


WHO_NAME_INTERFACES = [source for source, facts in SAYINGS.items() if "interface" in facts]


@pytest.mark.parametrize(("first", "second"), list(combinations(WHO_NAME_INTERFACES, 2)))
def test_two_devices_for_one_interface_are_reported(
    tmp_path: Path, first: Source, second: Source
) -> None:
    devices = found(
        tmp_path, said(first, on(interface="net1")), said(second, on(TWO, interface="net1"))
    )

    assert [one.said for one in devices.disagreements if one.about == "net1"] == [
        ((first, str(ONE)), (second, str(TWO)))
    ]


@pytest.mark.parametrize(
    ("knowing", "other"),
    [
        (knowing, other)
        for knowing in (Source.KUBELET, Source.CHECKPOINT)
        for other in Source
        if other not in (knowing, Source.SYSFS, Source.NAMESPACE)
    ],
)
def test_a_device_that_kubelet_does_not_know_of_is_reported(
    tmp_path: Path, knowing: Source, other: Source
) -> None:
    ours = on(resource="a/x")
    devices = found(tmp_path, said(knowing, on(TWO)), said(other, ours, on(TWO)))

    (told,) = devices.disagreements
    assert str(told) == (
        f"the sources disagree about {ONE}: it is the pod's, says {other}; "
        f"not the pod's, says {knowing}"
    )


def test_a_device_of_no_resource_may_be_unknown_to_kubelet(tmp_path: Path) -> None:
    """As one that a network names itself (host-device), beside a plugin's allocation."""
    devices = found(
        tmp_path,
        said(Source.KUBELET, on(TWO, resource="example.com/qat")),
        said(Source.RESULTS, on(interface="net1")),
    )

    assert devices.disagreements == ()


def test_a_network_may_be_named_otherwise_in_its_configuration(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.MULTUS, on(network="default/sriov-a")),
        said(Source.RESULTS, on(network="network-of-a")),
    )

    assert devices.disagreements == ()


def test_one_source_may_name_several_containers_and_interfaces(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.CHECKPOINT, on(container="init"), on(container="app")),
        said(Source.KUBELET, on(container="app")),
        said(Source.NAMESPACE, on(interface="net1"), on(interface="net2")),
    )

    assert devices.disagreements == ()


@pytest.mark.parametrize(
    ("ours", "is_foreign"),
    [
        ((Source.KUBELET, TWO), True),
        ((Source.KUBELET, ONE), False),
        ((Source.CHECKPOINT, TWO), True),
        ((Source.RESULTS, ONE), False),
    ],
)
def test_a_device_is_foreign_where_kubelet_knows_our_pod_and_gave_it_to_another(
    tmp_path: Path,
    ours: tuple[Source, DeviceId],
    is_foreign: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """CNI caches only repeat what the network said, which anybody may have written."""
    source, device = ours
    claim = Claim(Source.KUBELET, ONE, "default/nf2")

    devices = found(
        tmp_path,
        said(source, on(device, interface="net1")),
        said(Source.SRIOV_CNI, on(ONE, interface="net1"), claims=(claim,)),
    )

    one = devices.get(ONE.address)
    assert one is not None
    assert devices.is_foreign(one) is is_foreign


@pytest.mark.parametrize("is_running", [True, False])
def test_a_pod_of_the_checkpoint_that_kubelet_no_longer_lists_has_no_device(
    tmp_path: Path,
    is_running: bool,  # noqa: FBT001 - whether the other pod has not ended
) -> None:
    """Kubelet's checkpoint has an ended pod until kubelet allocates again."""
    node = a_node(tmp_path, [Pod("nf2", (Vf(ONE.address),))])
    container = kubelet.a_container(pf0=ONE.address)
    others = [kubelet.a_pod("nf2", container)] if is_running else []

    with TemporaryDirectory() as folder, kubelet.running(Path(folder)) as played:
        played.serve(kubelet.a_pod("nf1"), *others)
        places = replace(node.places, pod_resources=played.socket, sysfs=tmp_path)
        seen = said(Source.NAMESPACE, on(interface="net1"))
        devices = find_devices(Sandbox(REF), places, seen, kubelet_timeout_s=60)

    (one,) = devices.devices
    assert devices.is_foreign(one) is is_running
    assert bool(one.claims) is is_running


def test_a_place_that_may_not_be_looked_at_is_a_problem(tmp_path: Path) -> None:
    places = replace(Node(tmp_path).places, pod_resources=tmp_path / ("x" * 300), sysfs=tmp_path)

    devices = find_devices(POD, places)

    assert any("kubelet" in problem for problem in devices.problems)


def test_sysfs_is_read_for_devices_that_another_source_names(tmp_path: Path) -> None:
    a_vf(tmp_path, ONE.address, numa_node=1)

    devices = found(tmp_path, said(Source.KUBELET, on(numa_node=0)))

    assert [str(one) for one in devices.disagreements] == [
        f"the sources disagree about {ONE}: numa_node is 0, says kubelet; 1, says sysfs"
    ]


def test_the_resource_of_a_claim_contradicts_nothing(tmp_path: Path) -> None:
    devices = found(
        tmp_path,
        said(Source.KUBELET, on(resource="claim default/two-vfs")),
        said(Source.CHECKPOINT, on(TWO, resource="rig.io/pf1")),
        said(Source.MULTUS, on(resource="rig.io/pf0")),
    )

    assert [one.about for one in devices.disagreements] == [str(TWO)]


def test_the_networks_are_those_of_the_first_source_that_lists_them(tmp_path: Path) -> None:
    network = NetworkRequest("default/sriov-a", "net1", "sriov", "rig.io/pf0", ONE, {})

    devices = found(
        tmp_path,
        said(Source.MULTUS, networks=(network,)),
        said(Source.API, networks=(replace(network, network="other"),)),
    )

    assert devices.networks == (network,)
