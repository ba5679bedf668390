import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deviceinfo import (
    Bus,
    Claim,
    DeviceId,
    PodRef,
    Reading,
    Source,
    Statement,
    read_checkpoint,
)
from deviceinfo.checkpoint import read_registered
from deviceinfo.jsonfile import ELEMENTS
from tests.support import samples
from tests.support.garbage import mutated, over_one_folder

OURS = PodRef(namespace="default", name="app", uid="ours")
PCI = "0000:01:10.0"


def pci(address: str = PCI) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def an_entry(uid: str = "ours", ids: object = None, **fields: object) -> dict[str, object]:
    return {
        "PodUID": uid,
        "ContainerName": "app",
        "ResourceName": "intel.com/pf0",
        "DeviceIDs": {"-1": [PCI]} if ids is None else ids,
        **fields,
    }


def reading_of(folder: Path, *entries: object, pod: PodRef = OURS) -> Reading:
    file = folder / "checkpoint"
    file.write_text(json.dumps({"Data": {"PodDeviceEntries": entries}, "Checksum": 1}))
    return read_checkpoint(file, pod)


def devices(reading: Reading) -> list[str]:
    return [str(statement.device) for statement in reading.statements]


def test_the_devices_of_a_real_pod_are_read() -> None:
    reading = read_checkpoint(samples.NODE.checkpoint, samples.SANDBOX.pod)

    assert reading == Reading(
        Source.CHECKPOINT,
        statements=(
            Statement(
                Source.CHECKPOINT,
                device=pci("0000:02:10.0"),
                resource="rig.io/pf1",
                container="app",
            ),
            Statement(
                Source.CHECKPOINT,
                device=pci("0000:01:10.0"),
                resource="rig.io/pf0",
                container="app",
            ),
        ),
    )


def test_to_another_pod_the_devices_of_a_real_pod_are_claimed() -> None:
    reading = read_checkpoint(samples.NODE.checkpoint, OURS)

    pod = f"pod UID {samples.SANDBOX.pod.uid}"
    assert not reading.statements
    assert not reading.problems
    assert reading.claims == (
        Claim(Source.CHECKPOINT, pci("0000:02:10.0"), pod),
        Claim(Source.CHECKPOINT, pci("0000:01:10.0"), pod),
    )


def test_without_the_pods_uid_pods_are_not_distinguished() -> None:
    reading = read_checkpoint(samples.NODE.checkpoint, PodRef(namespace="default", name="nf1"))

    assert not reading.statements
    assert not reading.claims
    assert "default/nf1" in reading.problems[0]
    assert "give the UID" in reading.problems[0]


def test_to_a_caller_without_a_pod_kubelet_has_given_it_nothing(tmp_path: Path) -> None:
    nobody = PodRef(namespace="", name="", uid="")

    reading = reading_of(tmp_path, an_entry(), pod=nobody)

    assert reading == Reading(Source.CHECKPOINT, is_absent=True)


@pytest.mark.parametrize("pod", [OURS, PodRef()])
def test_a_missing_file_is_an_absent_source(tmp_path: Path, pod: PodRef) -> None:
    absent = Reading(Source.CHECKPOINT, is_absent=True)

    assert read_checkpoint(tmp_path / "plugins" / "checkpoint", pod) == absent
    assert read_checkpoint(tmp_path / "checkpoint", pod) == absent


def test_the_numa_node_is_read_where_there_is_one(tmp_path: Path) -> None:
    ids = {"1": [PCI], "0": ["0000:01:10.2"], "-1": ["0000:01:10.4"], "2": None}

    reading = reading_of(tmp_path, an_entry(ids=ids))

    assert [statement.numa_node for statement in reading.statements] == [1, 0, None]


def test_a_checkpoint_from_before_numa_nodes_is_read(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, an_entry(ids=[PCI, "0000:01:10.2"]))

    assert devices(reading) == [PCI, "0000:01:10.2"]
    assert reading.statements[0].numa_node is None


def test_network_devices_of_all_containers_and_buses_are_read_and_no_others(
    tmp_path: Path,
) -> None:
    reading = reading_of(
        tmp_path,
        an_entry(ids={"-1": ["mlx5_core.sf.4"]}, ContainerName="one"),
        an_entry(ids={"-1": ["netdevsim10/pf0vf1"]}, ContainerName="two"),
        an_entry(ids={"-1": ["kvm0", "GPU-8932f937", 7]}, ResourceName="devices.example.com/kvm"),
        an_entry(uid="other", ids={"-1": ["kvm1"]}),
        an_entry(ids={}),
    )

    assert devices(reading) == ["mlx5_core.sf.4", "netdevsim10/pf0vf1"]
    assert [statement.container for statement in reading.statements] == ["one", "two"]
    assert not reading.claims
    assert not reading.problems


