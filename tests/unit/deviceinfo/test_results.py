import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deviceinfo import (
    UNKNOWN_POD,
    Bus,
    DeviceId,
    DeviceInfoError,
    PodRef,
    Reading,
    Sandbox,
    Source,
    Statement,
    find_sandboxes,
    read_results,
)
from tests.support import samples
from tests.support.garbage import mutated, over_one_folder

PCI = "0000:01:10.0"
NETNS = "/var/run/netns/a"
SAMPLE = samples.NODE.multus_results / f"sriov-a-{samples.SANDBOX.container_id}-net1"


def pci(address: str = PCI) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def an_interface(name: str = "net1", **fields: object) -> dict[str, object]:
    return {"name": name, "sandbox": NETNS, "mac": "02:00:00:00:00:0A", **fields}


def a_cache(  # noqa: PLR0913 - a builder: each argument is one fact, and all have defaults
    folder: Path,
    *,
    network: str = "sriov",
    container_id: str = "a",
    ifname: str = "net1",
    config: object = None,
    interfaces: object = None,
    **fields: object,
) -> Path:
    folder.mkdir(exist_ok=True)
    content = json.dumps({"type": "sriov"} if config is None else config).encode()
    cache = {
        "kind": "cniCacheV1",
        "containerId": container_id,
        "config": base64.b64encode(content).decode(),
        "ifName": ifname,
        "networkName": network,
        "netns": NETNS,
        "cniArgs": [["K8S_POD_NAMESPACE", "apps"], ["K8S_POD_NAME", "one"]],
        "result": {"interfaces": [an_interface(ifname)] if interfaces is None else interfaces},
        **fields,
    }
    (folder / f"{network}-{container_id}-{ifname}").write_text(json.dumps(cache))
    return folder


def read(folder: Path) -> Reading:
    return read_results([folder], "a")


def test_the_results_of_a_real_pod_are_read_and_multus_knows_best() -> None:
    folders = [samples.NODE.multus_results, samples.NODE.results]

    reading = read_results(folders, samples.SANDBOX.container_id)

    assert reading == Reading(
        Source.RESULTS,
        statements=tuple(
            Statement(Source.RESULTS, device=device, network=network, interface=interface, mac=mac)
            for interface, network, mac, device in [
                ("bond0", "bond-net", "86:b1:e2:16:8c:d9", None),
                ("eth0", "default", "8e:5e:b6:f5:9d:31", None),
                ("net1", "default/sriov-a", "86:b1:e2:16:8c:d9", pci("0000:01:10.0")),
                ("net2", "default/sriov-b", "ea:b4:9b:c9:34:85", pci("0000:02:10.0")),
            ]
        ),
    )


def test_the_runtimes_results_of_a_real_pod_are_read_without_loopback() -> None:
    reading = read_results([samples.NODE.results], samples.SANDBOX.container_id)

    assert [(one.network, one.interface) for one in reading.statements] == [
        ("multus-cni-network", "eth0")
    ]


def test_missing_folders_are_an_absent_source(tmp_path: Path) -> None:
    assert read_results([tmp_path / "a", tmp_path / "b"], "a").is_absent
    assert not read_results([tmp_path / "a", tmp_path], "a").is_absent


def test_a_folder_that_is_none_is_reported_and_the_next_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    reading = read_results([tmp_path / "file", a_cache(tmp_path / "results")], "a")

    assert len(reading.statements) == 1
    assert "Not a directory" in reading.problems[0]


@pytest.mark.parametrize(
    ("config", "capability", "result"),
    [
        ({"deviceID": "0000:01:10.2"}, {"deviceID": PCI}, {}),
        ({"deviceID": PCI}, {}, {"interfaces": [an_interface(pciID="0000:01:10.2")]}),
        ({"pciBusID": PCI, "deviceID": []}, None, {"interfaces": []}),
        ({"plugins": [{"deviceID": PCI}, {"deviceID": "0000:01:10.2"}]}, {}, None),
        ({}, {}, {"interfaces": [an_interface(pciID=PCI)]}),
        ({"deviceID": PCI}, {}, {"ip4": {"ip": "192.0.2.1/24"}}),
    ],
)
def test_a_device_is_found_in_the_call_or_the_result(
    tmp_path: Path, config: object, capability: object, result: object
) -> None:
    a_cache(tmp_path, config=config, capabilityArgs=capability, result=result)

    [statement] = read(tmp_path).statements

    assert (statement.device, statement.interface) == (pci(), "net1")


def test_further_interfaces_in_the_container_are_included_without_their_own_file(
    tmp_path: Path,
) -> None:
    others = [an_interface("net1"), an_interface("net3"), {"name": "veth0", "mac": ""}]
    a_cache(tmp_path, network="bond", ifname="bond0", interfaces=[an_interface("bond0"), *others])
    a_cache(tmp_path, config={"deviceID": PCI})

    statements = read(tmp_path).statements

    assert [(one.network, one.interface, one.device) for one in statements] == [
        ("bond", "bond0", None),
        ("sriov", "net1", pci()),
        ("bond", "net3", None),
    ]


@pytest.mark.parametrize(
    ("file", "network"),
    [
        ("other-sriov-a_net1", "other/sriov"),
        ("other-net-a_net1", "other/net"),
        ("apps-sriov-net-a_net1", "sriov"),
        ("default-x-sriov-a_net1", "sriov"),
        ("apps-sriov-b_net1", "sriov"),
        ("x/y", "sriov"),
        ("-" * 100_000 + "-a_net1", "sriov"),
    ],
)
def test_a_network_is_named_in_full_only_where_there_is_no_doubt(
    tmp_path: Path, file: str, network: str
) -> None:
    a_cache(tmp_path, capabilityArgs={"CNIDeviceInfoFile": f"/run/devinfo/cni/{file}"})

    assert read(tmp_path).statements[0].network == network


