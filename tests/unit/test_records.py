import json
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sriovbond import records
from sriovbond.bond.links import Carried, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.states import BondState
from sriovbond.cni.attachment import Attachment
from sriovbond.cni.result import CniResult
from sriovbond.errors import MachineError, RefusedError, TryLaterError
from sriovbond.host import Host
from sriovbond.records import (
    DamagedRecordError,
    IpamCall,
    NewerRecordError,
    Record,
    UnreadableRecordError,
)
from tests.support import leasing
from tests.support.builders import a_member, a_plan, a_state, two_vfs
from tests.support.counting import counted_calls
from tests.support.memory import traced

ID, IFNAME = "pod1", "bond0"
KEY = f"{ID}@{IFNAME}"
CARRYING = a_member(
    "ens1",
    Place.HOST,
    is_up=True,
    uppers=("ens1.7",),
    addresses=(Carried("192.0.2.1/24", "00ff"),),
    routes=(Carried("default", "beef"),),
)
PLANS: dict[str, BondPlan | None] = {
    "nothing but IPAM is left": None,
    "default": a_plan(),
    "every kind of option": a_plan(
        arp_interval=100,
        arp_ip_target=["192.0.2.1", "192.0.2.2"],
        ns_ip6_target="2001:db8::1",
        primary="net1",
        arp_validate="filter",
    ),
    "lacp": a_plan(mode="802.3ad", ad_actor_system="02:00:00:00:00:09", bandwidth=1),
    "fixed mac": a_plan(mac="02:00:00:00:00:09", memberAddresses="keep"),
    "a link of the host": replace(
        a_plan(), members=(CARRYING, replace(two_vfs()[0], prio=-3, queue_id=2))
    ),
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", run=tmp_path / "run", lock_timeout_s=0.1)


def a_record(**facts: Any) -> Record:  # noqa: ANN401 - Record's fields
    given: dict[str, Any] = {
        "network": "net",
        "container_id": ID,
        "ifname": IFNAME,
        "netns": "/run/netns/pod1",
        "namespace": (4, 4026532000, 1),
        "boot_id": "0f5b",
        "plan": a_plan(),
        "ipam": IpamCall('{"type": "sriovbond"}', {"CNI_COMMAND": "ADD"}),
    }
    return Record(**{**given, **facts})


def path_of(host: Host) -> Path:
    return host.records / f"{ID}@{IFNAME}.json"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_record_comes_back_as_it_was_written(host: Host, plan: BondPlan | None) -> None:
    record = a_record(plan=plan)

    records.write(host, record)

    assert records.read(host, KEY) == record
    assert records.read_all(host) == ([record], [])


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_complete_record_is_the_same_to_who_wrote_it_and_to_others(
    host: Host, plan: BondPlan | None
) -> None:
    leased = {"cniVersion": "1.1.0", "ips": [{"address": "192.0.2.9/24", "interface": 0}]}
    record = a_record(plan=plan, pod=("default", "web", "7")).completed(leased)
    records.write(host, record)
    writer = records.read(host, KEY)
    with path_of(host).open("ab") as file:
        file.write(b" ")  # so that the text is not in the cache

    other = records.read(host, KEY)

    assert writer is record
    assert other == record
    assert other is not record
    assert records.read(host, KEY) is other


def test_a_record_that_another_changed_is_read_anew(host: Host) -> None:
    records.write(host, a_record().completed({}))
    path = path_of(host)
    path.write_text(path.read_text().replace("/run/netns/pod1", "/run/netns/pod2"))

    found = records.read(host, KEY)

    assert found == a_record(is_complete=True, netns="/run/netns/pod2")


def test_a_record_is_written_anew_when_its_add_is_complete(host: Host) -> None:
    records.write(host, a_record())

    records.write(host, a_record().completed({}))

    assert records.read(host, KEY) == a_record(is_complete=True)
    assert [path.name for path in host.records.iterdir()] == ["pod1@bond0.json"]


def test_a_record_is_for_root_only(host: Host) -> None:
    records.write(host, a_record())

    assert mode_of(path_of(host)) == 0o600
    assert mode_of(host.records) == 0o700


def test_a_record_that_cannot_be_written_leaves_the_old_one(host: Host) -> None:
    records.write(host, a_record())
    (host.records / ".pod1@bond0.new").mkdir()

    with pytest.raises(MachineError, match="cannot write the record"):
        records.write(host, a_record(network="other"))

    assert records.read(host, KEY) == a_record()


def test_a_half_written_file_of_a_killed_call_is_no_record_and_is_removed(host: Host) -> None:
    records.write(host, a_record())
    half = host.records / ".pod1@bond0.new"
    half.write_text('{"network": "ne')

    assert records.read_all(host) == ([a_record()], [])
    with records.locked(host, KEY):
        records.remove(host, a_record())

    assert list(host.records.iterdir()) == []


def test_a_link_planted_at_the_new_record_is_not_followed(host: Host, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    host.records.mkdir(parents=True)
    (host.records / ".pod1@bond0.new").symlink_to(victim)

    records.write(host, a_record())

    assert victim.read_text() == "precious"
    assert records.read(host, KEY) == a_record()
    assert not path_of(host).is_symlink()


def test_no_folder_holds_no_records(host: Host) -> None:
    assert records.read(host, KEY) is None
    assert records.read_all(host) == ([], [])
    records.remove(host, a_record())


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(host: Host) -> None:
    host.state.mkdir()
    host.records.symlink_to(host.records)

    with pytest.raises(
        MachineError, match=f"cannot list the records in '{host.records}': Too many"
    ):
        records.read_all(host)


def test_forgetting_twice_is_once(host: Host) -> None:
    records.write(host, a_record())

    records.remove(host, a_record())
    records.remove(host, a_record())

    assert records.read(host, KEY) is None


def damage(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 1}', "\0", '"text"'])
def test_a_damaged_record_is_reported_with_its_path(host: Host, content: str) -> None:
    damage(path_of(host), content)

    with pytest.raises(MachineError, match=f"cannot read the record '{path_of(host)}'.* damaged"):
        records.read(host, KEY)


def test_a_record_of_a_newer_version_is_distinguished_from_a_damaged_one(host: Host) -> None:
    damage(path_of(host), '{"format": 2, "attachment": {"of": "another shape"}}')

    with pytest.raises(NewerRecordError, match="its format is 2, this version knows 1; use the"):
        records.read(host, KEY)


@pytest.mark.parametrize("found", ['"2"', "0", "null", "-1", "[2]"])
def test_a_record_whose_format_is_none_is_not_called_newer(host: Host, found: str) -> None:
    damage(path_of(host), f'{{"format": {found}}}')

    with pytest.raises(MachineError) as caught:
        records.read(host, KEY)

    assert not isinstance(caught.value, NewerRecordError)


def test_one_damaged_record_does_not_hide_the_others(host: Host) -> None:
    records.write(host, a_record())
    damage(host.records / "pod2@bond0.json", "{")

    found, faults = records.read_all(host)

    assert found == [a_record()]
    assert len(faults) == 1
    assert "pod2@bond0.json" in faults[0]


def test_a_link_in_place_of_a_record_is_not_followed(host: Host, tmp_path: Path) -> None:
    records.write(host, a_record())
    elsewhere = tmp_path / "elsewhere.json"
    path_of(host).rename(elsewhere)
    path_of(host).symlink_to(elsewhere)

    with pytest.raises(DamagedRecordError, match=r"cannot read the record .* not followed"):
        records.read(host, KEY)


def test_a_folder_in_place_of_a_record_is_reported(host: Host) -> None:
    path_of(host).mkdir(parents=True)

    with pytest.raises(DamagedRecordError, match="not a plain file"):
        records.read(host, KEY)


def test_a_pipe_in_place_of_a_record_does_not_hang(host: Host) -> None:
    host.records.mkdir(parents=True)
    os.mkfifo(path_of(host))

    with pytest.raises(DamagedRecordError, match="not a plain file"):
        records.read(host, KEY)


def test_a_record_with_the_largest_configuration_can_be_read_again(host: Host) -> None:
    stdin = json.dumps({"padding": '"' * ((2 << 20) - 100)})
    record = a_record(ipam=IpamCall(stdin, {}))

    records.write(host, record)

    assert records.read(host, KEY) == record


def test_a_record_that_would_be_too_large_to_be_read_is_refused_and_says_why(host: Host) -> None:
    records.write(host, a_record())
    routes = tuple(Carried(f"2001:db8::{number:x}/128", "00" * 200) for number in range(40_000))
    heavy = replace(CARRYING, link=replace(CARRYING.link, routes=routes))
    plan = replace(a_plan(), members=(heavy, two_vfs()[0]))

    with pytest.raises(RefusedError, match=r"at most 16 are read.* ens1 .*40001 addresses and"):
        records.write(host, a_record(plan=plan))

    assert records.read(host, KEY) == a_record()
    assert [path.name for path in host.records.iterdir()] == [path_of(host).name]


def test_a_record_that_cannot_be_read_now_is_distinguished_from_a_damaged_one(host: Host) -> None:
    records.write(host, a_record())
    records.write(host, a_record(ifname="bond1"))

    with leasing.unreadable(path_of(host)):
        with pytest.raises(
            UnreadableRecordError, match=r"cannot read the record .* unavailable"
        ) as own:
            records.read(host, KEY)
        with pytest.raises(UnreadableRecordError) as first:
            list(records.every(host))
        found, faults = records.read_all(host)
        assert records.exists(host, f"{ID}@{IFNAME}")

    assert own.value.key == first.value.key == KEY
    assert (found, len(faults)) == ([a_record(ifname="bond1")], 1)
    assert records.read(host, KEY) == a_record()


def test_a_record_that_cannot_be_looked_at_counts_as_existing(host: Host) -> None:
    host.state.mkdir()
    host.records.symlink_to(host.records)
    host.run.symlink_to(host.run)

    assert records.exists(host, f"{ID}@{IFNAME}")
    assert records.is_locked(host, f"{ID}@{IFNAME}")


def test_a_container_id_too_long_for_a_file_name_has_a_record(host: Host) -> None:
    ids = ("a" * 300, "a" * 299 + "b")

    for one in ids:
        records.write(host, a_record(container_id=one))

    keys = [Attachment(one, IFNAME).key for one in ids]
    assert len(set(keys)) == 2
    assert [records.read(host, key) for key in keys] == [a_record(container_id=one) for one in ids]


def test_two_interfaces_of_a_container_have_two_records(host: Host) -> None:
    records.write(host, a_record())
    records.write(host, a_record(ifname="bond1"))

    records.remove(host, a_record())

    assert records.read_all(host)[0] == [a_record(ifname="bond1")]


def test_a_state_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = Host(state=tmp_path / "file" / "state", run=tmp_path / "file" / "run")

    with pytest.raises(MachineError, match="cannot make the folder"):
        records.write(host, a_record())
    with pytest.raises(MachineError, match="cannot make the folder"), records.locked(host, KEY):
        pass


def lock_path(host: Host) -> Path:
    return host.run / f"{ID}@{IFNAME}"


def test_a_lock_excludes_another_call_and_says_so_in_time(host: Host) -> None:
    started = time.monotonic()

    with (
        records.locked(host, KEY),
        pytest.raises(TryLaterError, match=r"'pod1@bond0': another call has held it for 0\.1 s"),
        records.locked(host, KEY),
    ):
        pass

    assert 0.1 <= time.monotonic() - started < 2


def test_a_lock_is_released_and_its_file_removed(host: Host) -> None:
    with records.locked(host, KEY):
        assert lock_path(host).exists()

    assert not lock_path(host).exists()
    with records.locked(host, KEY):
        pass


def test_a_lock_is_released_when_the_call_fails(host: Host) -> None:
    with pytest.raises(ZeroDivisionError), records.locked(host, KEY):
        raise ZeroDivisionError

    with records.locked(host, KEY):
        pass


def test_attachments_do_not_lock_each_other(host: Host) -> None:
    with records.locked(host, KEY), records.locked(host, f"{ID}@bond1"):
        pass


def test_a_lock_file_left_by_a_killed_call_blocks_nothing(host: Host) -> None:
    damage(lock_path(host), "")

    with records.locked(host, KEY):
        pass

    assert not lock_path(host).exists()


def test_a_record_that_a_killed_call_was_writing_goes_with_the_next_call(host: Host) -> None:
    damage(host.records / ".pod1@bond0.new", '{"network": "ne')
    others = host.records / ".pod2@bond0.new"
    damage(others, "")

    with records.locked(host, KEY):
        assert list(host.records.iterdir()) == [others]


def test_a_link_in_place_of_a_lock_is_reported(host: Host, tmp_path: Path) -> None:
    lock_path(host).parent.mkdir(parents=True)
    lock_path(host).symlink_to(tmp_path / "elsewhere")

    with (
        pytest.raises(MachineError, match="cannot make the lock"),
        records.locked(host, KEY),
    ):
        pass

    assert not (tmp_path / "elsewhere").exists()


def test_threads_hold_the_lock_one_after_another(host: Host) -> None:
    patient = replace(host, lock_timeout_s=10.0)
    inside: list[int] = []
    most: list[int] = []

    def hold(number: int) -> None:
        for _ in range(5):
            with records.locked(patient, KEY):
                inside.append(number)
                most.append(len(inside))
                time.sleep(0.001)
                inside.remove(number)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 15
    assert not lock_path(host).exists()


def test_missing_members_are_reported_with_their_refusals(host: Host) -> None:
    record = a_record(is_complete=True, refused={"net2": "net2 is back, and has no VLAN"})
    records.write(host, record)
    whole = a_state(a_plan())
    without = [replace(whole, members=(one,)) for one in whole.members]

    def told(state: BondState, namespace: tuple[int, int, int] = record.namespace) -> list[str]:
        return records.missing(host, namespace, state)

    assert told(whole) == []
    assert told(without[0]) == ["net2 is back, and has no VLAN"]
    assert told(without[1]) == ["net1 (VF 0 of pf0, 0000:01:10.0) is not in bond0"]
    assert told(without[0], (4, 1, 1)) == []


def test_all_records_are_read_one_by_one_however_large_their_configurations_are(
    host: Host,
) -> None:
    long = "x" * (1 << 20)
    call = IpamCall(long, {})
    for number in range(16):
        records.write(host, replace(a_record(), container_id=f"c{number}", ipam=call))

    with traced() as memory:
        read = [record.container_id for record in records.every(host)]
        read += [record.container_id for record in records.each(host, [])]

    assert len(read) == 2 * 16
    assert memory.peak_bytes < 8 * len(long)


def test_the_leased_addresses_are_read_without_the_routes() -> None:
    routes = [{"dst": f"10.0.{number // 256}.{number % 256}/32"} for number in range(1000)]
    lease = {"cniVersion": "1.0.0", "ips": [{"address": "192.0.2.1/24"}], "routes": routes}
    record = a_record(leased=lease)

    with counted_calls() as counts:
        addresses = record.leased_addresses

    assert addresses == CniResult(ips=record.lease.ips)
    assert counts["call"] < len(routes)
    assert a_record().leased_addresses == CniResult()
