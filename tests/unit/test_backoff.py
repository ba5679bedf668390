"""Failures are retried with growing pauses, up to a limit, without delaying others."""

import pytest

from sriovbond.backoff import Backoff, lengthen
from tests.support.clocks import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def backoff(clock: Clock) -> Backoff:
    return Backoff(30, 600, clock)


def test_the_waits_double_up_to_the_limit(backoff: Backoff, clock: Clock) -> None:
    waits = []
    for _ in range(7):
        backoff.failed("a")
        waits.append(backoff.pause_s())
        clock.now += waits[-1] or 0

    assert waits == [30, 60, 120, 240, 480, 600, 600]
    assert backoff.due(["a"]) == ["a"]


def test_one_that_fails_holds_no_other_up(backoff: Backoff, clock: Clock) -> None:
    backoff.failed("a")
    clock.now += 29
    backoff.failed("b")

    assert backoff.due(["a", "b", "c"]) == ["c"]
    clock.now += 1
    assert backoff.due(["a", "b", "c"]) == ["a", "c"]
    assert backoff.pause_s() == 0  # a is due, and was not tried yet


def test_failures_of_keys_that_no_longer_wait_are_forgotten(backoff: Backoff) -> None:
    backoff.failed("a")

    assert backoff.due([]) == []
    assert backoff.pause_s() is None
    assert backoff.due(["a"]) == ["a"]  # another key of its name starts anew


def test_a_first_wait_above_the_limit_is_the_limit(clock: Clock) -> None:
    backoff = Backoff(30, 10, clock)
    backoff.failed("a")
    backoff.failed("a")

    assert backoff.pause_s() == 30


def test_a_wait_lengthens_from_its_first_to_its_most() -> None:
    waits_s = [0.0]
    for _ in range(5):
        waits_s.append(lengthen(waits_s[-1], 1.0, 6.0))

    assert waits_s[1:] == [1.0, 2.0, 4.0, 6.0, 6.0]