def test_the_pods_namespace_and_the_name_in_the_configuration_settle_a_doubt(
    tmp_path: Path,
) -> None:
    file = "/run/devinfo/cni/apps-my-net-a_net1"

    a_cache(tmp_path, network="my-net", capabilityArgs={"CNIDeviceInfoFile": file})

    assert read(tmp_path).statements[0].network == "apps/my-net"


def test_the_owner_of_a_file_is_in_its_content(tmp_path: Path) -> None:
    a_cache(tmp_path, network="x-a", container_id="b", ifname="c")
    a_cache(tmp_path, network="x", container_id="a", ifname="b-c")

    assert [one.interface for one in read(tmp_path).statements] == ["b-c"]
    assert [one.interface for one in read_results([tmp_path], "b").statements] == []


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"kind": "other"}, "its kind is not cniCacheV1"),
        ({"kind": None}, "its kind is not cniCacheV1"),
        ({"ifName": "a/b"}, "ifName is 'a/b' instead of the name of an interface"),
        ({"networkName": ""}, "ifName or networkName is missing"),
        ({"config": 7}, "config is 7 instead of a text"),
        ({"config": "x"}, "config is 'x' instead of base64 of a JSON object"),
        ({"capabilityArgs": []}, "capabilityArgs is [] instead of an object"),
        ({"result": 7}, "result is 7 instead of an object"),
        ({"result": {"interfaces": [7]}}, "result.interfaces[0] is 7 instead of an object"),
        ({"result": {"interfaces": [{"sandbox": 7}]}}, "result.interfaces[0].sandbox is 7"),
        ({"result": {"interfaces": [an_interface(mac="x")]}}, "instead of a hardware address"),
    ],
)
def test_a_wrong_file_is_reported_and_the_next_is_read(
    tmp_path: Path, fields: dict[str, object], fault: str
) -> None:
    a_cache(tmp_path)
    file = a_cache(tmp_path, ifname="net0") / "sriov-a-net0"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))

    reading = read(tmp_path)

    assert [one.interface for one in reading.statements] == ["net1"]
    assert fault in reading.problems[0]


def test_a_file_that_is_not_plain_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "x-a-net1").symlink_to(SAMPLE)
    os.mkfifo(tmp_path / "x-a-net2")
    (tmp_path / "x-a-net3").write_bytes(b" " * (4 << 20) + b"{}")

    reading = read(tmp_path)

    assert [text.rpartition(": ")[2] for text in reading.problems] == [
        "Too many levels of symbolic links (a link is not followed)",
        "it is not a plain file",
        "it is larger than 4194304 bytes",
    ]
    assert find_sandboxes([tmp_path]) == ()


@pytest.mark.parametrize("container_id", ["", "../a", "a/b"])
def test_a_container_id_that_cni_forbids_is_refused(tmp_path: Path, container_id: str) -> None:
    with pytest.raises(DeviceInfoError, match="container"):
        read_results([tmp_path], container_id)


def test_a_real_pods_sandbox_is_found() -> None:
    for folders in ([samples.NODE.multus_results, samples.NODE.results], [samples.NODE.results]):
        assert list(find_sandboxes(folders)) == [samples.SANDBOX]


def test_sandboxes_are_found_newest_first_and_once(tmp_path: Path) -> None:
    ids = {"0" * 64: 100, "1" * 64: 300, "short": 200}
    for container_id, written_s in ids.items():
        for ifname in ("net1", "net2"):
            a_cache(tmp_path, container_id=container_id, ifname=ifname)
            os.utime(tmp_path / f"sriov-{container_id}-{ifname}", (written_s, written_s))

    sandboxes = find_sandboxes([tmp_path, tmp_path, tmp_path / "nowhere"])

    assert [one.container_id for one in sandboxes] == ["1" * 64, "short", "0" * 64]
    assert sandboxes[0] == Sandbox(PodRef("apps", "one"), "1" * 64, NETNS)


def test_a_sandbox_is_found_by_its_next_file_where_one_is_broken(tmp_path: Path) -> None:
    a_cache(tmp_path, container_id="0" * 64)
    (tmp_path / f"a-{'0' * 64}-net0").write_text("{")

    assert len(find_sandboxes([tmp_path])) == 1


@pytest.mark.parametrize("args", [None, {}, [7, ["K8S_POD_NAME"], ["K8S_POD_NAME", "\x1b"]]])
def test_a_sandbox_without_arguments_has_no_name(tmp_path: Path, args: object) -> None:
    a_cache(tmp_path, cniArgs=args)

    [sandbox] = find_sandboxes([tmp_path])

    assert sandbox == Sandbox(UNKNOWN_POD, "a", NETNS)


@over_one_folder
@given(content=st.binary(max_size=200) | mutated(SAMPLE))
def test_whatever_a_file_holds_it_is_parsed_or_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SAMPLE.name).write_bytes(content)

    reading = read_results([tmp_path], samples.SANDBOX.container_id)

    assert all(problem.isprintable() for problem in reading.problems)
    assert all(one.network and one.interface for one in reading.statements)
    assert len(find_sandboxes([tmp_path])) <= 1
