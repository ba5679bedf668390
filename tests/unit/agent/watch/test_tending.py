from collections.abc import Callable
from dataclasses import dataclass

from sriovbond import records
from sriovbond.agent.watch.agenda import AGAIN_S, Task
from sriovbond.agent.watch.care import Care, Then
from sriovbond.agent.watch.tending import Tending
from sriovbond.happenings.happening import HappeningKind
from sriovbond.subject import Subject
from sriovbond.upkeep.examination import Examined
from sriovbond.upkeep.repair import IsAtRest, Repairs, UpkeepNote
from tests.unit.agent.watch.conftest import KEY, Scene


@dataclass
class Workers:
    """A worker that runs its work at once."""

    works: int = 0

    def do(self, _: Subject, work: Callable[[], object]) -> bool:
        self.works += 1
        work()
        return True


class Noting(Care):
    """Examines nothing; keeps what it was asked with, and answers `result`."""

    is_at_rest: IsAtRest
    result = Examined()

    def examine(
        self,
        subject: Subject,
        then: Then,
        *,
        is_at_rest: IsAtRest,
        is_namespace_gone: bool = False,
    ) -> None:
        """Note it."""
        assert subject.attachment.key == KEY
        assert not is_namespace_gone
        self.is_at_rest = is_at_rest
        then(self.result)


def tending(scene: Scene, workers: Workers, care: Care | None = None) -> Tending:
    care = care or Care(scene.settings.host, Repairs(), workers.do, 1)
    return Tending(
        scene.settings, scene.watched, scene.agenda, care, scene.hands, lambda call: call()
    )


def test_a_bond_whose_attachment_another_call_has_is_examined_later(scene: Scene) -> None:
    scene.watch()
    workers = Workers()

    with records.locked(scene.settings.host, KEY):
        tending(scene, workers).actions[Task.EXAMINE](KEY)

    assert (workers.works, scene.planned()) == (0, {Task.EXAMINE})


def test_a_bond_whose_del_waits_is_examined_later_and_as_it_was_asked(scene: Scene) -> None:
    scene.watch()
    scene.leaving.add(KEY)
    workers = Workers()

    tending(scene, workers).actions[Task.GONE](KEY)

    assert (workers.works, scene.planned()) == (0, {Task.GONE})


def test_a_lost_member_is_looked_at_again_when_it_has_rested(scene: Scene) -> None:
    scene.watch()
    scene.leaving.clear()
    scene.attachment.stirred = {"0000:02:10.0": scene.clock.now + 10**9}

    tending(scene, Workers()).actions[Task.EXAMINE](KEY)

    assert Task.RESTED in scene.planned()


def test_a_member_that_is_lost_while_its_bond_is_examined_rests_as_any(scene: Scene) -> None:
    scene.watch()
    noted = Noting(scene.settings.host, Repairs(), Workers().do, 1)
    device = scene.plan.members[0].device
    asked = []

    tending(scene, Workers(), noted).actions[Task.EXAMINE](KEY)
    asked.append(noted.is_at_rest(device))
    scene.lose_first_member()
    asked.append(noted.is_at_rest(device))
    scene.attachment.stirred[device] -= scene.settings.rest_s
    asked.append(noted.is_at_rest(device))

    assert asked == [False, False, True]


def test_nothing_is_put_back_for_a_bond_that_is_not_watched(scene: Scene) -> None:
    noted = Noting(scene.settings.host, Repairs(), Workers().do, 1)

    tending(scene, Workers(), noted).look_after(KEY, scene.subject)

    assert not noted.is_at_rest(scene.plan.members[0].device)


def test_a_bond_with_a_member_missing_without_an_event_is_read_again(scene: Scene) -> None:
    scene.watch()
    noted = Noting(scene.settings.host, Repairs(), Workers().do, 1)
    noted.result = Examined(missing=frozenset({scene.plan.members[0].device}))

    tending(scene, Workers(), noted).actions[Task.EXAMINE](KEY)

    assert Task.ADOPT in scene.planned()


def test_remains_of_an_attachment_are_reported_once_and_wait_longer(scene: Scene) -> None:
    scene.settings.host.records.joinpath(f"{KEY}.json").write_text("{")
    tended = tending(scene, Workers())
    waits_s = []

    for _ in range(3):
        tended.look_after(KEY, scene.subject)
        waits_s.append(scene.agenda.pause_s(1000))
        scene.agenda.forget(KEY)

    assert waits_s == [AGAIN_S, 2 * AGAIN_S, 4 * AGAIN_S]
    assert [happening.kind for happening in scene.reported] == [HappeningKind.DRIFT]
    tended.forget_left(KEY)
    tended.look_after(KEY, scene.subject)
    assert len(scene.reported) == 2


def test_a_refused_member_at_rest_is_reported_once_and_examined_ever_more_rarely(
    scene: Scene,
) -> None:
    scene.watch()
    noted = Noting(scene.settings.host, Repairs(), Workers().do, 1)
    noted.result = Examined((UpkeepNote(HappeningKind.REPAIR_REFUSED, "no VLAN", "net1"),))
    tended = tending(scene, Workers(), noted)
    waits_s = []

    for _ in range(3):
        tended.actions[Task.EXAMINE](KEY)
        waits_s.append(scene.agenda.pause_s(1000))
        scene.agenda.forget(KEY)

    assert waits_s == [1.0, 2.0, 4.0]
    assert [happening.text for happening in scene.reported] == ["no VLAN"]
    assert scene.attachment.bond.refused == ("no VLAN",)


def test_a_bond_that_waits_for_the_sriov_operator_is_examined_soon_and_nothing_is_reported(
    scene: Scene,
) -> None:
    scene.watch()
    noted = Noting(scene.settings.host, Repairs(), Workers().do, 1)
    note = UpkeepNote(HappeningKind.REPAIR_REFUSED, "it waits", "net1", is_put_off=True)
    noted.result = Examined((note,))
    tended = tending(scene, Workers(), noted)
    waits_s = []

    for _ in range(9):
        tended.actions[Task.EXAMINE](KEY)
        waits_s.append(scene.agenda.pause_s(1000))
        scene.agenda.forget(KEY)

    assert set(waits_s) == {10.0}
    assert (scene.reported, scene.attachment.bond.refused) == ([], ())


def test_drift_is_reported_once_and_kept_with_the_bond(scene: Scene) -> None:
    scene.watch()
    scene.settings.host.records.joinpath(f"{KEY}.json").write_text("{")
    tended = tending(scene, Workers())

    for _ in range(2):
        tended.actions[Task.EXAMINE](KEY)

    assert len(scene.reported) == 1
    assert "cannot read the record" in scene.reported[0].text
    assert scene.attachment.bond.drift != ()


def test_a_bond_is_announced_as_often_as_it_is_to_be(scene: Scene) -> None:
    scene.watch()
    scene.attachment.announcements = 2
    workers = Workers()
    tended = tending(scene, workers)

    for _ in range(5):
        tended.actions[Task.ANNOUNCE](KEY)

    assert (workers.works, scene.attachment.announcements) == (2, 0)


def test_a_round_examines_every_bond_and_comes_again(scene: Scene) -> None:
    scene.watch()

    scene.tending.actions[Task.ROUND]("")

    assert scene.planned() == {Task.EXAMINE}
    assert all(
        scene.agenda.has(task, "") for task in (Task.ROUND, Task.TAKE_BACK, Task.ADOPT_OTHERS)
    )
