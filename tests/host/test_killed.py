"""SIGKILL before each request of a change and of its way back: all is as it was, each time."""

from pathlib import Path

import pytest

from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest
from tests.support.uplinks import STACK, an_uplink

pytestmark = pytest.mark.usefixtures("without_watchdog")


def count(node: NodeUnderTest, changes: Changes) -> tuple[int, int]:
    """Return how many requests the change and its way back have."""
    changes.apply(STACK, is_waiting=True)
    forth = len(node.sent)
    changes.rollback()
    return forth, len(node.sent) - forth


def test_a_change_that_is_killed_at_any_request_is_reverted(tmp_path: Path) -> None:
    with an_uplink(tmp_path) as node:
        changes, before = Changes(node, []), node.settle()
        forth, _ = count(node, changes)
        node.assert_is(before)

        for number in range(1, forth + 1):
            assert changes.kill_at(STACK, number), number
            changes.rollback()
            node.assert_is(before)


def test_a_way_back_that_is_killed_at_any_request_is_gone_again(tmp_path: Path) -> None:
    with an_uplink(tmp_path) as node:
        changes, before = Changes(node, []), node.settle()
        _, back = count(node, changes)

        kills = 0
        for number in range(1, back + 1):
            changes.apply(STACK, is_waiting=True)
            kills += changes.kill_rollback_at(number)
            if changes.checkpoint:
                changes.rollback()
            node.assert_is(before)

    assert kills > back / 2, (kills, back)  # it may have fewer requests than when they were counted
