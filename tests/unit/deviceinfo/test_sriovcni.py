import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deviceinfo import CacheReading, DeviceInfoError, PciAddress, SriovCniEntry, read_cache
from tests.support import samples

RUNTIME_ID = "0123456789abcdef" * 4
PCI = "0000:01:10.0"
ADMIN, OWN = "02:aa:00:00:00:01", "02:00:00:00:00:01"


def a_cache_file(
    folder: Path, name: str, *, pci: str = PCI, netns: str | None = None, **fields: object
) -> Path:
    (folder / "pci").mkdir(exist_ok=True)
    if netns is not None:
        (folder / "pci" / pci).write_text(netns)
    file = folder / name
    file.write_text(json.dumps({"deviceID": pci, **fields}))
    return file


def ifnames(reading: CacheReading) -> list[str]:
    return [entry.ifname for entry in reading.entries]


def test_the_files_of_a_real_pod_are_read() -> None:
    reading = read_cache(samples.NODE.sriov_cni, samples.SANDBOX.container_id)

    assert reading.problems == ()
    assert ifnames(reading) == ["net1", "net2"]
    assert reading.entries[0] == SriovCniEntry(
        ifname="net1",
        device_id=PciAddress("0000:01:10.0"),
        pf_name="pf0",
        vf_number=0,
        administrative_mac=None,
        vlan=None,
        trust=True,
        spoofchk=False,
        link_state=None,
        original_admin_mac="00:00:00:00:00:00",
        original_effective_mac="86:b1:e2:16:8c:d9",
        host_ifname="vf0_0",
        netns=samples.SANDBOX.netns,
    )


def test_settings_that_the_user_requested_are_read(tmp_path: Path) -> None:
    mac = "02:00:00:00:00:AA"
    a_cache_file(tmp_path, "a-net1", MAC=mac, vlan=100, trust="off", link_state="enable")

    [entry] = read_cache(tmp_path, "a").entries

    assert (entry.administrative_mac, entry.vlan) == ("02:00:00:00:00:aa", 100)
    assert (entry.trust, entry.spoofchk, entry.link_state) == (False, None, "enable")


def test_a_userspace_vf_has_neither_a_mac_of_its_own_nor_a_host_name(tmp_path: Path) -> None:
    before = {"AdminMAC": "02:00:00:00:00:01", "EffectiveMAC": "", "HostIFName": ""}
    a_cache_file(tmp_path, "a-net1", OrigVfState=before)

    [entry] = read_cache(tmp_path, "a").entries

    assert entry.original_admin_mac == "02:00:00:00:00:01"
    assert (entry.original_effective_mac, entry.host_ifname) == (None, None)


def test_a_missing_folder_has_no_entries(tmp_path: Path) -> None:
    assert read_cache(tmp_path / "sriov", "a") == CacheReading((), ())


def test_a_folder_that_is_none_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "sriov").touch()

    reading = read_cache(tmp_path / "sriov", "a")

    assert reading.entries == ()
    assert "Not a directory" in reading.problems[0]


@pytest.mark.parametrize("container_id", ["", "../a", "a/b", "-a", ".", "a\n", "a b", "é"])
def test_a_container_id_that_cni_forbids_is_refused(tmp_path: Path, container_id: str) -> None:
    with pytest.raises(DeviceInfoError, match="container"):
        read_cache(tmp_path, container_id)


def test_another_container_whose_id_starts_alike_is_left_alone(tmp_path: Path) -> None:
    for name in ["ab-net1", "a_b-net1", "a", "a-", "pci", f"a-{RUNTIME_ID}-net1", "a-net1 "]:
        a_cache_file(tmp_path, name) if name != "pci" else (tmp_path / name).mkdir(exist_ok=True)

    assert read_cache(tmp_path, "a") == CacheReading((), ())


def test_a_dash_in_an_interface_name_is_no_doubt_beside_a_runtimes_id(tmp_path: Path) -> None:
    a_cache_file(tmp_path, f"{RUNTIME_ID}-my-net")

    assert ifnames(read_cache(tmp_path, RUNTIME_ID)) == ["my-net"]
    assert read_cache(tmp_path, f"{RUNTIME_ID}-my") == CacheReading((), ())


