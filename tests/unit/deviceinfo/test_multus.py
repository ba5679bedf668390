import base64
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deviceinfo import (
    Bus,
    DeviceId,
    DeviceInfoError,
    Reading,
    Source,
    Statement,
    read_scratch,
)
from deviceinfo.jsonfile import ELEMENTS
from tests.support import samples
from tests.support.garbage import mutated, over_one_folder
from tests.support.memory import traced

PCI = "0000:01:10.0"
SAMPLE = samples.NODE.multus / samples.SANDBOX.container_id


def pci(address: str = PCI) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def a_delegate(config: object = None, **fields: object) -> dict[str, object]:
    content = {"name": "n", "type": "sriov"} if config is None else config
    packed = base64.b64encode(json.dumps(content).encode()).decode()
    return {"Name": "default/n", "Bytes": packed, **fields}


def reading_of(folder: Path, *delegates: object) -> Reading:
    (folder / "a").write_text(json.dumps(delegates))
    return read_scratch(folder, "a")


def test_the_networks_of_a_real_pod_are_read_in_order() -> None:
    reading = read_scratch(samples.NODE.multus, samples.SANDBOX.container_id)

    assert reading.problems == ()
    assert [(one.network, one.interface, one.plugin) for one in reading.networks] == [
        ("default", "", "bridge"),
        ("default/sriov-a", "", "sriov"),
        ("default/sriov-b", "", "sriov"),
        ("default/bond-net", "bond0", "bond"),
    ]
    assert [(one.resource, one.device) for one in reading.networks[1:3]] == [
        ("rig.io/pf0", pci("0000:01:10.0")),
        ("rig.io/pf1", pci("0000:02:10.0")),
    ]
    assert reading.networks[3].config["links"] == [{"name": "net1"}, {"name": "net2"}]


def test_the_devices_of_a_real_pod_are_read() -> None:
    reading = read_scratch(samples.NODE.multus, samples.SANDBOX.container_id)

    assert reading.statements == tuple(
        Statement(
            Source.MULTUS,
            device=pci(address),
            resource=resource,
            network=network,
            interface=interface,
        )
        for address, resource, network, interface in [
            ("0000:01:10.0", "rig.io/pf0", "default/sriov-a", "net1"),
            ("0000:02:10.0", "rig.io/pf1", "default/sriov-b", "net2"),
        ]
    )


def test_a_container_that_multus_does_not_know_is_an_absent_source(tmp_path: Path) -> None:
    absent = Reading(Source.MULTUS, is_absent=True)

    assert read_scratch(samples.NODE.multus, "a") == absent
    assert read_scratch(tmp_path / "multus", "a") == absent


def test_an_interface_is_named_by_request_else_by_its_place(tmp_path: Path) -> None:
    one, two = a_delegate(deviceID=PCI), a_delegate(deviceID=PCI, ifnameRequest="x0")

    reading = reading_of(tmp_path, one, a_delegate(), two, one)

    assert [one.interface for one in reading.statements] == [None, "x0", "net3"]
    assert [one.interface for one in reading.networks] == ["", "", "x0", ""]


def test_the_first_of_a_list_of_plugins_is_read(tmp_path: Path) -> None:
    plugins = [{"type": "sriov", "deviceID": PCI, "vlan": 7}, {"type": "tuning"}]

    reading = reading_of(tmp_path, a_delegate({"name": "n", "plugins": plugins}, resourceName="r"))

    [network] = reading.networks
    assert (network.plugin, network.config["name"]) == ("sriov", "n")
    assert list(network.plugins) == plugins
    assert (network.device, network.resource) == (pci(), "r")


def test_a_device_that_only_the_configuration_names_is_read(tmp_path: Path) -> None:
    config = {"type": "host-device", "pciBusID": PCI, "deviceID": 7}

    assert reading_of(tmp_path, a_delegate(config)).statements[0].device == pci()


def test_a_resource_without_a_known_device_is_reported(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, a_delegate(resourceName="r/vhost", deviceID="socket0"))

    assert [(one.resource, one.device) for one in reading.statements] == [("r/vhost", None)]


