"""Rules of one priority and table, of which one leaves out what another has, are each themselves.

The kernel compares what a request gives alone: it refuses the wider one beside the narrower one,
and removes the first that has what is given.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.nodenet.routing import RouteRule
from sriovbond.reshape import paths
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node

ADDED = "{family: ipv4, priority: 100, route-table: 200}"
REMOVED = "{family: ipv4, priority: 100, route-table: 200, ip-from: '', state: absent}"
WIDE = "100: from all lookup 200"
FROM = "100: from 10.0.0.0/8 lookup 200"
ELSEWHERE = "100: from 11.0.0.0/8 lookup 200"
TCP = "100: from all ipproto tcp lookup 200"
MARKED = "100: from all fwmark 0x3 lookup 200"
OTHER = "100: from all iif lo lookup 7"
CHANGES = {
    "beside one of a network": ([FROM], ADDED, [FROM, WIDE]),
    "beside one of a mark": ([OTHER, MARKED], ADDED, [OTHER, MARKED, WIDE]),
    "beside one that no document can have": ([TCP], ADDED, [TCP, WIDE]),
    "the narrower one beside it": (
        [WIDE],
        "{family: ipv4, priority: 100, route-table: 200, ip-from: 10.0.0.0/8}",
        [WIDE, FROM],
    ),
    "behind one of a network": ([FROM, WIDE], REMOVED, [FROM]),
    "before one of a network": ([WIDE, FROM], REMOVED, [FROM]),
    "behind one that no document can have": ([TCP, OTHER, WIDE], REMOVED, [TCP, OTHER]),
    "among others": (
        [OTHER, FROM, TCP, WIDE, ELSEWHERE],
        REMOVED,
        [OTHER, FROM, TCP, ELSEWHERE],
    ),
    "the narrower one alone": (
        [WIDE, FROM],
        "{ip-from: 10.0.0.0/8, priority: 100, state: absent}",
        [WIDE],
    ),
}


pytestmark = pytest.mark.usefixtures("without_watchdog")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node(tmp_path) as made:
        yield made


def rules(node: NodeUnderTest) -> list[str]:
    """Return those of the priority that is of interest, in the kernel's order."""
    lines = node.pod.run("ip", "rule").stdout.splitlines()
    return [" ".join(line.split()) for line in lines if line.startswith("100:")]


def put(node: NodeUnderTest, present: list[str]) -> None:
    """Have these rules in this order and no others of their priority."""
    node.ip(*("rule del priority 100" for _ in rules(node)))
    for line in present:
        if line == WIDE:  # `ip` asks for one that is new, and is refused
            paths.add_rule(node.site, RouteRule(family="ipv4", priority=100, route_table=200))
        else:
            node.ip(f"rule add priority {line.replace(':', '', 1)}")
    assert rules(node) == present
    node.sent.clear()


@pytest.mark.parametrize("name", CHANGES)
def test_a_rule_is_added_or_removed_and_a_narrower_one_stays(
    node: NodeUnderTest, name: str
) -> None:
    present, row, expected = CHANGES[name]
    text = f"route-rules: {{config: [{row}]}}"
    changes = Changes(node, [])
    put(node, present)

    changes.apply(text, is_waiting=True)
    forth = len(node.sent)
    assert rules(node) == expected
    assert node.is_quiet_on_repeat(text)
    changes.rollback()
    assert sorted(rules(node)) == sorted(present)

    for number in range(1, forth + 1):
        put(node, present)
        assert changes.kill_at(text, number)
        changes.rollback()
        assert {*rules(node)} == {*present}  # one that was being put behind it may be there twice
