import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from sriovbond.agent.turns import Door, Turns
from tests.support.agents import wait_for

SOON_S = 0.2


class Visitors:
    """Threads that enter, stay until they are released, and do not return."""

    def __init__(self, door: Door, count: int, pool: ThreadPoolExecutor) -> None:
        self.inside = 0
        self._out = threading.Semaphore(0)
        self._ended: list[Future[None]] = [pool.submit(self._visit, door) for _ in range(count)]

    def _visit(self, door: Door) -> None:
        with door:
            self.inside += 1
            self._out.acquire()
            self.inside -= 1

    def let_out(self, count: int) -> None:
        for _ in range(count):
            self._out.release()

    def have_gone(self) -> bool:
        return all(one.done() for one in self._ended)


def test_two_wait_at_the_door_and_others_when_both_have_gone_in(pool: ThreadPoolExecutor) -> None:
    visitors = Visitors(Door(), 4, pool)
    wait_for(lambda: visitors.inside == 2)

    visitors.let_out(1)
    wait_for(lambda: visitors.inside == 1)
    time.sleep(SOON_S)
    alone = visitors.inside
    visitors.let_out(1)
    wait_for(lambda: visitors.inside == 1)
    visitors.let_out(1)
    wait_for(lambda: visitors.inside == 1)
    visitors.let_out(1)

    assert alone == 1
    wait_for(visitors.have_gone)


def test_an_open_door_lets_all_in(pool: ThreadPoolExecutor) -> None:
    door = Door()
    visitors = Visitors(door, 5, pool)
    wait_for(lambda: visitors.inside == 2)

    door.open()

    wait_for(lambda: visitors.inside == 5)
    visitors.let_out(5)


def test_work_of_a_key_waits_for_the_one_before_without_a_thread(pool: ThreadPoolExecutor) -> None:
    turns, done = Turns(1, 0), list[str]()
    begun, go_on = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        go_on.wait()
        done.append("first")

    running = pool.submit(turns.after_others, "pod", first)
    begun.wait()

    assert turns.after_others("pod", lambda: done.append("second"), 2)
    assert turns.after_others("pod", lambda: done.append("third"), 2)
    assert not turns.after_others("pod", lambda: done.append("too much"), 2)
    assert turns.after_others("pod", lambda: done.append("a replay"))  # it must be done eventually
    assert turns.after_others("other", lambda: done.append("other"), 2)
    assert not turns.finish(SOON_S)
    go_on.set()

    assert running.result()
    assert turns.finish(SOON_S)
    assert done == ["other", "first", "second", "third", "a replay"]


def test_a_fault_is_reported_and_the_next_has_its_turn(capsys: pytest.CaptureFixture[str]) -> None:
    turns, done = Turns(1, 1), list[str]()

    def broken() -> None:
        turns.after_others("pod", lambda: done.append("second"))
        raise ValueError("broken")

    assert turns.after_others("pod", broken)

    assert done == ["second"]
    assert "a fault of sriovbond: ValueError: broken" in capsys.readouterr().err
    assert turns.finish(0)


def test_spare_threads_take_no_more_than_may_wait() -> None:
    turns, go_on = Turns(1, 1), threading.Event()

    taken = [turns.take(go_on.wait) for _ in range(3)]
    go_on.set()

    assert taken == [True, True, False]
    assert turns.finish(10)
    assert turns.take(go_on.wait)
    assert turns.finish(10)
