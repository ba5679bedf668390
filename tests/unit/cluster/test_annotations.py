import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deviceinfo import Bus, DeviceId, DeviceKind, PodRef, Source, Statement
from deviceinfo.jsonfile import Fields
from deviceinfo.plainfile import UnreadableError
from sriovbond.cluster.annotations import (
    MOST_NETWORKS,
    Definition,
    Selection,
    are_names,
    parse_networks,
    parse_status,
    read_definition,
    read_pod,
)
from tests.support import cluster_api

NF1 = PodRef("default", "nf1")
VF = DeviceId(Bus.PCI, "0000:01:10.0")
PF = DeviceId(Bus.PCI, "0000:01:00.0")
NETWORKS = "k8s.v1.cni.cncf.io/networks"
STATUS = "k8s.v1.cni.cncf.io/network-status"


def a_pod(uid: str, **annotations: object) -> Fields:
    return Fields({"metadata": {"uid": uid, "annotations": annotations}})


def annotated(annotations: dict[str, object]) -> Fields:
    return Fields({"metadata": {"annotations": annotations}})


def a_definition(config: object, resource: object = None) -> Fields:
    annotations = {"k8s.v1.cni.cncf.io/resourceName": resource}
    return Fields({"metadata": {"annotations": annotations}, "spec": {"config": config}})


def a_status(**entry: object) -> str:
    return json.dumps([{key.replace("_", "-"): value for key, value in entry.items()}])


def test_a_recorded_pod_is_read_with_its_networks_and_their_status() -> None:
    facts = read_pod(Fields(cluster_api.recorded_pod()), NF1)

    assert facts.problems == ()
    assert facts.selections == (
        Selection("default", "sriov-a"),
        Selection("default", "sriov-b"),
        Selection("default", "bond-net", "bond0"),
    )
    of_eth0, of_net1, _, of_bond0 = facts.statuses
    assert of_net1 == Statement(
        Source.API,
        device=VF,
        network="default/sriov-a",
        interface="net1",
        kind=DeviceKind.PCI,
        mac="86:b1:e2:16:8c:d9",
    )
    assert (of_eth0.network, of_eth0.interface) == (None, "eth0")
    assert (of_bond0.network, of_bond0.device) == ("default/bond-net", None)


def test_a_pod_without_annotations_says_nothing() -> None:
    for pod in (Fields({}), Fields({"metadata": {"annotations": {}}})):
        facts = read_pod(pod, NF1)

        assert (facts.selections, facts.statuses, facts.problems) == ((), (), ())


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("a", Selection("default", "a")),
        (" other/a@net7 ", Selection("other", "a", "net7")),
        ("a@bond0", Selection("default", "a", "bond0")),
        ('[{"name": "a"}]', Selection("default", "a")),
        ('[{"name": "a.b", "namespace": "other"}]', Selection("other", "a.b")),
        (
            '[{"name": "a", "interface": "x", "deviceID": "0000:01:10.0", "ips": [], "mac": ""}]',
            Selection("default", "a", "x", VF),
        ),
        ('[{"name": "a", "deviceID": "GPU-1"}]', Selection("default", "a")),
    ],
)
def test_both_forms_of_a_network_are_read(annotation: str, expected: Selection) -> None:
    assert parse_networks(annotation, "default") == (expected,)


