import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deviceinfo import (
    Bus,
    DeviceId,
    DeviceInfoError,
    DeviceKind,
    Reading,
    Source,
    Statement,
    read_cni_files,
    read_dp_files,
)
from tests.support import samples
from tests.support.garbage import mutated, over_one_folder

PCI = "0000:01:10.0"
RUNTIME_ID = "0123456789abcdef" * 4
RESOURCE = "intel.com/pf0"
DP_NAME = f"intel.com-pf0-{PCI}-device.json"
SAMPLE = samples.NODE.devinfo_dp / f"rig.io-pf0-{PCI}-device.json"


def pci(address: str = PCI) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def a_file(folder: Path, name: str, info: object = None) -> Path:
    if info is None:
        info = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": PCI}}
    (folder / name).write_text(json.dumps(info))
    return folder


def read_dp(folder: Path, info: object, device_id: str = PCI) -> Reading:
    name = f"{RESOURCE}-{device_id}-device.json".replace("/", "-")
    return read_dp_files(a_file(folder, name, info), [(RESOURCE, device_id)])


def test_the_files_of_a_real_pod_are_read() -> None:
    reading = read_cni_files(samples.NODE.devinfo_cni, samples.SANDBOX.container_id)

    assert reading == Reading(
        Source.DEVICE_INFO,
        statements=(
            Statement(
                Source.DEVICE_INFO,
                device=pci("0000:01:10.0"),
                interface="net1",
                kind=DeviceKind.PCI,
            ),
            Statement(
                Source.DEVICE_INFO,
                device=pci("0000:02:10.0"),
                interface="net2",
                kind=DeviceKind.PCI,
            ),
        ),
    )


def test_the_files_of_a_real_device_plugin_are_read() -> None:
    wanted = [("rig.io/pf1", "0000:02:10.0"), ("rig.io/pf0", "0000:01:10.2")]

    reading = read_dp_files(samples.NODE.devinfo_dp, wanted)

    assert reading == Reading(
        Source.DEVICE_INFO,
        statements=(
            Statement(
                Source.DEVICE_INFO,
                device=pci("0000:02:10.0"),
                resource="rig.io/pf1",
                kind=DeviceKind.PCI,
            ),
        ),
    )


def test_a_missing_folder_is_an_absent_source(tmp_path: Path) -> None:
    absent = Reading(Source.DEVICE_INFO, is_absent=True)

    assert read_cni_files(tmp_path / "cni", "a") == absent
    assert read_dp_files(tmp_path / "dp", [(RESOURCE, PCI)]) == absent


def test_a_folder_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "dp").touch()

    for reading in (
        read_cni_files(tmp_path / "dp", "a"),
        read_dp_files(tmp_path / "dp", [(RESOURCE, PCI)]),
    ):
        assert "Not a directory" in reading.problems[0]


@pytest.mark.parametrize("container_id", ["", "../a", "a/b", "-a", "a\0", "é"])
def test_a_container_id_that_cni_forbids_is_refused(tmp_path: Path, container_id: str) -> None:
    with pytest.raises(DeviceInfoError, match="container"):
        read_cni_files(tmp_path, container_id)


@pytest.mark.parametrize(
    ("prefix", "network"),
    [
        ("default-sriov", "default/sriov"),
        ("default-sriov.v1", "default/sriov.v1"),
        ("default-sriov-a", None),
        ("kube-system-sriov", None),
    ],
)
def test_a_network_is_named_where_its_file_leaves_one_way_only(
    tmp_path: Path, prefix: str, network: str | None
) -> None:
    a_file(tmp_path, f"{prefix}-{RUNTIME_ID}_net1")

    [statement] = read_cni_files(tmp_path, RUNTIME_ID).statements

    assert (statement.network, statement.interface) == (network, "net1")


@pytest.mark.parametrize("ifname", ["a_b", "_", "my-net", "x-a_b"])
def test_dashes_in_an_interface_name_are_no_doubt_beside_a_runtimes_id(
    tmp_path: Path, ifname: str
) -> None:
    a_file(tmp_path, f"default-net-{RUNTIME_ID}_{ifname}")

    [statement] = read_cni_files(tmp_path, RUNTIME_ID).statements

    assert statement.interface == ifname
    assert read_cni_files(tmp_path, f"{RUNTIME_ID}_a") == Reading(Source.DEVICE_INFO)


def test_another_container_whose_id_ends_alike_is_left_alone(tmp_path: Path) -> None:
    other = f"{RUNTIME_ID}_net1"
    for name in [f"default-net-{other}", "default-net-xa_net1", "a_net1", "net-a_net1", "default-"]:
        a_file(tmp_path, name)

    assert read_cni_files(tmp_path, "a") == Reading(Source.DEVICE_INFO)


