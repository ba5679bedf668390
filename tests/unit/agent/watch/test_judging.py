import errno
from dataclasses import replace

import pytest

from sriovbond import records
from sriovbond.agent.watch.adoption import Adoption
from sriovbond.agent.watch.agenda import Task
from sriovbond.agent.watch.hearing import Hearing
from sriovbond.agent.watch.watched import COMING_BACK_S
from sriovbond.errors import KernelError
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import HappeningKind
from sriovbond.kernel import netns
from sriovbond.kernel.watch import LinkEvent
from tests.unit.agent.watch.conftest import BOND, KEY, NSID, Scene


def test_a_member_that_is_gone_is_reported_and_has_its_bond_examined(scene: Scene) -> None:
    scene.watch()

    scene.lose_first_member()

    kinds = [happening.kind for happening in scene.reported]
    assert HappeningKind.MEMBER_GONE in kinds
    assert HappeningKind.DEGRADED in kinds
    assert scene.planned() == {Task.EXAMINE}
    assert scene.watched.lacking == (KEY,)


def test_a_member_that_was_taken_out_of_the_pod_is_not_waited_for(scene: Scene) -> None:
    scene.watch()

    scene.lose_first_member(is_moved=True)

    assert scene.watched.lacking == ()


def test_a_member_that_was_taken_out_is_not_waited_for_where_the_kernel_reports_no_devices(
    scene: Scene,
) -> None:
    scene.watch()
    links = {link.index: replace(link, device="") for link in scene.links()}
    scene.watched.spaces.replace(NSID, links)
    member = replace(links[scene.plan.members[0].link.index], master=0)

    scene.hear(Heard(30, member.name, kind="veth"), is_gone=True, is_moved=True)
    scene.hear(member)
    lacking = scene.watched.lacking
    scene.hear(member, is_gone=True, is_moved=True)

    assert lacking == (KEY,)
    assert scene.watched.lacking == ()


def test_nothing_is_reported_while_a_call_has_the_attachment(scene: Scene) -> None:
    scene.watch()

    with records.locked(scene.settings.host, KEY):
        scene.lose_first_member()
    during = (list(scene.reported), scene.planned())
    scene.lose_first_member()  # waits for its judgement, too
    scene.judging.judge_again(KEY)

    assert during == ([], {Task.JUDGE})
    assert scene.reported != []


def test_a_bond_that_a_del_took_away_is_watched_no_more(scene: Scene) -> None:
    scene.watch()
    records.remove(scene.settings.host, scene.record)

    scene.hear(scene.links()[0], is_gone=True)

    assert (scene.reported, list(scene.watched), NSID in scene.watched.spaces) == ([], [], False)
    assert scene.planned() == {Task.ADOPT}


def test_of_a_bond_that_comes_up_only_a_lasting_fault_is_reported(scene: Scene) -> None:
    scene.watch()
    scene.attachment.is_settled = False
    second = scene.links()[2]

    scene.hear(replace(second, mii_up=False))

    assert scene.reported == []
    scene.judging.actions[Task.SETTLE](KEY)
    assert [happening.kind for happening in scene.reported] == [HappeningKind.DEGRADED]


def test_a_bond_that_was_cut_off_is_announced_when_it_works_again(scene: Scene) -> None:
    scene.watch()
    members = scene.links()[1:]

    for member in members:
        scene.hear(replace(member, mii_up=False))
    cut_off = scene.planned()
    scene.hear(members[0])

    assert (cut_off, scene.planned()) == (set(), {Task.ANNOUNCE})
    assert scene.attachment.announcements == 3


def test_a_lost_device_that_is_back_on_the_host_is_left_to_rest(scene: Scene) -> None:
    scene.watch()
    member = scene.lose_first_member()

    scene.ears.event(
        LinkEvent(None, Heard(3, "eth3", device=member.device), is_gone=False, is_moved=False)
    )

    assert scene.planned() == {Task.EXAMINE, Task.RESTED}
    scene.clock.now += scene.settings.rest_s - 1
    assert (Task.RESTED, KEY) not in list(scene.agenda.due())
    scene.clock.now += 1
    assert (Task.RESTED, KEY) in list(scene.agenda.due())


