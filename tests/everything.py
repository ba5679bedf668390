"""Run all that `make test` runs, one step after the other, and end with one summary."""

import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

BUILD = Path("build")
PYTHON = sys.executable
UNIT_REPORT = BUILD / "unit.xml"
KERNEL_REPORT = BUILD / "kernel.xml"
NOTES = BUILD / "kernel-notes.txt"
"""What the kernel tests say of themselves: kernel, programs, what was left out and why."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the report of the tests that it runs, if it runs any."""

    name: str
    command: tuple[str, ...]
    report: Path | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests by outcome."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed)


_KERNEL = f"{PYTHON} -m pytest -q tests/kernel --junitxml={KERNEL_REPORT}"
_NETDEVSIM = f"NETDEVSIM={os.environ.get('NETDEVSIM') or 1}"
STEPS = (
    Step("format", (PYTHON, "-m", "ruff", "format", "--check", ".")),
    Step("lint", (PYTHON, "-m", "ruff", "check", ".")),
    Step("types", (PYTHON, "-m", "mypy")),
    Step("import contracts", (str(Path(PYTHON).with_name("lint-imports")), "--no-cache")),
    Step("unit tests", (PYTHON, "-m", "pytest", "-q", f"--junitxml={UNIT_REPORT}"), UNIT_REPORT),
    Step(
        "kernel tests",
        ("make", "--no-print-directory", "vm", f"RUN={_KERNEL}", _NETDEVSIM),
        KERNEL_REPORT,
    ),
)


def main() -> int:
    """Run every step, also after one has failed; return 1 if any did."""
    BUILD.mkdir(exist_ok=True)
    for stale in (UNIT_REPORT, KERNEL_REPORT, NOTES):
        stale.unlink(missing_ok=True)
    wanted = sys.argv[1:]
    steps = [step for step in STEPS if not wanted or step.name in wanted]
    told, total = [], Counts()
    for step in steps:
        started = time.monotonic()
        _say(f"\n=== {step.name}")
        status = subprocess.run(step.command, check=False).returncode
        counts = _counts(step)
        total += counts
        took = f"{time.monotonic() - started:.0f} s"
        numbers = f"{counts.passed} passed, {counts.failed} failed, " if step.report else ""
        told.append((status, f"{'ok' if status == 0 else 'FAILED':<7}{step.name}: {numbers}{took}"))
    _say("\n=== summary")
    _say(NOTES.read_text() if NOTES.exists() else "", *(line for _, line in told))
    failed_steps = sum(1 for status, _ in told if status)
    _say(f"\n{total.passed} passed, {max(total.failed, failed_steps)} failed")
    return 1 if failed_steps else 0


def _counts(step: Step) -> Counts:
    if step.report is None or not step.report.exists():
        return Counts()
    counts = Counts()
    for suite in ET.parse(step.report).getroot().iter("testsuite"):  # noqa: S314 - our own file
        numbers = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors")}
        failed = numbers["failures"] + numbers["errors"]
        counts += Counts(numbers["tests"] - failed, failed)
    return counts


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(filter(None, lines)) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