def test_a_short_id_is_accepted_from_an_unambiguous_name(tmp_path: Path) -> None:
    a_file(tmp_path, "default-net-a1_net1")

    [statement] = read_cni_files(tmp_path, "a1").statements

    assert (statement.network, statement.interface) == ("default/net", "net1")


@pytest.mark.parametrize("container_id", ["a1", "b-a1"])
def test_a_file_that_stays_in_doubt_is_reported_and_not_used(
    tmp_path: Path, container_id: str
) -> None:
    a_file(tmp_path, "default-net-b-a1_net1")

    reading = read_cni_files(tmp_path, container_id)

    assert reading.statements == ()
    assert "'b-a1' or 'a1'" in reading.problems[0]


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (
            {
                "type": "pci",
                "version": "1.0.0",
                "pci": {
                    "pci-address": "0000:01:10.0",
                    "vhost-net": "/dev/vhost-net",
                    "rdma-device": "mlx5_2",
                    "pf-pci-address": "0000:01:00.0",
                    "representor-device": "eth3",
                },
            },
            Statement(
                Source.DEVICE_INFO,
                device=pci(),
                kind=DeviceKind.PCI,
                rdma="mlx5_2",
                pf=pci("0000:01:00.0"),
                details="vhost-net /dev/vhost-net, representor-device eth3",
            ),
        ),
        (
            {
                "type": "vdpa",
                "version": "1.1.0",
                "vdpa": {
                    "parent-device": "vdpa3",
                    "driver": "vhost",
                    "path": "/dev/vhost-vdpa0",
                    "pci-address": "0000:01:10.0",
                    "pf-pci-address": "0000:01:00.0",
                },
            },
            Statement(
                Source.DEVICE_INFO,
                device=pci(),
                kind=DeviceKind.VDPA,
                pf=pci("0000:01:00.0"),
                details="parent-device vdpa3, driver vhost, path /dev/vhost-vdpa0",
            ),
        ),
        (
            {
                "type": "vhost-user",
                "version": "1.1.0",
                "vhost-user": {"mode": "client", "path": "/run/vhost.sock"},
            },
            Statement(
                Source.DEVICE_INFO,
                kind=DeviceKind.VHOST_USER,
                details="mode client, path /run/vhost.sock",
            ),
        ),
        (
            {
                "type": "memif",
                "version": "1.2.0",
                "memif": {"role": "slave", "path": "/run/memif.sock", "mode": "ip", "new": 1},
            },
            Statement(
                Source.DEVICE_INFO,
                kind=DeviceKind.MEMIF,
                details="role slave, mode ip, path /run/memif.sock",
            ),
        ),
    ],
)
def test_each_type_is_read(tmp_path: Path, info: object, expected: Statement) -> None:
    a_file(tmp_path, f"default-net-{RUNTIME_ID}_net1", info)

    [statement] = read_cni_files(tmp_path, RUNTIME_ID).statements

    assert (statement.network, statement.interface) == ("default/net", "net1")
    assert read_dp(tmp_path, info, "socket0").statements[0].kind == expected.kind
    for field in ("device", "kind", "rdma", "pf", "details"):
        assert getattr(statement, field) == getattr(expected, field)


@pytest.mark.parametrize(
    ("info", "fault"),
    [
        ({"type": "pci", "pci": {"pci-address": PCI}}, "its version is None"),
        ({"type": "pci", "version": "2.0.0"}, "its version is '2.0.0', and only 1.x.y is known"),
        ({"type": "pci", "version": "1.1"}, "its version is '1.1'"),
        ({"type": "usb", "version": "1.1.0"}, "its type is 'usb', not one of pci, vdpa, vhost-"),
        ({"version": "1.1.0"}, "its type is None"),
        ({"type": "pci", "version": "1.1.0"}, "pci.pci-address is missing"),
        (
            {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "../x"}},
            "pci.pci-address is '../x' instead of a PCI address",
        ),
        (
            {"type": "memif", "version": "1.1.0", "memif": {"path": "\x1b[2J"}},
            "memif.path is '\\x1b[2J' instead of a printable text",
        ),
        ({"type": "vdpa", "version": "1.1.0", "vdpa": 7}, "vdpa is 7 instead of an object"),
        ([], "it is JSON, but list instead of an object"),
    ],
)
def test_a_file_of_another_form_is_reported(tmp_path: Path, info: object, fault: str) -> None:
    reading = read_dp(tmp_path, info)

    assert reading.statements == ()
    assert fault in reading.problems[0]