def test_the_namespace_of_certain_entries_decides_the_owner_of_an_ambiguous_file(
    tmp_path: Path,
) -> None:
    a_cache_file(tmp_path, "a-net1", pci="0000:01:10.0", netns="/run/netns/a")
    a_cache_file(tmp_path, "a-x-net", pci="0000:01:10.2", netns="/run/netns/a")
    a_cache_file(tmp_path, "a-b-net1", pci="0000:01:10.4", netns="/run/netns/b")

    assert read_cache(tmp_path, "a").problems == ()
    assert ifnames(read_cache(tmp_path, "a")) == ["net1", "x-net"]


@pytest.mark.parametrize(("container_id", "ifname"), [("a", "b-net1"), ("a-b", "net1")])
def test_the_callers_namespace_decides_the_owner_of_an_ambiguous_file(
    tmp_path: Path, container_id: str, ifname: str
) -> None:
    a_cache_file(tmp_path, "a-b-net1", netns="/run/netns/mine")

    assert ifnames(read_cache(tmp_path, container_id, netns="/run/netns/mine")) == [ifname]
    other = read_cache(tmp_path, container_id, netns="/run/netns/other")
    assert other == CacheReading((), ())


@pytest.mark.parametrize("netns", [None, "/run/netns/mine"])
def test_a_file_that_stays_in_doubt_is_reported_and_not_used(
    tmp_path: Path, netns: str | None
) -> None:
    a_cache_file(tmp_path, "a-b-net1")

    reading = read_cache(tmp_path, "a", netns=netns)

    assert reading.entries == ()
    assert "'a' or 'a-b'" in reading.problems[0]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    a_cache_file(tmp_path, "secret")
    (tmp_path / "a-net1").symlink_to("secret")

    reading = read_cache(tmp_path, "a")

    assert reading.entries == ()
    assert "a link is not followed" in reading.problems[0]


def test_a_fifo_or_a_folder_under_a_files_name_is_reported_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a-net1")
    (tmp_path / "a-net2").mkdir()

    reading = read_cache(tmp_path, "a")

    assert [text.endswith("it is not a plain file") for text in reading.problems] == [True, True]


def test_a_file_is_read_up_to_its_bound_and_not_beyond(tmp_path: Path) -> None:
    a_cache_file(tmp_path, "a-net1", padding="x" * (1 << 20))
    a_cache_file(tmp_path, "a-net2", padding="x" * (1 << 19))

    reading = read_cache(tmp_path, "a")

    assert ifnames(reading) == ["net2"]
    assert "larger than 1048576 bytes" in reading.problems[0]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 40_000, b"9" * 5000, b"[]", b"1"])
def test_a_file_that_is_no_json_object_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a-net1").write_bytes(content)

    reading = read_cache(tmp_path, "a")

    assert reading.entries == ()
    assert "cannot read" in reading.problems[0]
    assert "JSON" in reading.problems[0]


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"deviceID": ""}, "deviceID is missing"),
        ({"deviceID": "../../etc"}, "deviceID is '../../etc' instead of a PCI address"),
        ({"MAC": 7}, "MAC is 7 instead of a text"),
        ({"MAC": "02:00"}, "MAC is '02:00' instead of a hardware address"),
        ({"vlan": True}, "vlan is True instead of a whole number"),
        ({"VFID": -1}, "VFID is -1 instead of a whole number"),
        ({"Master": "../pf0"}, "Master is '../pf0' instead of the name of an interface"),
        ({"link_state": "up"}, "link_state is 'up' instead of auto or enable or disable"),
        ({"OrigVfState": []}, "OrigVfState is [] instead of an object"),
        ({"OrigVfState": {"AdminMAC": {}}}, "OrigVfState.AdminMAC is {} instead of a text"),
    ],
)
def test_a_field_of_the_wrong_kind_is_reported(
    tmp_path: Path, fields: dict[str, object], fault: str
) -> None:
    a_cache_file(tmp_path, "a-net1").write_text(json.dumps({"deviceID": PCI, **fields}))

    reading = read_cache(tmp_path, "a")

    assert reading.entries == ()
    assert fault in reading.problems[0]


