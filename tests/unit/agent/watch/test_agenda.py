from sriovbond.agent.watch.agenda import Agenda, Task
from tests.support.clocks import Clock


def test_a_thing_is_due_once_and_when_its_time_has_come() -> None:
    clock = Clock(100.0)
    agenda = Agenda(clock)
    agenda.later(Task.JUDGE, "a", 2)
    agenda.later(Task.JUDGE, "b", 1)
    agenda.later(Task.JUDGE, "a", 0.5)  # it is in it already

    assert (agenda.pause_s(10), list(agenda.due())) == (1, [])
    assert (agenda.has(Task.JUDGE, "b"), agenda.has(Task.SETTLE, "b")) == (True, False)
    clock.now += 1
    assert list(agenda.due()) == [(Task.JUDGE, "b")]
    assert not agenda.has(Task.JUDGE, "b")
    clock.now += 1
    assert list(agenda.due()) == [(Task.JUDGE, "a")]
    assert (agenda.pause_s(10), list(agenda.due())) == (10, [])


def test_a_task_that_is_put_off_waits_again() -> None:
    clock = Clock(100.0)
    agenda = Agenda(clock)
    agenda.later(Task.SETTLE, "a", 1)
    agenda.put_off(Task.SETTLE, "a", 3)
    clock.now += 1

    assert (agenda.pause_s(10), list(agenda.due())) == (2, [])


def test_a_task_that_is_to_be_sooner_is_no_later() -> None:
    agenda = Agenda(Clock(100.0))
    agenda.later(Task.EXAMINE, "a", 5)

    agenda.sooner(Task.EXAMINE, "a", 9)
    kept_s = agenda.pause_s(10)
    agenda.sooner(Task.EXAMINE, "a", 1)

    assert (kept_s, agenda.pause_s(10)) == (5, 1)


def test_a_task_forgotten_while_others_run_does_not_run() -> None:
    agenda = Agenda(Clock(100.0))
    agenda.later(Task.JUDGE, "a", 0)
    agenda.later(Task.JUDGE, "b", 0)
    agenda.later(Task.SETTLE, "b", 0)

    done = []
    for one in agenda.due():
        done.append(one)
        agenda.forget("b")

    assert done == [(Task.JUDGE, "a")]