def test_a_file_about_another_device_than_its_name_says_is_reported(tmp_path: Path) -> None:
    other = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": "0000:01:10.2"}}

    reading = read_dp(tmp_path, other)

    assert reading.statements == ()
    assert "it describes 0000:01:10.2" in reading.problems[0]


@pytest.mark.parametrize("device_id", ["mlx5_core.sf.4", "netdevsim10/pf0vf1"])
def test_a_device_that_is_no_pci_function_is_found_by_its_id(
    tmp_path: Path, device_id: str
) -> None:
    [statement] = read_dp(tmp_path, None, device_id).statements

    assert str(statement.device) == device_id
    assert statement.resource == RESOURCE


@pytest.mark.parametrize("device_id", ["a\0", "\ud800", "é", "a\n", "x" * 300])
def test_an_id_that_cannot_be_in_a_files_name_is_reported(tmp_path: Path, device_id: str) -> None:
    reading = read_dp_files(tmp_path, [(RESOURCE, device_id)])

    assert reading.statements == ()
    assert "no file has such a name" in reading.problems[0]
    assert reading.problems[0].isprintable()


@pytest.mark.parametrize("device_id", ["../x", "/../../x", "x/../../../y"])
def test_an_id_never_leads_out_of_the_folder(tmp_path: Path, device_id: str) -> None:
    (tmp_path / "dp").mkdir()
    a_file(tmp_path, "x-device.json")

    assert read_dp_files(tmp_path / "dp", [("..", device_id)]) == Reading(Source.DEVICE_INFO)


def test_a_device_requested_twice_is_reported_once(tmp_path: Path) -> None:
    a_file(tmp_path, DP_NAME)

    assert len(read_dp_files(tmp_path, [(RESOURCE, PCI)] * 2).statements) == 1


def test_a_file_that_is_not_plain_is_reported_at_once(tmp_path: Path) -> None:
    a_file(tmp_path, "elsewhere")
    (tmp_path / f"default-net-{RUNTIME_ID}_net1").symlink_to("elsewhere")
    os.mkfifo(tmp_path / f"default-net-{RUNTIME_ID}_net2")
    (tmp_path / f"default-net-{RUNTIME_ID}_net3").write_bytes(b" " * (1 << 20) + b"{}")

    reading = read_cni_files(tmp_path, RUNTIME_ID)

    assert reading.statements == ()
    assert [text.rpartition(": ")[2] for text in reading.problems] == [
        "Too many levels of symbolic links (a link is not followed)",
        "it is not a plain file",
        "it is larger than 1048576 bytes",
    ]


@over_one_folder
@given(content=st.binary(max_size=200) | mutated(SAMPLE))
def test_whatever_a_file_holds_it_is_a_statement_or_a_problem(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / DP_NAME).write_bytes(content)
    (tmp_path / f"default-net-{RUNTIME_ID}_net1").write_bytes(content)

    for reading in (
        read_dp_files(tmp_path, [(RESOURCE, PCI)]),
        read_cni_files(tmp_path, RUNTIME_ID),
    ):
        assert len(reading.statements) + len(reading.problems) == 1
        assert all(problem.isprintable() for problem in reading.problems)


@over_one_folder
@given(
    parts=st.lists(
        st.sampled_from(["a", "b", "default", "net1", RUNTIME_ID, ""]), min_size=2, max_size=5
    ),
    joints=st.lists(st.sampled_from("-_"), min_size=4, max_size=4),
)
def test_no_file_is_of_two_containers(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], joints: list[str]
) -> None:
    name = "".join(a + b for a, b in zip(parts, [*joints[: len(parts) - 1], ""], strict=True))
    assume(len(name) < 200)
    folder = tmp_path_factory.mktemp("cni")
    a_file(folder, f"{name}_net1")
    cuts = [at for at, char in enumerate(name) if char in "-_"]
    owners = {name[i + 1 : j] for i in cuts for j in [*cuts, len(name)] if j > i + 1}
    owners = {owner for owner in owners if owner[0] not in "-_"}

    claims = [owner for owner in owners if read_cni_files(folder, owner).statements]

    assert len(claims) <= 1


def test_a_name_of_dashes_only_costs_little_time(tmp_path: Path) -> None:
    a_file(tmp_path, f"{'a-' * 110}a1_{'_' * 14}")
    started = time.monotonic()

    assert len(read_cni_files(tmp_path, "a1").problems) == 1
    assert time.monotonic() - started < 2
