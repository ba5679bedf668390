from sriovbond.agent.watch.agenda import Agenda


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_thing_is_due_once_and_when_its_time_has_come() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.later("judge", "a", 2)
    agenda.later("judge", "b", 1)
    agenda.later("judge", "a", 0.5)  # it stands already

    assert (agenda.pause_s(10), list(agenda.due())) == (1, [])
    assert (agenda.has("judge", "b"), agenda.has("settle", "b")) == (True, False)
    clock.now += 1
    assert list(agenda.due()) == [("judge", "b")]
    assert not agenda.has("judge", "b")
    clock.now += 1
    assert list(agenda.due()) == [("judge", "a")]
    assert (agenda.pause_s(10), list(agenda.due())) == (10, [])


def test_what_is_put_off_waits_again() -> None:
    clock = Clock()
    agenda = Agenda(clock)
    agenda.later("settle", "a", 1)
    agenda.put_off("settle", "a", 3)
    clock.now += 1

    assert (agenda.pause_s(10), list(agenda.due())) == (2, [])


def test_what_is_forgotten_while_others_are_done_is_not_done() -> None:
    agenda = Agenda(Clock())
    agenda.later("judge", "a", 0)
    agenda.later("judge", "b", 0)
    agenda.later("settle", "b", 0)

    done = []
    for one in agenda.due():
        done.append(one)
        agenda.forget("b")

    assert done == [("judge", "a")]