@pytest.mark.parametrize("annotation", ["", "[]"])
def test_no_network_is_no_fault(annotation: str) -> None:
    assert parse_networks(annotation, "default") == ()


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        ("a,", "'default/' is not the name of a network"),
        ("a,,b", "'default/' is not the name of a network"),
        ("A", "'default/A' is not the name of a network"),
        ("/a", "'/a' is not the name of a network"),
        ("a/b/c", "'a/b/c' is not the name of a network"),
        ("../a", "'../a' is not the name of a network"),
        ("..", "'default/..' is not the name of a network"),
        ("a\nb", r"'default/a\nb' is not the name of a network"),
        ("a@", "'a@' does not end in the name of an interface"),
        ("a@b@c/", "not the name of a network"),
        ("a@0123456789abcdef", "does not end in the name of an interface"),
        ("[", "it is not JSON"),
        ("[" * 40_000, "it is not JSON"),
        ('{"name": "a"}', "it is JSON, but dict instead of a list"),
        ('"a"', "it is JSON, but str instead of a list"),
        ('["a"]', "[0] is 'a' instead of an object"),
        ("[{}]", "'default/' is not the name of a network"),
        ('[{"name": "a"}, {"name": "a", "interface": 1}]', "[1].interface is 1 instead of a text"),
        ('[{"name": "../../pods/x"}]', "is not the name of a network"),
        ('[{"name": "a", "namespace": ".."}]', "'../a' is not the name of a network"),
        ('[{"name": "a", "deviceID": []}]', "[0].deviceID is [] instead of a text"),
        (json.dumps([{"name": "a"}] * 33), "it has more than 32 entries"),
        (",".join(["a"] * 33), "it has more than 32 entries"),
    ],
)
def test_a_malformed_list_of_networks_is_refused_as_a_whole(annotation: str, fault: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        parse_networks(annotation, "default")

    assert fault in str(raised.value)


def test_as_many_networks_as_are_allowed_are_read_in_order() -> None:
    names = [f"n{number}" for number in range(MOST_NETWORKS)]

    found = parse_networks(",".join(names), "default")

    assert [one.name for one in found] == names


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (
            {
                "type": "pci",
                "pci": {
                    "pci-address": "0000:01:10.0",
                    "pf-pci-address": "0000:01:00.0",
                    "rdma-device": "mlx5_2",
                    "vhost-net": "/dev/vhost-net",
                },
            },
            {
                "kind": DeviceKind.PCI,
                "device": VF,
                "pf": PF,
                "rdma": "mlx5_2",
                "details": "vhost-net /dev/vhost-net",
            },
        ),
        (
            {
                "type": "vdpa",
                "vdpa": {"driver": "vhost", "path": "/dev/v0", "pci-address": "0000:01:10.0"},
            },
            {"kind": DeviceKind.VDPA, "device": VF, "details": "driver vhost, path /dev/v0"},
        ),
        (
            {"type": "vhost-user", "vhost-user": {"mode": "client", "path": "/s"}},
            {"kind": DeviceKind.VHOST_USER, "details": "mode client, path /s"},
        ),
        (
            {"type": "memif", "memif": {"role": "master", "path": "/s", "mode": "ip"}},
            {"kind": DeviceKind.MEMIF, "details": "role master, mode ip, path /s"},
        ),
        ({}, {}),
    ],
)
def test_each_kind_of_device_is_read(info: dict[str, object], expected: dict[str, object]) -> None:
    info = {"version": "1.1.0", **info} if info else {}
    annotation = a_status(
        name="default/a", interface="net1", mac="02:00:00:00:00:AA", device_info=info
    )

    [statement] = parse_status(annotation)

    plain = Statement(Source.API, network="default/a", interface="net1", mac="02:00:00:00:00:aa")
    assert statement == replace(plain, **expected)  # type: ignore[arg-type] # by field


