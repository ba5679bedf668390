"""Run all that `make test` runs, one step after the other, and end with one summary."""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from tests.support import examples

BUILD = Path("build")
PYTHON = sys.executable
VMS = 2
"""A VM takes one core, so as many kernel tests run at once as CI has cores."""


@dataclass(frozen=True, slots=True)
class Step:
    """Commands that run at once, and the reports of the tests that they run, if they run any.

    `notes` are what tests say of themselves: kernel, programs, what was left out and why.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    reports: tuple[Path, ...] = ()
    notes: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests by outcome."""

    passed: int = 0
    failed: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.passed + other.passed, self.failed + other.failed)


def _unit_tests(name: str, *choice: str) -> Step:
    """Return the tests that need no VM, a process a core; `choice` leaves some out."""
    report = BUILD / "unit.xml"
    command = (PYTHON, "-m", "pytest", "-q", "--numprocesses=auto", "--dist=worksteal")
    return Step(name, ((*command, *choice, f"--junitxml={report}"),), (report,))


def _kernel_tests() -> Step:
    parts = range(1, VMS + 1)
    reports = tuple(BUILD / f"kernel-{part}.xml" for part in parts)
    tests = f"{PYTHON} -m pytest -q tests/kernel"
    runs = [
        f"{tests} --part={part}/{VMS} --junitxml={report}"
        for part, report in zip(parts, reports, strict=True)
    ]
    netdevsim = f"NETDEVSIM={os.environ.get('NETDEVSIM') or 1}"
    return Step(
        "kernel tests",
        tuple(("make", "--no-print-directory", "vm", f"RUN={run}", netdevsim) for run in runs),
        reports,
        tuple(BUILD / f"kernel-notes-{part}.txt" for part in parts),
    )


QUICK = _unit_tests("quick unit tests", "-m", "not slow", f"--hypothesis-profile={examples.QUICK}")
STEPS = (
    Step("format", ((PYTHON, "-m", "ruff", "format", "--check", "."),)),
    Step("lint", ((PYTHON, "-m", "ruff", "check", "."),)),
    Step("types", ((PYTHON, "-m", "mypy"),)),
    Step("import contracts", ((str(Path(PYTHON).with_name("lint-imports")), "--no-cache"),)),
    _unit_tests("unit tests"),
    _kernel_tests(),
)


def main() -> int:
    """Run every step, also after one has failed; return 1 if any did."""
    BUILD.mkdir(exist_ok=True)
    for stale in (path for step in STEPS for path in (*step.reports, *step.notes)):
        stale.unlink(missing_ok=True)
    wanted = sys.argv[1:]
    known = (*STEPS, QUICK) if wanted else STEPS
    steps = [step for step in known if not wanted or step.name in wanted]
    told, total = [], Counts()
    for step in steps:
        started = time.monotonic()
        _say(f"\n=== {step.name}")
        status = _run(step)
        counts = sum((_counts(report) for report in step.reports), Counts())
        total += counts
        took = f"{time.monotonic() - started:.0f} s"
        numbers = f"{counts.passed} passed, {counts.failed} failed, " if step.reports else ""
        told.append((status, f"{'ok' if status == 0 else 'FAILED':<7}{step.name}: {numbers}{took}"))
    _say("\n=== summary")
    notes = [path.read_text() for step in STEPS for path in step.notes if path.exists()]
    lines = dict.fromkeys(line for text in notes for line in text.splitlines())
    _say(*lines, "", *(line for _, line in told))
    failed_steps = sum(1 for status, _ in told if status)
    _say(f"\n{total.passed} passed, {max(total.failed, failed_steps)} failed")
    return 1 if failed_steps else 0


def _run(step: Step) -> int:
    """Run the commands at once; the first one is seen as it goes, the others when it has ended."""
    first, *others = step.commands
    logs = [tempfile.TemporaryFile("w+") for _ in others]  # noqa: SIM115 - closed below
    beside = [
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        for command, log in zip(others, logs, strict=True)
    ]
    failed = subprocess.run(first, check=False).returncode
    for process, log in zip(beside, logs, strict=True):
        failed = process.wait() or failed
        log.seek(0)
        _say(log.read())
        log.close()
    return failed


def _counts(report: Path) -> Counts:
    if not report.exists():
        return Counts()
    counts = Counts()
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own file
        numbers = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors")}
        failed = numbers["failures"] + numbers["errors"]
        counts += Counts(numbers["tests"] - failed, failed)
    return counts


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(filter(None, lines)) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
