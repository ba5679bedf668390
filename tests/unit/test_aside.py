from pathlib import Path

import pytest

from sriovbond import aside, records
from sriovbond.errors import TryLaterError
from sriovbond.host import Host
from sriovbond.records import DamagedRecordError, NewerRecordError, Record
from tests.support.builders import a_plan

ID, IFNAME = "pod1", "bond0"
KEY = f"{ID}@{IFNAME}"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", run=tmp_path / "run", lock_timeout_s=0.1)


def a_record(network: str = "net") -> Record:
    return Record(network, ID, IFNAME, "/run/netns/pod1", (4, 5, 6), "boot", a_plan())


def damaged(host: Host, content: str = "{") -> Path:
    host.records.mkdir(parents=True, exist_ok=True)
    path = host.records / f"{ID}@{IFNAME}.json"
    path.write_text(content)
    with pytest.raises(DamagedRecordError) as caught:
        records.read(host, KEY)
    return aside.put(host, KEY, caught.value)


def test_a_damaged_record_is_set_aside_for_a_person(host: Host) -> None:
    kept = damaged(host)

    assert (kept.name, kept.read_text()) == (f"{ID}@{IFNAME}.damaged", "{")
    assert records.read(host, KEY) is None
    assert records.read_all(host) == ([], [])
    assert aside.files(host) == [kept]


def test_a_newer_record_is_set_aside_under_another_name(host: Host) -> None:
    kept = damaged(host, '{"format": 2}')

    assert kept.name == f"{ID}@{IFNAME}.newer"
    assert aside.files(host) == [kept]
    with pytest.raises(NewerRecordError):
        aside.take_back(host, kept)


def test_a_record_that_was_set_aside_is_one_again_when_it_can_be_read(host: Host) -> None:
    kept = damaged(host)
    with pytest.raises(DamagedRecordError):
        aside.take_back(host, kept)
    records.write(host, a_record())
    (host.records / f"{ID}@{IFNAME}.json").rename(kept)

    assert aside.take_back(host, kept)

    assert records.read(host, KEY) == a_record()
    assert aside.files(host) == []


def test_a_record_that_was_set_aside_replaces_no_other(host: Host) -> None:
    records.write(host, a_record("old"))
    kept = host.records / f"{ID}@{IFNAME}.damaged"
    (host.records / f"{ID}@{IFNAME}.json").rename(kept)
    records.write(host, a_record())

    assert not aside.take_back(host, kept)
    with records.locked(host, KEY), pytest.raises(TryLaterError):
        aside.take_back(host, kept)

    assert records.read(host, KEY) == a_record()
    assert aside.files(host) == [kept]
