"""The id of a client is that of the MAC, of the machine, or as the document writes it."""

import pytest

from sriovbond.dhcp.wish import fault_of_id, make_id
from tests.support.dhcp_packets import MAC


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "01461f54147cbb"),
        ("ll", "01461f54147cbb"),
        ("ff:0:a1", "ff00a1"),
        ("node-7", "006e6f64652d37"),
    ],
)
def test_an_id_is_as_the_document_has_it(text: str | None, expected: str) -> None:
    assert make_id(text, "bond0", MAC, "machine").hex() == expected


def test_an_id_of_the_machine_has_no_mac_and_differs_by_interface() -> None:
    first, second = (make_id("iaid+duid", name, MAC, "machine") for name in ("bond0", "bond1"))

    assert first[:1] == b"\xff"
    assert first[1:5] != second[1:5]
    assert first[5:] == second[5:]
    assert first[5:7] == b"\0\4"
    assert len(first) == 1 + 4 + 2 + 16
    assert MAC not in first


def test_a_machine_without_an_id_has_one_by_the_mac() -> None:
    assert make_id("iaid+duid", "bond0", MAC, "")[5:] == b"\0\3\0\1" + MAC


@pytest.mark.parametrize(
    ("text", "is_possible"), [("ll", True), ("x" * 253, True), ("x" * 255, False)]
)
def test_an_id_has_its_length(text: str, is_possible: bool) -> None:  # noqa: FBT001 - a row
    assert (fault_of_id(text) == "") is is_possible
