"""Differences of a bond from its record, as an examination returns them."""

from itertools import repeat

from sriovbond.upkeep.examination import some_of


def test_of_endless_differences_a_hundred_are_returned() -> None:
    assert some_of(repeat("bond0 is missing a route")) == (
        *["bond0 is missing a route"] * 100,
        "and more",
    )
    assert some_of(["one", "two"]) == ("one", "two")
