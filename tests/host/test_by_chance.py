"""Changes by chance, one after the other on a node: each is quiet on repeat, and goes whole."""

import signal
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest

from sriovbond.bond.links import NO_MAC
from sriovbond.errors import SriovbondError
from sriovbond.nodenet.document import DocumentError
from sriovbond.reshape import limits
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support.chance import NICS, Chance
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node, wait_until
from tests.support.worlds import World, settled

MADE = 2
"""How many documents of each seed have to be made: others are refused, as chance has it."""
MOST = 60
SEEDS = 20


pytestmark = pytest.mark.usefixtures("without_watchdog")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node(tmp_path) as made:
        for number, name in enumerate(NICS, 1):
            near, far = f"02:00:00:00:00:0{number}", f"02:00:00:00:01:0{number}"
            wire = f"link add {name} address {near} type veth peer far{number} address {far}"
            made.ip(wire, f"link set {name} up", f"link set far{number} up")
        yield made


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_change_by_chance_is_quiet_on_repeat_and_goes_without_a_trace(
    node: NodeUnderTest, seed: int
) -> None:
    changes = Changes(node, [])

    play_until_made(Chance(seed), lambda text: play(changes, text))


@pytest.mark.parametrize("seed", range(SEEDS, 2 * SEEDS))
def test_a_change_by_chance_and_its_way_back_that_are_killed_leave_no_trace(
    node: NodeUnderTest, seed: int
) -> None:
    changes, requests = Changes(node, []), cycle(range(1 + seed % 13, 0, -3))

    play_until_made(
        Chance(seed), lambda text: play_killed(changes, text, next(requests), 1 + seed % 5)
    )


def play_until_made(chance: Chance, play: Callable[[str], bool]) -> None:
    """Play documents until so many were made: were all refused, nothing would be shown."""
    made = 0
    for _ in range(MOST):
        made += play(chance.document())
        if made == MADE:
            return
    pytest.fail(f"of {MOST} documents {made} were made")


def play(changes: Changes, text: str) -> bool:
    """Make a change, revert it, and make it to stay; what is refused by name or kernel is not.

    Return whether it was made.
    """
    if is_refused(changes.node, text):
        return False
    before = look(changes.node)
    outcome, refusal = apply(changes, text)
    assert "differs from the document" not in refusal, text
    if refusal:
        assert_is(changes.node, before, text)
        return False
    assert changes.node.left(text) == [], text
    if outcome is ChangeOutcome.NOTHING_TO_DO:
        return False
    changes.rollback()
    assert_is(changes.node, before, text)
    changes.apply(text)
    return True


def play_killed(changes: Changes, text: str, number: int, number_back: int) -> bool:
    """Kill a change before its request of that number, and its way back; then revert it.

    Return whether it was killed: it may have fewer requests, or be refused.
    """
    if is_refused(changes.node, text):
        return False
    before = look(changes.node)
    status = changes.end_at(text, number)
    if status == 0:
        assert changes.node.left(text) == [], text
        return False
    if status == -signal.SIGKILL:
        changes.kill_rollback_at(number_back)
        if changes.checkpoint:
            changes.rollback()
    assert_is(changes.node, before, text)
    return status == -signal.SIGKILL


def apply(changes: Changes, text: str) -> tuple[ChangeOutcome | None, str]:
    """Return what comes of a change, and why the kernel refused it, if it did."""
    try:
        return changes.apply(text, is_waiting=True), ""
    except RevertedError as error:
        return None, str(error)


def is_refused(node: NodeUnderTest, text: str) -> bool:
    try:
        joined = node.join(text)
    except (DocumentError, SriovbondError):
        return True
    return bool([*joined.complaints, *limits.judge(joined)])


def look(node: NodeUnderTest) -> World:
    """Return the node without what the kernel does by itself, and indices of controllers."""
    facts = settled(node.world())
    return {
        key: (*row[:3], bool(row[3]), *row[4:]) if isinstance(row, tuple) else row
        for key, row in facts.items()
    }


def assert_is(node: NodeUnderTest, before: World, text: str) -> None:
    wait_until(lambda: look_beside(node, before) == before)
    now = look_beside(node, before)
    changed = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    assert not changed, (text, {key: (before.get(key), now.get(key)) for key in changed})


def look_beside(node: NodeUnderTest, before: World) -> World:
    """Return the node without MACs of bridges that had zeros: the kernel makes none with them."""
    return {
        key: (row[0], NO_MAC, *row[2:])
        if isinstance(row, tuple) and _is_bare(before.get(key))
        else row
        for key, row in look(node).items()
    }


def _is_bare(row: object) -> bool:
    """Return whether it is a bridge that all ports have left."""
    return isinstance(row, tuple) and row[1] == NO_MAC and row[-1] == "bridge"
