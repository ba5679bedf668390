"""What came of a document is written as kubernetes-nmstate has it, and hinders no change."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sriovbond import hostname
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.reshape.site import Site
from sriovbond.trial import enactments, ending, persisted, removal, store
from sriovbond.trial.checkpoint import Checkpoint, Phase
from sriovbond.trial.enactments import CONFIGURED, PROGRESSING, Enacted, Reason, failed
from tests.unit.trial.test_store import a_checkpoint

DOCUMENT = "interfaces:\n- name: eth1\n  type: ethernet\n"
LONG_AGO = "2026-01-01T00:00:00Z"
TYPES = ("Available", "Failing", "Progressing", "Pending", "Aborted")


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "root/etc").mkdir(parents=True)
    return Host(root=tmp_path / "root", state=tmp_path / "state")


def file_of(host: Host) -> Path:
    return enactments.folder(host) / "uplink.yml"


def read(host: Host) -> dict[str, Any]:
    return dict(yaml.safe_load(file_of(host).read_text()))


def conditions(host: Host) -> dict[str, dict[str, str]]:
    return {row["type"]: row for row in read(host)["status"]["conditions"]}


def a_change() -> Checkpoint:
    return replace(a_checkpoint(Phase.ACTING), name="uplink", document=DOCUMENT)


# as pkg/enactmentstatus/conditions/conditions.go sets them
@pytest.mark.parametrize(
    ("enacted", "statuses"),
    [
        (PROGRESSING, ("Unknown", "Unknown", "True", "False", "False")),
        (CONFIGURED, ("True", "False", "False", "False", "False")),
        (Enacted(Reason.RETRYING, "why", 2), ("False", "True", "True", "False", "False")),
        (failed("why"), ("False", "True", "False", "False", "False")),
    ],
    ids=lambda value: value.reason if isinstance(value, Enacted) else "",
)
def test_an_enactment_has_the_conditions_of_kubernetes_nmstate(
    host: Host, enacted: Enacted, statuses: tuple[str, ...]
) -> None:
    enactments.note(host, "uplink", enacted, DOCUMENT)

    found = read(host)
    rows = conditions(host)
    node = hostname.running()
    assert (found["apiVersion"], found["kind"]) == (
        "nmstate.io/v1beta1",
        "NodeNetworkConfigurationEnactment",
    )
    assert found["metadata"] == {
        "name": f"{node}.uplink",
        "labels": {"nmstate.io/node": node, "nmstate.io/policy": "uplink"},
    }
    assert found["status"]["desiredState"] == yaml.safe_load(DOCUMENT)
    assert tuple(rows) == TYPES
    assert tuple(row["status"] for row in rows.values()) == statuses
    assert {row["reason"] for row in rows.values()} == {str(enacted.reason)}
    told = {row["message"] for row in rows.values() if row["status"] == "True"}
    assert told == {enacted.message}


def test_a_condition_has_the_time_since_which_it_is_so(host: Host) -> None:
    enactments.note(host, "uplink", failed("why"), DOCUMENT)
    text = file_of(host).read_text()
    (now,) = {row["lastTransitionTime"] for row in conditions(host).values()}
    file_of(host).write_text(text.replace(now, LONG_AGO))

    enactments.note(host, "uplink", failed("why else"))
    still = conditions(host)
    enactments.note(host, "uplink", CONFIGURED)

    since = {name: row["lastTransitionTime"] for name, row in conditions(host).items()}
    assert (
        still["Failing"]["lastTransitionTime"] == LONG_AGO != still["Failing"]["lastHeartbeatTime"]
    )
    assert {name for name, time in since.items() if time == LONG_AGO} == {
        "Progressing",
        "Pending",
        "Aborted",
    }
    assert read(host)["status"]["desiredState"] == yaml.safe_load(DOCUMENT)


def test_a_message_without_end_is_cut(host: Host) -> None:
    enactments.note(host, "uplink", failed("x" * 100_000), DOCUMENT)

    assert conditions(host)["Failing"]["message"] == "x" * (8 << 10)


def test_tries_are_counted_until_the_next_begins(host: Host) -> None:
    counts = []
    for enacted in (Enacted(Reason.RETRYING, "why", 2), failed("why"), PROGRESSING):
        enactments.note(host, "uplink", enacted, DOCUMENT)
        counts.append(read(host)["status"]["retryCount"])

    assert counts == [{"0": 2}, {"0": 2}, {"0": 0}]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"\xff",
        b"status: 7",
        b"status: {conditions: 7}",
        b"status: {conditions: [7, {}]}",
        b"status:\n  desired",
        b"status: {conditions: [{type: [7]}]}",
        b"status: 2026-13-32",
        b"- " * 20_000,
    ],
)
def test_a_damaged_file_is_replaced(host: Host, content: bytes) -> None:
    enactments.note(host, "uplink", failed("why"), DOCUMENT)
    file_of(host).write_bytes(content)

    enactments.note(host, "uplink", CONFIGURED, DOCUMENT)

    assert conditions(host)["Available"]["status"] == "True"


def test_an_enactment_that_cannot_be_written_hinders_nothing(host: Host) -> None:
    host.state.mkdir()
    enactments.folder(host).write_text("no folder")

    enactments.note(host, "uplink", CONFIGURED, DOCUMENT)

    assert enactments.folder(host).read_text() == "no folder"


def test_a_document_without_a_name_has_no_enactment(host: Host) -> None:
    enactments.note(host, "", CONFIGURED, DOCUMENT)

    assert not enactments.folder(host).exists()


def test_a_name_with_slashes_stays_in_the_folder(host: Host) -> None:
    enactments.note(host, "../../etc/uplink", CONFIGURED, DOCUMENT)

    assert [path.name for path in enactments.folder(host).iterdir()] == ["..-..-etc-uplink.yml"]


def test_there_are_as_many_as_documents_can_be(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persisted, "MOST", 2)  # 256 files take a while

    for name in ("one", "two", "three", "two"):
        enactments.note(host, name, failed(name), DOCUMENT)

    assert {path.stem for path in enactments.folder(host).iterdir()} == {"one", "two"}


def test_a_commit_is_available(host: Host) -> None:
    store.write(host, a_change())

    ending.commit(host, a_change())

    assert conditions(host)["Available"]["status"] == "True"
    assert document.read(yaml.safe_dump(read(host)["status"]["desiredState"]))


def test_a_change_that_is_reverted_is_failing_with_the_reason(host: Host) -> None:
    store.write(host, a_change())

    with netns.own() as own:
        site = Site(own, host.root, host.places.sysfs, host)
        here = replace(a_change(), namespace=own.identity)
        ending.revert(site, host, here, why="the cable is out")

    row = conditions(host)["Failing"]
    assert row["status"] == "True"
    assert row["message"] == "the cable is out; all is as it was before"


def test_they_are_removed_with_the_documents(host: Host) -> None:
    enactments.note(host, "uplink", CONFIGURED, DOCUMENT)

    with netns.own() as own:
        list(removal.remove(Site(own, host.root, host.places.sysfs, host), host))

    assert not list(enactments.folder(host).iterdir())