@pytest.mark.parametrize(
    ("delegate", "fault"),
    [
        (7, "delegates[1] is 7 instead of an object"),
        (a_delegate(Name=""), "a network has no Name"),
        (a_delegate(ifnameRequest="a/b"), "delegates[1].ifnameRequest is 'a/b' instead of the"),
        (a_delegate(Bytes="!"), "delegates[1].Bytes is '!' instead of base64 of a JSON object"),
        (a_delegate({"type": 7}), "delegates[1].Bytes.type is 7 instead of a text"),
        (a_delegate({"plugins": [7]}), "delegates[1].Bytes.plugins[0] is 7 instead of an object"),
        (a_delegate({"plugins": {}}), "delegates[1].Bytes.plugins is {} instead of a list of"),
    ],
)
def test_a_wrong_network_is_reported_and_the_next_keeps_its_place(
    tmp_path: Path, delegate: object, fault: str
) -> None:
    reading = reading_of(tmp_path, a_delegate(), delegate, a_delegate(deviceID=PCI))

    assert len(reading.networks) == 2
    assert [one.interface for one in reading.statements] == ["net2"]
    assert fault in reading.problems[0]


def test_a_network_without_a_configuration_is_read(tmp_path: Path) -> None:
    [network] = reading_of(tmp_path, a_delegate(Bytes=None)).networks

    assert (network.network, network.plugin, network.config) == ("default/n", "", {})


@pytest.mark.parametrize("content", [b"", b"{}", b"[", b"\xff", b"7", b"[" * 40_000])
def test_a_file_that_is_no_json_list_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    reading = read_scratch(tmp_path, "a")

    assert reading.networks == ()
    assert "JSON" in reading.problems[0]


def test_a_list_of_absurd_length_is_reported(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, *[{}] * 20_001)

    assert reading.networks == ()
    assert "a list of at most 20000" in reading.problems[0]


def test_a_file_that_is_not_plain_is_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(SAMPLE)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "results").mkdir()
    (tmp_path / "large").write_bytes(b" " * (4 << 20) + b"[]")

    readings = [read_scratch(tmp_path, name) for name in ("link", "fifo", "results", "large")]

    assert [reading.problems[0].rpartition(": ")[2] for reading in readings] == [
        "Too many levels of symbolic links (a link is not followed)",
        "it is not a plain file",
        "it is not a plain file",
        "it is larger than 4194304 bytes",
    ]


@pytest.mark.parametrize("container_id", ["", "..", "../a", "a/b", "a\0"])
def test_a_container_id_that_cni_forbids_is_refused(tmp_path: Path, container_id: str) -> None:
    with pytest.raises(DeviceInfoError, match="container"):
        read_scratch(tmp_path, container_id)


@over_one_folder
@given(content=st.binary(max_size=200) | mutated(SAMPLE))
def test_whatever_the_file_holds_it_is_parsed_or_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)

    reading = read_scratch(tmp_path, "a")

    assert all(problem.isprintable() for problem in reading.problems)
    assert all(network.network for network in reading.networks)


VALUES: list[object] = [PCI, "x", "", 7, None, [], [{}], [7], [{"type": "sriov"}], {}]
CONFIG = st.dictionaries(
    st.sampled_from(["type", "name", "plugins", "deviceID", "pciBusID"]), st.sampled_from(VALUES)
)


@over_one_folder
@given(config=CONFIG)
def test_whatever_a_configuration_holds_it_is_parsed_or_reported(
    tmp_path: Path, config: dict[str, object]
) -> None:
    reading = reading_of(tmp_path, a_delegate(config))

    assert len(reading.networks) + len(reading.problems) == 1


def test_a_network_of_too_many_elements_is_a_problem_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    crowded = {"name": "n", "type": "sriov", "args": [[]] * ELEMENTS}

    reading = reading_of(tmp_path, a_delegate(crowded), a_delegate(deviceID=PCI))

    assert [statement.device for statement in reading.statements] == [pci()]
    assert len(reading.problems) == 1


def test_of_long_configurations_only_outlines_are_kept(tmp_path: Path) -> None:
    long = [{"": 0}] * 2000
    bond = {"type": "sriovbond", "links": long, "ipam": {"type": "static", "addresses": long}}
    config = {"name": "n", "args": {"cni": long}, "x": "y" * 5000, "plugins": [bond] * 3}

    with traced() as memory:
        requests = reading_of(tmp_path, *[a_delegate(config)] * 5).networks

    assert len(requests) == 5
    assert memory.held_bytes < 1_000_000
    assert requests[0].config == {
        "name": "n",
        "args": {},
        "x": "y" * 512,
        "plugins": [{"type": "sriovbond", "links": [], "ipam": {"type": "static"}}] * 3,
    }
