"""A change of the node's network is kept whole or reverted whole, whatever ends it."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support.changes import Changes, await_end
from tests.support.sites import NodeUnderTest
from tests.support.uplinks import BEYOND_REACH, BRIDGE, DNS, a_plain_uplink

pytestmark = pytest.mark.long
SOON_S = (20.0, 120.0)
"""Times that a change has, the next where a slow machine needs longer."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_plain_uplink(tmp_path) as made:
        yield made


@pytest.fixture
def changes(node: NodeUnderTest) -> Changes:
    return Changes(node, [])


def test_a_change_is_made_committed_and_quiet_on_repeat(changes: Changes) -> None:
    first = changes.apply(BRIDGE + DNS)
    changes.node.sent.clear()
    again = changes.apply(BRIDGE + DNS)

    assert (first, again) == (ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO)
    assert changes.checkpoint is None
    assert changes.node.sent == []
    assert changes.node.left(BRIDGE + DNS) == []


def test_a_step_that_the_kernel_refuses_reverts_all(changes: Changes) -> None:
    before = changes.node.settle()

    with pytest.raises(RevertedError, match=r"10\.0\.0\.0/8.*; all is as it was before"):
        changes.apply(BRIDGE + BEYOND_REACH + DNS)

    changes.node.assert_is(before)
    assert changes.checkpoint is None


@pytest.mark.parametrize("number", [6])
def test_the_watchdog_reverts_the_changes_of_a_killed_process(
    changes: Changes, number: int
) -> None:
    before = changes.node.settle()

    statuses = {}
    for timeout_s in SOON_S:
        statuses[timeout_s] = changes.end_at(BRIDGE, number, timeout_s)
        if statuses[timeout_s] == -signal.SIGKILL:
            break

    assert statuses[timeout_s] == -signal.SIGKILL, statuses  # killed, in time
    await_end(changes, timeout_s + 60)
    changes.node.assert_is(before)


def test_nothing_is_touched_where_no_watchdog_can_be_armed(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")  # the watchdog's Python

    with pytest.raises(MachineError, match="cannot arm the watchdog"):
        changes.apply(BRIDGE)

    assert changes.node.sent == []
    assert changes.checkpoint is None
