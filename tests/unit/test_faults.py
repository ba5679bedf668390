"""The table of faults: made of what a run wrote; what did not hold is not hidden."""

from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.play import Rehearsed, find_left
from tests.faults.table import Row, Run
from tests.support import worlds


def a_row(**changes: object) -> Row:
    """Return a row of a fault that held."""
    fields: dict[str, object] = {
        "fault": "the disk is full",
        "phase": "while bonded",
        "way": "thin",
        "answers": "ADD ok; DEL ok",
        "against": [],
        "took_s": 1.5,
    }
    return Row(**{**fields, **changes})  # type: ignore[arg-type] # by name


def test_both_ways_of_a_case_are_one_row() -> None:
    run = Run("6.12", [a_row(), a_row(way="thick", answers="ADD ok; DEL error 5")])

    *_, row = table.table(run).splitlines()

    assert row == "| the disk is full | while bonded | ADD ok; DEL ok | ADD ok; DEL error 5 |"


def test_a_fault_that_did_not_hold_is_in_the_table_and_counted() -> None:
    run = Run(
        "6.12.9-amd64",
        [a_row(), a_row(fault="a reset", against=["new: bond0"], times=7)],
        "2026-11-29",
    )

    counts, *_, row = table.table(run).splitlines()

    assert counts == (
        "2 faults in 2 cases, 8 times in all, on Linux 6.12.9, the last of them on 2026-11-29: "
        "1 cases held, 1 did not."
    )
    assert "**ADD ok; DEL ok at each of 7 steps; new: bond0**" in row


def test_a_fault_without_a_run_is_named_below_the_table() -> None:
    run = Run("6.12", [a_row()])

    *_, count, _, line = table.table(
        run, [("the disk is full", "while bonded"), ("a reset", "during ADD")]
    ).splitlines()

    assert count == "Not shown by a run yet: 1 of 2 faults in their phases."
    assert line == "- during ADD: a reset"


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = Run("6.12", [a_row(), a_row(phase="before ADD", against=["x"])], "2026-11-29")

    table.write(tmp_path / "faults.json", run)

    assert table.read(tmp_path / "faults.json") == run


def test_a_later_run_of_a_case_takes_the_place_of_the_earlier_one() -> None:
    kept = [a_row(phase="before ADD"), a_row(fault="a reset")]
    before = Run("6.12", [a_row(against=["x"]), *kept, a_row(way="thick")])

    joined = table.join(before, Run("6.12", [a_row()]))

    assert joined.rows == [*kept, a_row()]


@pytest.mark.parametrize("now", [{"net1": "up"}, {"net1": "down"}, {}])
def test_a_fact_may_be_as_before_or_as_the_fault_alone_leaves_it(now: dict[str, object]) -> None:
    rehearsed = Rehearsed({"net1": "up"}, {"net1": "down"} if now else {})

    assert find_left(rehearsed, now, r"^$") == []


def test_links_left_changed_or_missing_are_named_but_for_the_excepted_ones() -> None:
    rehearsed = Rehearsed({"net1": "up", "net2": "up", "eth7": "a"}, {"net1": "down", "net2": "up"})
    now: dict[str, object] = {"net1": "lost", "bond0": "up", "eth7": "b"}

    left = find_left(rehearsed, now, "^eth")

    assert left == [
        "bond0: 'up', expected None",
        "net1: 'lost', expected 'down'",
        "net2: None, expected 'up'",
    ]


@pytest.mark.parametrize(
    ("link", "mtu6", "is_settled"),
    [
        ((1, "mac", 1500), 1450, False),
        ((1, "mac", 1500), 1500, True),
        ((0, "mac", 1500), 1450, True),
        ((1, "mac", 1500), None, True),
    ],
)
def test_links_that_are_up_are_waited_for_until_ipv6_has_their_mtu(
    link: tuple[object, ...],
    mtu6: int | None,
    is_settled: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sysctls = {} if mtu6 is None else {3: mtu6}
    facts: worlds.World = {"pod: net1": link, "pod: net1 sysctls IPv6": sysctls}

    assert worlds.is_mtu_settled(facts) == is_settled


def test_ipv6_has_an_old_mtu_of_a_link_that_is_down_and_that_is_no_difference() -> None:
    down: worlds.World = {"pod: net1": (0, "mac", 1500), "pod: net1 sysctls IPv6": {2: 64, 3: 1450}}

    slim = worlds.without_stale_mtu(down)

    assert slim["pod: net1 sysctls IPv6"] == {2: 64}
    assert worlds.without_stale_mtu(up := {**down, "pod: net1": (1, "mac", 1500)}) == up


def test_all_that_is_published_held() -> None:
    assert table.read(table.PUBLISHED).broken == []
