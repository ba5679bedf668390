import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deviceinfo import UNKNOWN_POD, PodRef
from sriovbond import records
from sriovbond.cli import sriovbond
from sriovbond.errors import MachineError, TryLaterError
from sriovbond.host import Host
from sriovbond.records import IpamCall, Record
from tests.support.builders import a_plan

ID, IFNAME = "pod1", "bond0"
KEY = f"{ID}@{IFNAME}"
EARLIER, NOW = "an earlier boot", "this boot"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A machine whose records are of an earlier boot: none of their links exists any more."""
    boot_id = tmp_path / "proc/sys/kernel/random/boot_id"
    boot_id.parent.mkdir(parents=True)
    boot_id.write_text(f"{NOW}\n")
    return Host(
        proc=tmp_path / "proc", state=tmp_path / "state", run=tmp_path / "run", lock_timeout_s=0.05
    )


def a_record(host: Host, ifname: str = IFNAME, ipam: IpamCall | None = None) -> Record:
    record = Record("net", ID, ifname, "/run/netns/pod1", (4, 5, 6), EARLIER, a_plan(), ipam)
    records.write(host, record)
    return record


def release(host: Host, *words: str) -> Result:
    return CliRunner().invoke(sriovbond, ["release", *words], obj=host)


def test_without_an_attachment_the_records_are_listed_and_left(host: Host) -> None:
    record = replace(a_record(host), pod=PodRef("default", "nf1", "uid"))
    records.write(host, record)
    (host.records / "pod2@bond0.json").write_text("{")

    answer = release(host)

    assert answer.exit_code == 0
    for words in (ID, IFNAME, "default/nf1", "net1 (VF 0 of"):
        assert words in answer.stdout
    assert "cannot read the record" in answer.stderr
    assert records.read(host, KEY) == record


def test_an_attachment_can_be_released_by_its_line_of_the_list(host: Host) -> None:
    """Without a terminal, rich assumes 80 columns: the id alone has 64."""
    record = replace(a_record(host), container_id="c0ffee" * 10 + "c0ff")
    records.write(host, record)

    listed = release(host).stdout

    assert record.container_id in listed
    assert str(a_plan().members[1]) in listed


def test_the_list_is_json_on_demand(host: Host) -> None:
    host.records.mkdir(parents=True)
    (host.records / "pod2@bond0.json").write_text("{")
    complete = replace(a_record(host), pod=PodRef("default", "nf1", "uid"), is_complete=True)
    for record in (complete, replace(complete, ifname="bond1", plan=None, pod=UNKNOWN_POD)):
        records.write(host, record)

    answer = release(host, "--json")

    known = {"container_id": ID, "network": "net", "netns": "/run/netns/pod1"}
    members = [{"name": one.name, "device": one.device} for one in a_plan().members]
    assert json.loads(answer.stdout) == [
        known | {"ifname": "bond0", "pod": "default/nf1", "members": members, "state": "complete"},
        known | {"ifname": "bond1", "pod": "", "members": [], "state": "ipam-left"},
    ]
    assert "cannot read the record" in answer.stderr


def test_an_add_that_has_not_ended_is_listed_as_such(host: Host) -> None:
    a_record(host)

    [listed] = json.loads(release(host, "--json").stdout)

    assert listed["state"] == "incomplete"


@pytest.mark.parametrize("words", [(ID,), (ID, IFNAME, "--json"), (ID, "--json")], ids=str)
def test_half_an_attachment_or_json_of_one_is_a_wrong_call(
    host: Host, words: tuple[str, ...]
) -> None:
    record = a_record(host)

    answer = release(host, *words)

    assert answer.exit_code == 2
    assert "CONTAINER_ID IFNAME" in answer.stderr
    assert records.read_all(host) == ([record], [])


def test_records_that_cannot_be_listed_are_not_none(host: Host) -> None:
    host.state.mkdir()
    host.records.symlink_to(host.records)

    answer = release(host)

    assert isinstance(answer.exception, MachineError)


def test_an_attachment_is_undone_by_its_record_and_no_other(host: Host) -> None:
    a_record(host)
    other = a_record(host, "bond1")

    answer = release(host, ID, IFNAME)

    assert (answer.exit_code, answer.stdout) == (0, f"released {IFNAME} of {ID}\n")
    assert records.read_all(host) == ([other], [])


def test_an_attachment_without_a_record_is_reported(host: Host) -> None:
    a_record(host)

    answer = release(host, ID, "bond1")

    assert answer.exit_code == 1
    assert f"there is no record of {ID} bond1" in answer.stderr


def test_a_failed_release_is_reported_and_its_record_stays(host: Host) -> None:
    config = {"cniVersion": "1.1.0", "name": "net", "type": "sriovbond", "ipam": {"type": "none"}}
    environment = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": ID,
        "CNI_NETNS": "/run/netns/pod1",
        "CNI_IFNAME": IFNAME,
        "CNI_PATH": str(host.state),
    }
    a_record(host, ipam=IpamCall(json.dumps(config), environment))

    answer = release(host, ID, IFNAME)

    assert isinstance(answer.exception, MachineError)
    assert "cannot find the IPAM plugin 'none'" in answer.exception.message
    left = records.read(host, KEY)
    assert left is not None
    assert left.plan is None
    assert left.ipam is not None


def test_a_record_that_cannot_be_read_is_reported_and_kept(host: Host) -> None:
    host.records.mkdir(parents=True)
    path = host.records / f"{ID}@{IFNAME}.json"
    path.write_text("{")

    answer = release(host, ID, IFNAME)

    assert isinstance(answer.exception, MachineError)
    assert path.read_text() == "{"


def test_an_attachment_that_another_call_holds_is_left(host: Host) -> None:
    record = a_record(host)

    with records.locked(host, KEY):
        answer = release(host, ID, IFNAME)

    assert isinstance(answer.exception, TryLaterError)
    assert records.read(host, KEY) == record


def test_a_record_that_was_set_aside_is_listed_and_named(host: Host) -> None:
    record = a_record(host)
    kept = host.records / f"{record.key}.damaged"
    (host.records / f"{record.key}.json").rename(kept)

    listed = release(host)
    (told,) = json.loads(release(host, "--json").stdout)
    refused = release(host, ID, IFNAME)

    assert str(kept) in listed.stdout
    assert told == {
        "container_id": ID,
        "ifname": IFNAME,
        "state": "damaged",
        "file": str(kept),
    }
    assert refused.exit_code == 1
    assert f"there is no record of {ID} {IFNAME}: it could not be read, and is kept" in (
        refused.stderr
    )