def test_all_faults_of_a_file_are_reported_at_once_and_the_next_file_is_read(
    tmp_path: Path,
) -> None:
    a_cache_file(tmp_path, "a-net1", vlan="x", trust=1)
    a_cache_file(tmp_path, "a-net2")

    reading = read_cache(tmp_path, "a")

    assert ifnames(reading) == ["net2"]
    assert "vlan is 'x'" in reading.problems[0]
    assert "trust is 1" in reading.problems[0]


@pytest.mark.parametrize("kind", ["missing", "link", "folder"])
def test_an_allocation_that_cannot_be_read_leaves_the_entry_without_netns(
    tmp_path: Path, kind: str
) -> None:
    a_cache_file(tmp_path, "a-net1")
    allocation = tmp_path / "pci" / PCI
    make = {"missing": lambda: None, "link": lambda: allocation.symlink_to("/etc/hostname")}
    make.get(kind, allocation.mkdir)()

    [entry] = read_cache(tmp_path, "a").entries

    assert entry.netns is None


def test_the_folder_of_allocations_is_not_followed_if_it_is_a_link(tmp_path: Path) -> None:
    a_cache_file(tmp_path, "a-net1", netns="/run/netns/mine")
    (tmp_path / "pci").rename(tmp_path / "elsewhere")
    (tmp_path / "pci").symlink_to("elsewhere")

    [entry] = read_cache(tmp_path, "a").entries

    assert entry.netns is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["deviceID", "MAC", "Master", "VFID", "vlan", "trust", "spoofchk", "link_state", "OrigVfState"]
)
BEFORE = st.dictionaries(st.sampled_from(["AdminMAC", "EffectiveMAC", "HostIFName"]), JSON)
CONFIG = st.dictionaries(FIELDS, JSON | BEFORE | st.just(PCI))
over_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@over_one_folder
@given(content=st.binary() | CONFIG.map(lambda config: json.dumps(config).encode()))
def test_whatever_a_file_holds_it_is_an_entry_or_a_problem(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a-net1").write_bytes(content)

    reading = read_cache(tmp_path, "a")

    assert len(reading.entries) + len(reading.problems) == 1
    assert all(problem.isprintable() for problem in reading.problems)


@over_one_folder
@given(
    parts=st.lists(st.sampled_from(["a", "b", "net1", RUNTIME_ID]), min_size=2, max_size=3),
    netns=st.sampled_from([None, "/run/netns/mine"]),
)
def test_no_file_is_an_entry_of_two_containers(
    tmp_path_factory: pytest.TempPathFactory, parts: list[str], netns: str | None
) -> None:
    folder = tmp_path_factory.mktemp("sriov")
    a_cache_file(folder, "-".join(parts), netns=netns)
    owners = ["-".join(parts[:length]) for length in range(1, len(parts))]

    claims = [owner for owner in owners if read_cache(folder, owner).entries]

    assert len(claims) <= 1


@pytest.mark.parametrize(
    ("facts", "held"),
    [
        ({}, None),
        ({"administrative_mac": ADMIN}, ADMIN),
        ({"original_admin_mac": ADMIN}, ADMIN),
        ({"administrative_mac": OWN, "original_admin_mac": ADMIN}, OWN),
        ({"original_admin_mac": OWN}, None),  # some drivers store the VF's own request there
        ({"original_admin_mac": "00:00:00:00:00:00"}, None),
    ],
)
def test_a_mac_is_administrative_where_the_cache_says_so(
    facts: dict[str, str], held: str | None
) -> None:
    known: dict[str, Any] = {field.name: None for field in dataclasses.fields(SriovCniEntry)}
    entry = SriovCniEntry(**{**known, "original_effective_mac": OWN, **facts})

    assert entry.held_mac == held