@pytest.mark.parametrize(
    ("annotation", "fault"),
    [
        ("{", "it is not JSON"),
        ("{}7", "it is not JSON"),
        ("7", "it is JSON, but int instead of a list"),
        ("[7]", "[0] is 7 instead of an object"),
        (a_status(name=7), "[0].name is 7 instead of a text"),
        (a_status(interface="a/b"), "[0].interface is 'a/b' instead of the name of an interface"),
        (a_status(mac="02"), "[0].mac is '02' instead of a hardware address"),
        (a_status(device_info=[]), "[0].device-info is [] instead of an object"),
        (
            a_status(device_info={"version": "1.1.0", "type": "gpu"}),
            "its type is 'gpu', not one of",
        ),
        (a_status(device_info={"version": "2.0.0"}), "its version is '2.0.0'"),
        (
            a_status(device_info={"version": "1.1.0", "type": "pci", "pci": {"pci-address": "x"}}),
            "[0].device-info.pci.pci-address is 'x' instead of a PCI address",
        ),
        (json.dumps([{}] * 257), "it has more than 256 entries"),
    ],
)
def test_a_malformed_status_is_refused_as_a_whole(annotation: str, fault: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        parse_status(annotation)

    assert fault in str(raised.value)


def test_one_malformed_annotation_leaves_the_other() -> None:
    status = a_status(name="default/a", interface="net1")

    of_status = read_pod(annotated({NETWORKS: "A", STATUS: status}), NF1)
    of_networks = read_pod(annotated({NETWORKS: "a", STATUS: "A"}), NF1)

    assert (len(of_status.statuses), of_status.selections) == (1, ())
    assert (len(of_networks.selections), of_networks.statuses) == (1, ())
    assert of_status.problems[0].startswith(f"annotation {NETWORKS}: 'default/A' is not")
    assert of_networks.problems[0].startswith(f"annotation {STATUS}: it is not JSON")


def test_all_faults_of_a_status_are_reported_at_once() -> None:
    with pytest.raises(UnreadableError) as raised:
        parse_status(json.dumps([{"name": 7, "interface": 7, "mac": 7}] * 256))

    assert str(raised.value) == (
        "entry[0].name is 7 instead of a text; entry[0].interface is 7 instead of a text;"
        " entry[0].mac is 7 instead of a text"
    )


@pytest.mark.parametrize("pod", [{"metadata": 7}, {"metadata": {"annotations": "x"}}])
def test_an_object_of_the_wrong_shape_is_a_problem(pod: dict[str, object]) -> None:
    facts = read_pod(Fields(pod), NF1)

    assert "instead of an object" in facts.problems[0]


@pytest.mark.parametrize("asked", ["", "u1"])
@pytest.mark.parametrize("found", ["", "u1"])
def test_a_pod_of_the_same_uid_or_of_none_is_the_pod(asked: str, found: str) -> None:
    assert read_pod(a_pod(uid=found), NF1._replace(uid=asked)).problems == ()


def test_the_mirror_of_a_static_pod_is_the_pod() -> None:
    mirror = a_pod(uid="u1", **{"kubernetes.io/config.hash": "u0"})

    assert read_pod(mirror, NF1._replace(uid="u0")).problems == ()


def test_another_pod_of_this_name_is_refused() -> None:
    with pytest.raises(UnreadableError, match="another pod of this name, 'u1', not 'u2'"):
        read_pod(a_pod(uid="u1"), NF1._replace(uid="u2"))


def test_a_definition_says_its_resource_and_its_first_plugin() -> None:
    first: dict[str, object] = {"type": "sriov", "trust": "on"}
    second = {"type": "tuning"}

    alone = read_definition(a_definition(json.dumps(first), resource="rig.io/pf0"))
    whole: dict[str, object] = {"name": "n", "plugins": [first, second]}
    listed = read_definition(a_definition(json.dumps(whole)))

    assert alone == Definition("sriov", "rig.io/pf0", None, first)
    assert listed == Definition("sriov", None, None, whole)


def test_a_definition_may_name_its_device() -> None:
    found = read_definition(a_definition('{"type": "host-device", "pciBusID": "0000:01:10.0"}'))

    assert found.device == VF


def test_a_definition_may_leave_its_plugin_to_the_nodes_disk() -> None:
    assert read_definition(Fields({"metadata": {"name": "n"}})) == Definition()


@pytest.mark.parametrize(
    ("config", "resource", "fault"),
    [
        ("{", None, "spec.config: it is not JSON"),
        ("[]", None, "spec.config: it is JSON, but list instead of an object"),
        ('{"plugins": 7}', None, "spec.config: plugins is 7 instead of a list"),
        ('{"plugins": [7]}', None, "spec.config: plugins[0] is 7 instead of an object"),
        ('{"plugins": [{"type": 7}]}', None, "plugins[0].type is 7 instead of a text"),
        ('{"type": 7}', None, "spec.config: type is 7 instead of a text"),
        ({}, None, "spec.config is {} instead of a text"),
        ('{"type": "sriov"}', ["x"], "resourceName is ['x'] instead of a text"),
    ],
)
def test_a_malformed_definition_is_reported(config: object, resource: object, fault: str) -> None:
    with pytest.raises(UnreadableError) as raised:
        read_definition(a_definition(config, resource=resource))

    assert fault in str(raised.value)


@pytest.mark.parametrize(
    ("namespace", "name"),
    [
        *[("", "a"), ("..", "a"), ("a.b", "a"), ("a" * 64, "a")],
        *[("a", ""), ("a", ".."), ("a", "a/b"), ("a", "a\n"), ("a", "a" * 254)],
        *[("a", "a..b"), ("a", "-a"), ("a", "%2e"), ("a", "é")],
    ],
)
def test_a_text_that_leads_elsewhere_in_an_url_is_no_name(namespace: str, name: str) -> None:
    assert not are_names(namespace, name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    "name namespace interface deviceID mac device-info type pci pci-address plugins config"
    f" metadata annotations spec {NETWORKS} {STATUS}".split()
)
GOOD = st.sampled_from(["a", "default/a", "net1", "pci", "0000:01:10.0", "02:00:00:00:00:01"])
LIKELY = st.recursive(
    JSON | GOOD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.text() | LIKELY.map(json.dumps) | st.text(alphabet='a/@,. -[{"\n', max_size=12)
within_time = settings(deadline=5000)


@within_time
@given(text=TEXTS)
def test_whatever_an_annotation_says_it_is_read_or_refused_in_plain_words(text: str) -> None:
    facts = read_pod(annotated({NETWORKS: text, STATUS: text}), NF1)

    assert all(are_names(one.namespace, one.name) for one in facts.selections)
    assert all(problem.isprintable() for problem in facts.problems)


@within_time
@given(thing=st.dictionaries(KEYS, LIKELY))
def test_whatever_an_object_is_it_is_read_or_refused_in_plain_words(
    thing: dict[str, object],
) -> None:
    problems = list(read_pod(Fields({"metadata": thing}), NF1).problems)
    try:
        read_definition(Fields({"metadata": thing, "spec": thing}))
    except UnreadableError as error:
        problems.append(str(error))

    assert all(problem.isprintable() for problem in problems)


@pytest.mark.parametrize("text", ["a," * 500_000, "[" + "{}," * 500_000 + "{}]", "a@" * 500_000])
def test_a_giant_annotation_is_refused_in_few_words(text: str) -> None:
    facts = read_pod(annotated({NETWORKS: text, STATUS: text}), NF1)

    assert (facts.selections, facts.statuses) == ((), ())
    assert all(len(problem) < 300 for problem in facts.problems)
