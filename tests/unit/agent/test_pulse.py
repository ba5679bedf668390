import pytest

from sriovbond.agent.pulse import Pulse


def test_a_loop_that_has_not_turned_for_too_long_is_named() -> None:
    now = [100.0]
    pulse = Pulse("main loop", "watch", limit_s=30, clock=lambda: now[0])
    assert pulse.fault() == ""

    now[0] += 29
    pulse.beat("main loop")
    now[0] += 2

    assert pulse.fault() == "watch has been stuck for 31 s"


def test_a_loop_that_was_not_announced_is_a_fault_of_ours() -> None:
    with pytest.raises(KeyError):
        Pulse("watch", limit_s=30).beat("main")
