"""`make fuzz` shares its inputs and its time out, so that both are bounded as a whole."""

import pytest

from tests.fuzz.__main__ import Clock, plan
from tests.fuzz.tally import Tally
from tests.fuzz.targets import TARGETS

ENGINES = 2


@pytest.mark.parametrize("inputs", [1, 1000, 1_000_000])
def test_every_engine_has_inputs_for_every_target_and_none_is_left_out(inputs: int) -> None:
    runs = plan(inputs)

    assert len(runs) == ENGINES * len(TARGETS)
    assert all(run.inputs >= 1 for run in runs)
    assert inputs <= sum(run.inputs for run in runs) <= inputs + len(runs)


def test_a_run_has_its_share_of_the_time_that_is_left() -> None:
    clock = Clock(seconds=100, runs=4, workers=2)

    shares = [clock.take_s() for _ in range(4)]

    assert shares[0] == pytest.approx(50, abs=1)
    assert shares[-1] == pytest.approx(100, abs=1)


def test_a_run_that_begins_too_late_has_a_second() -> None:
    assert Clock(seconds=-5, runs=1, workers=2).take_s() == 1


def test_tallies_add_up_to_counts_times_and_the_worst() -> None:
    first, second = Tally(10, 1.0, 0.5, 70), Tally(5, 2.0, 0.25, 250)

    assert first + second == Tally(15, 3.0, 0.5, 250)
