"""A change of the node's network is kept whole or reverted whole, whatever ends it."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.trial import transaction
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support import wire
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


BOND = """
interfaces:
- name: bond0
  type: bond
  link-aggregation: {mode: active-backup, options: {miimon: 100, resend_igmp: 3}, port: [eth2]}
"""
OTHERWISE = {
    "bridge": (
        BRIDGE,
        "set brport_cost 300",
        "link set br0 type bridge stp_state 1",
        "br0: set bridge.options.stp.enabled false, now true",
    ),
    "bond": (
        BOND,
        "put eth2 into bond0",
        "link set bond0 type bond resend_igmp 1",
        "bond0: set link-aggregation.options.resend_igmp 3, now 1",
    ),
}


@pytest.mark.parametrize("row", OTHERWISE)
def test_an_option_that_is_not_as_asked_for_in_the_end_reverts_all(
    changes: Changes, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    """Every option is read back; here another hand has set it before the last request."""
    document, last, otherwise, words = OTHERWISE[row]
    monkeypatch.setattr(transaction, "_VERIFY_S", 0.5)  # 10 s are long for a test
    before = changes.node.settle()

    with (
        wire.before(last, lambda: changes.node.ip(otherwise)),
        pytest.raises(RevertedError, match=f"the node differs from the document: {words}"),
    ):
        changes.apply(document)

    changes.node.assert_is(before)


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
