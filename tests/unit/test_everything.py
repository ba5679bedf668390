"""The summary of `make test` counts what was skipped by itself."""

import subprocess
import sys
from pathlib import Path

from tests import everything
from tests.everything import Counts, Outcome, Step

TESTS = """import pytest

def test_passes(): pass

def test_fails(): assert False

@pytest.mark.skip(reason="a sample, whose skip is to be counted")
def test_is_skipped(): pass
"""


def test_a_skipped_test_is_not_counted_as_passed(tmp_path: Path) -> None:
    (tmp_path / "test_outcomes.py").write_text(TESTS)
    report = tmp_path / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=False)

    counts = everything._counts(report)  # noqa: SLF001

    assert counts == Counts(passed=1, failed=1, skipped=1)


def test_the_summary_names_how_many_were_skipped() -> None:
    step = Step("unit tests", list, reports=(Path("unit.xml"),))

    outcome = Outcome(step, [], Counts(passed=5, skipped=2), 1.2)

    assert outcome.text == "ok     unit tests: 5 passed, 0 failed, 2 skipped, 1 s"