def test_a_second_lost_member_does_not_wait_for_as_long_as_a_refused_one(scene: Scene) -> None:
    scene.watch()
    first, second = scene.lose_first_member(), scene.links()[2]
    refused = frozenset({first.device})
    for _ in range(10):
        scene.attachment.note_refused(frozenset({"its VLAN differs"}), 300.0, refused)
    scene.agenda.forget(KEY)
    scene.agenda.later(Task.EXAMINE, KEY, scene.attachment.wait_s)

    scene.hear(replace(second, master=0), is_gone=True)
    soon_s = scene.agenda.pause_s(1000)
    back = Heard(3, "eth3", device=second.device)
    scene.ears.event(LinkEvent(None, back, is_gone=False, is_moved=False))
    scene.clock.now += scene.settings.rest_s

    assert soon_s == COMING_BACK_S
    assert (Task.RESTED, KEY) in list(scene.agenda.due())


def test_a_refused_member_that_a_failed_repair_had_in_the_bond_waits_as_before(
    scene: Scene,
) -> None:
    scene.watch()
    first = scene.lose_first_member()
    scene.attachment.note_refused(frozenset({"EINVAL"}), 300.0, frozenset({first.device}))
    wait_s = scene.attachment.wait_s

    scene.hear(first)
    scene.lose_first_member()

    assert scene.attachment.wait_s == wait_s > COMING_BACK_S


def test_after_an_overrun_bonds_with_missing_members_are_examined(scene: Scene) -> None:
    scene.watch()
    scene.lose_first_member()
    scene.agenda.forget(KEY)
    scene.attachment.sent_home = frozenset({"0000:02:10.0"})

    scene.ears.overrun()

    assert (scene.planned(), len(scene.overruns)) == ({Task.EXAMINE}, 1)
    assert scene.attachment.sent_home == frozenset()


def test_a_namespace_that_ended_has_its_bonds_looked_at(scene: Scene) -> None:
    scene.watch()

    scene.ears.gone(NSID)

    assert (scene.planned(), scene.watched.is_heard(KEY)) == ({Task.GONE}, False)


def test_a_namespace_that_cannot_be_read_is_identified_anew(scene: Scene) -> None:
    scene.watch()
    scene.ears.unreadable(NSID, KernelError("cannot list the links: EINVAL", errno.EINVAL))
    unreadable = scene.planned()
    scene.agenda.forget(KEY)

    scene.ears.lost_ends()

    assert unreadable == scene.planned() == {Task.ADOPT}
    assert not scene.watched.is_heard(KEY)


def test_a_namespace_that_cannot_be_read_is_logged_as_often_as_it_is_identified(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    """A pod with too many bonds is read several times a second while events are not received."""
    scene.watch()
    error = KernelError("cannot list the links: there are more than 512", errno.E2BIG)

    for _ in range(9):
        scene.ears.unreadable(NSID, error)
    once = capfd.readouterr().err.count("cannot watch a bond now")
    scene.agenda.forget(KEY)
    scene.ears.unreadable(NSID, error)

    assert (once, capfd.readouterr().err.count("cannot watch a bond now")) == (1, 1)


def test_a_bond_made_anew_gets_its_time_to_come_up(scene: Scene) -> None:
    scene.watch()
    bond = scene.links()[0]
    scene.hear(bond, is_gone=True)

    scene.hear(replace(bond, index=BOND + 1))

    assert scene.attachment.bond.index == BOND + 1
    assert not scene.attachment.is_settled
    assert Task.SETTLE in scene.planned()


def test_every_task_has_one_who_does_it(scene: Scene) -> None:
    hearing = Hearing(scene.watched.spaces, scene.agenda)
    with netns.own() as home:
        adoption = Adoption(
            scene.settings.host,
            home,
            scene.watched,
            scene.agenda,
            hearing=hearing,
            judging=scene.judging,
            tending=scene.tending,
            keeper=scene.hands.keeper,
        )

    tables = (hearing.actions, scene.judging.actions, scene.tending.actions, adoption.actions)
    tasks = [task for table in tables for task in table]

    assert sorted([*tasks, Task.LISTEN]) == sorted(Task)  # the loop itself listens
