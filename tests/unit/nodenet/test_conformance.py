"""`make conformance` tells equal from different, and a known reason from none."""

from pathlib import Path

import pytest

from tests import conformance
from tests.docs_tables import CHECKOUT

STATE = "interfaces: [{name: eth1, type: ethernet, state: up, mtu: 1500}]"
WISH = "interfaces: [{name: eth1, mtu: 1400}]"


def _case(folder: Path, kind: str, **texts: str) -> None:
    case = folder / kind / "case"
    case.mkdir(parents=True)
    for name, text in texts.items():
        (case / f"{name}.yml").write_text(text, encoding="utf-8")


def test_equal_cases_end_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = "interfaces: [{name: eth1, type: ethernet, state: up, mtu: 1500}]"
    _case(tmp_path, "diff", current=STATE, desired=WISH, diff=back.replace("1500", "1400"))
    _case(tmp_path, "revert", current=STATE, desired=WISH, revert=back)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "ovn.yml").write_text("ovn: {}", encoding="utf-8")

    assert conformance.main([str(tmp_path)]) == 0

    assert capsys.readouterr().out == (
        "diff/case: equal\n"
        "revert/case: equal\n"
        "examples/ovn.yml: differs on purpose: refused by name: line 1, column 1: "
        "'ovn' is not supported: Open vSwitch is configured by its own tools\n"
        "diff: 1 equal\nexamples: 1 differs on purpose\nrevert: 1 equal\n"
    )


def test_cases_of_ours_are_equal() -> None:
    outcomes = list(conformance.run(CHECKOUT / "tests" / "data" / "nmstate"))

    assert len(outcomes) >= 8
    assert [row for row in outcomes if row.verdict != conformance.Verdict.EQUAL] == []


def test_a_difference_without_a_reason_ends_with_1(tmp_path: Path) -> None:
    _case(tmp_path, "diff", current=STATE, desired=WISH, diff="")

    assert conformance.main([str(tmp_path)]) == 1


def test_a_folder_without_cases_ends_with_1(tmp_path: Path) -> None:
    assert conformance.main([str(tmp_path)]) == 1
    assert conformance.main([]) == 2