def test_a_device_of_two_containers_of_another_pod_is_claimed_once(tmp_path: Path) -> None:
    reading = reading_of(
        tmp_path, an_entry("other"), an_entry("other", ContainerName="init"), an_entry("third")
    )

    assert [claim.pod for claim in reading.claims] == ["pod UID other", "pod UID third"]


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    data = {"PodDeviceEntries": [an_entry(New=1)], "RegisteredDevices": 7}
    file.write_text(json.dumps({"Data": data, "BootID": "x", "Checksum": "y"}))

    assert devices(read_checkpoint(file, OURS)) == [PCI]


@pytest.mark.parametrize("content", ["{}", '{"Data": {}}', '{"Data": {"PodDeviceEntries": null}}'])
def test_a_checkpoint_without_entries_is_empty(tmp_path: Path, content: str) -> None:
    (tmp_path / "checkpoint").write_text(content)

    assert read_checkpoint(tmp_path / "checkpoint", OURS) == Reading(Source.CHECKPOINT)


@pytest.mark.parametrize(
    ("entry", "fault"),
    [
        (7, "PodDeviceEntries[0] is 7 instead of an object"),
        (an_entry(""), "an entry has no PodUID"),
        (an_entry("\x1b[2J"), "PodUID is '\\x1b[2J' instead of a printable text"),
        (an_entry(ResourceName=[]), "ResourceName is [] instead of a text"),
        (an_entry(ids="x"), "DeviceIDs is 'x' instead of an object of lists"),
        (an_entry(ids={"x": [PCI]}), "instead of lists by NUMA node"),
        (an_entry(ids={"-1": PCI}), "instead of lists by NUMA node"),
    ],
)
def test_a_wrong_entry_is_reported_and_the_next_one_is_read(
    tmp_path: Path, entry: object, fault: str
) -> None:
    reading = reading_of(tmp_path, entry, an_entry(ids={"-1": ["0000:01:10.2"]}))

    assert devices(reading) == ["0000:01:10.2"]
    assert reading.claims == ()
    assert fault in reading.problems[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"[" * 100_000, b'{"Data": 7}', b" " * (8 << 20) + b"{}"],
)
def test_a_file_that_is_no_checkpoint_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)

    reading = read_checkpoint(tmp_path / "checkpoint", OURS)

    assert not reading.statements
    assert not reading.claims
    assert reading.problems[0].startswith(f"cannot read {tmp_path / 'checkpoint'}: ")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").symlink_to(samples.NODE.checkpoint)

    reading = read_checkpoint(tmp_path / "checkpoint", samples.SANDBOX.pod)

    assert reading.statements == ()
    assert "a link is not followed" in reading.problems[0]


def test_ten_thousand_wrong_entries_are_one_short_problem(tmp_path: Path) -> None:
    reading = reading_of(tmp_path, *([7] * 10_000))

    assert "and 9995 more" in reading.problems[0]
    assert len(reading.problems[0]) < 1000


@over_one_folder
@given(content=st.binary(max_size=200) | mutated(samples.NODE.checkpoint))
def test_whatever_the_file_holds_it_is_parsed_or_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "checkpoint").write_bytes(content)

    reading = read_checkpoint(tmp_path / "checkpoint", samples.SANDBOX.pod)

    assert all(problem.isprintable() for problem in reading.problems)
    assert all(statement.device for statement in reading.statements)


def test_kubelets_own_file_may_have_more_elements_than_those_of_tenants(tmp_path: Path) -> None:
    ids = [f"kvm{number}" for number in range(2 * ELEMENTS)]

    assert registered_of(tmp_path, {"RegisteredDevices": {"devices/kvm": ids}}).problems == ()


def registered_of(folder: Path, data: object) -> Reading:
    file = folder / "checkpoint"
    file.write_text(json.dumps({"Data": data}))
    return read_registered(file)


def test_devices_registered_on_a_real_node_are_read() -> None:
    reading = read_registered(samples.NODE.checkpoint)

    assert reading.problems == ()
    assert (
        Statement(Source.CHECKPOINT, device=pci("0000:02:10.0"), resource="rig.io/pf1")
        in reading.statements
    )


def test_registered_devices_that_are_no_network_devices_are_ignored(tmp_path: Path) -> None:
    ids = {"intel.com/pf0": [PCI, "gpu-1", 7], "other.com/none": None}

    assert devices(registered_of(tmp_path, {"RegisteredDevices": ids})) == [PCI]
    assert registered_of(tmp_path, {"RegisteredDevices": None}) == Reading(Source.CHECKPOINT)


@pytest.mark.parametrize(
    "data", [None, [], {"RegisteredDevices": []}, {"RegisteredDevices": {"a/b": "0000:01:10.0"}}]
)
def test_registered_devices_that_cannot_be_read_are_a_problem(tmp_path: Path, data: object) -> None:
    reading = registered_of(tmp_path, data)

    assert (reading.statements, len(reading.problems)) == ((), 1)


def test_a_missing_checkpoint_reports_no_plugins(tmp_path: Path) -> None:
    assert read_registered(tmp_path / "none") == Reading(Source.CHECKPOINT, is_absent=True)
