import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.agent.turns import Turns
from sriovbond.agent.watch.care import Care
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.records import Record
from sriovbond.subject import Subject
from sriovbond.upkeep.examination import Examined
from sriovbond.upkeep.repair import Repairs, any_device
from tests.support.agents import wait_for
from tests.support.builders import a_plan

Work = Callable[[], object]


@dataclass
class Workers:
    """Workers that do nothing until the test says so."""

    room: int = 99
    given: list[Work] = field(default_factory=list)

    def do(self, _: Subject, work: Work) -> bool:
        if len(self.given) >= self.room:
            return False
        self.given.append(work)
        return True

    def work(self) -> None:
        self.given.pop(0)()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state", run=tmp_path / "run", lock_timeout_s=0.1)


def subject(number: int) -> Subject:
    return Subject(Attachment(f"c{number}", "bond0"), "net")


def test_a_few_are_looked_after_at_once_and_the_others_in_turn(host: Host) -> None:
    workers, found = Workers(), list[Examined | None]()
    care = Care(host, Repairs(), workers.do, most=2)

    for number in range(3):
        care.examine(subject(number), found.append, is_at_rest=any_device)
    begun = len(workers.given)
    while workers.given:
        workers.work()

    assert (begun, found) == (2, [Examined()] * 3)


def test_an_examination_requested_twice_runs_once_as_requested_last(host: Host) -> None:
    workers, first, last = Workers(), list[Examined | None](), list[Examined | None]()
    care = Care(host, Repairs(), workers.do, most=1)

    care.examine(subject(0), first.append, is_at_rest=any_device)
    care.examine(subject(1), first.append, is_at_rest=any_device)
    care.examine(subject(1), last.append, is_at_rest=any_device)
    while workers.given:
        workers.work()

    assert (len(first), len(last)) == (1, 1)


def test_that_a_namespace_is_gone_is_not_forgotten_for_a_later_round(host: Host) -> None:
    missing, boot_id = "/run/netns/missing", host.boot_id()
    records.write(host, Record("net", "c0", "bond0", missing, (0, 0, 0), boot_id, a_plan()))
    workers, results = Workers(), list[Examined | None]()
    care = Care(host, Repairs(), workers.do, most=1)

    for is_namespace_gone in (False, True, False):
        care.examine(
            subject(0), results.append, is_at_rest=any_device, is_namespace_gone=is_namespace_gone
        )
    while workers.given:
        workers.work()

    assert [note.kind for result in results if result for note in result.notes] == [
        HappeningKind.RELEASED
    ]


def test_work_that_no_worker_takes_waits(host: Host) -> None:
    workers, found = Workers(room=0), list[Examined | None]()
    care = Care(host, Repairs(), workers.do, most=2)
    care.examine(subject(0), found.append, is_at_rest=any_device)
    assert workers.given == []

    workers.room = 1
    care.go_on()
    workers.work()

    assert found == [Examined()]


def test_a_bond_that_another_call_has_is_left_to_it(host: Host) -> None:
    workers, found = Workers(), list[Examined | None]()
    care = Care(host, Repairs(), workers.do, most=2)
    care.examine(subject(0), found.append, is_at_rest=any_device)

    with records.locked(host, "c0@bond0"):
        workers.work()

    assert found == [None]


def test_bonds_whose_calls_hang_take_no_place_of_the_others(host: Host) -> None:
    turns, is_over, results = Turns(4, 10), threading.Event(), list[Examined | None]()

    def do_after_others(of: Subject, work: Work) -> bool:
        return turns.take(partial(turns.after_others, of.attachment.key, work))

    def hang() -> None:
        with records.locked(host, "c0@bond0"):
            is_over.wait(60)

    turns.take(partial(turns.after_others, "c0@bond0", hang))
    wait_for(lambda: records.is_locked(host, "c0@bond0"))
    care = Care(host, Repairs(), do_after_others, most=1)
    for number in range(2):
        care.examine(subject(number), results.append, is_at_rest=any_device)
    try:
        wait_for(lambda: results == [None, Examined()], 2)
    finally:
        is_over.set()


def test_a_fault_is_a_result_too(host: Host) -> None:
    workers, found = Workers(), list[Examined | None]()
    host.records.mkdir(parents=True)
    (host.records / "c0@bond0.json").mkdir()
    care = Care(host, Repairs(), workers.do, most=2)

    care.examine(subject(0), found.append, is_at_rest=any_device)
    workers.work()

    (examined,) = found
    assert examined is not None
    assert "cannot read the record" in examined.drift[0]
