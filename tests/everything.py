"""Run all that `make test` runs, the VMs beside what needs none, and end with one summary."""

import os
import signal
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests import side_by_side
from tests.support import examples

BUILD = Path("build")
PYTHON = sys.executable
VMS = 2
"""A VM takes one core, so as many kernel tests run at once as CI has cores."""
CPUS = 1
"""CPUs of each: for two, an emulator makes each access atomic, and takes half as long again."""
UNIT_RUNS = (os.cpu_count() or 1) + 1
"""Runs of the unit tests: many of these wait for something, and leave their core idle."""
WITHOUT_EXAMPLES = ("-p", "no:hypothesispytest")
"""No kernel test has generated examples, and their plugin takes seconds to import in a VM."""
SHEBANGS = (b"#!/bin/sh\n", b"#!/usr/bin/env bash\n", b"#!/bin/bash\n")
STOP = threading.Event()
"""Set where a signal ends this program: each step ends what it has started."""
ASKED_EVERY_S = 0.1
SLOWEST = 10
"""Number of the slowest tests reported for each step."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is run, which returns its faults, and the reports of its tests, if it runs any.

    `notes` are what tests say of themselves: kernel, programs, what was left out and why.
    """

    name: str
    run: Callable[[], list[str]]
    reports: tuple[Path, ...] = ()
    notes: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests by outcome."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        left_out = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{left_out}"


def _program(*command: str) -> Callable[[], list[str]]:
    def run() -> list[str]:
        with subprocess.Popen(command, process_group=0) as process:
            while process.poll() is None and not STOP.wait(ASKED_EVERY_S):
                pass
            side_by_side.end(process)
        return [f"status {process.returncode}"] if process.returncode else []

    return run


def _unit_tests(name: str, *choice: str) -> Step:
    """Return the tests that need no VM; `choice` leaves some out."""
    folder = BUILD / "unit"
    names = [f"unit{number}" for number in range(1, UNIT_RUNS + 1)]
    commands = [_native(each, folder, *choice) for each in names]
    return Step(
        name,
        lambda: side_by_side.run(commands, _say, STOP),
        tuple(folder / f"{each}.xml" for each in names),
    )


def _native(name: str, folder: Path, *choice: str) -> side_by_side.Command:
    return side_by_side.Command(
        name, (*_shared(name, folder), *choice, f"--junitxml={folder}/{name}.xml"), folder
    )


def _shared(name: str, folder: Path) -> tuple[str, ...]:
    """Return the command of one of several runs that share the tests."""
    plugin = ("-p", "tests.support.shared_run", f"--shared={folder}", f"--run={name}")
    return (PYTHON, "-m", "pytest", "-q", *plugin)


def _kernel_tests() -> Step:
    folder = BUILD / "kernel"
    names = [f"vm{number}" for number in range(1, VMS + 1)]
    return Step(
        "kernel tests",
        lambda: _in_vms([_in_a_vm(name, folder) for name in names]),
        tuple(folder / f"{name}.xml" for name in names),
        tuple(folder / f"{name}.notes" for name in names),
    )


def _in_vms(commands: Sequence[side_by_side.Command]) -> list[str]:
    """Run the VMs, with the tests compiled here: each VM would take twenty times as long for it."""
    collect = (PYTHON, "-m", "pytest", "-q", *WITHOUT_EXAMPLES, "--collect-only", "tests/kernel")
    subprocess.run(collect, capture_output=True, check=False)  # a fault is reported by the VMs
    return side_by_side.run(commands, _say, STOP)


def _in_a_vm(name: str, folder: Path) -> side_by_side.Command:
    settings = {"NETDEVSIM": 1, "CPUS": CPUS}
    assignments = [f"{key}={os.environ.get(key) or value}" for key, value in settings.items()]
    reports = f"--junitxml={folder}/{name}.xml --notes={folder}/{name}.notes"
    pytest = " ".join((*_shared(name, folder), *WITHOUT_EXAMPLES))
    tests = f"{pytest} {reports} tests/kernel"
    argv = ("env", *assignments, "tests/vm/run", tests)
    return side_by_side.Command(name, argv, folder)


def _check_scripts() -> list[str]:
    return _program("shellcheck", *_scripts())()


def _scripts() -> list[str]:
    """Return all shell scripts that git knows, by their ending or their first line."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True)
    paths = [Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0")[:-1]]
    return [str(path) for path in paths if path.is_file() and _is_script(path)]


def _is_script(path: Path) -> bool:
    with path.open("rb") as content:
        return path.suffix == ".sh" or content.readline() in SHEBANGS


QUICK = _unit_tests("quick unit tests", "-m", "not slow", f"--hypothesis-profile={examples.QUICK}")
KERNEL = _kernel_tests()
STEPS = (
    Step("format", _program(PYTHON, "-m", "ruff", "format", "--check", ".")),
    Step("lint", _program(PYTHON, "-m", "ruff", "check", ".")),
    Step("types", _program(PYTHON, "-m", "mypy")),
    Step("import contracts", _program(str(Path(PYTHON).with_name("lint-imports")), "--no-cache")),
    Step("workflows", _program(os.environ.get("SRIOVBOND_ACTIONLINT") or "actionlint")),
    Step("scripts", _check_scripts),
    _unit_tests("unit tests"),
    KERNEL,
)


def main() -> int:
    """Run every step, also after one has failed; return 1 if any did."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    BUILD.mkdir(exist_ok=True)
    for stale in (path for step in STEPS for path in (*step.reports, *step.notes)):
        stale.unlink(missing_ok=True)
    names = sys.argv[1:]
    steps = [step for step in (*STEPS, QUICK) if step.name in names] if names else STEPS
    outcomes = _run_all(steps)
    _say("\n=== slowest", *(line for step in steps for line in _slowest(step)))
    _say("\n=== summary")
    notes = [path.read_text() for step in steps for path in step.notes if path.exists()]
    lines = dict.fromkeys(line for text in notes for line in text.splitlines())
    _say(*lines, "", *(outcome.text for outcome in outcomes))
    total = sum((outcome.counts for outcome in outcomes), Counts())
    failed_steps = sum(1 for outcome in outcomes if outcome.faults)
    _say(f"\n{replace(total, failed=max(total.failed, failed_steps))}")
    return 1 if failed_steps else 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a step."""

    step: Step
    faults: list[str]
    counts: Counts
    took_s: float

    @property
    def text(self) -> str:
        """Say it in a line, and in one for each fault."""
        state = "FAILED" if self.faults else "ok"
        tests = f"{self.counts}, " if self.step.reports else ""
        line = f"{state:<7}{self.step.name}: {tests}{self.took_s:.0f} s"
        return "\n".join([line, *(f"       {fault}" for fault in self.faults)])


def _run_all(steps: Sequence[Step]) -> list[Outcome]:
    """Run one after the other, and the VMs beside them, which wait often and leave cores idle."""
    pool = ThreadPoolExecutor(1)
    try:
        native = [pool.submit(_run, step) for step in steps if step is not KERNEL]
        kernel = [_run(step) for step in steps if step is KERNEL]
        return [*(future.result() for future in native), *kernel]
    finally:
        STOP.set()
        pool.shutdown(cancel_futures=True)


def _run(step: Step) -> Outcome:
    started = time.monotonic()
    _say(f"\n=== {step.name}")
    faults = step.run()
    counts = sum((_counts(report) for report in step.reports), Counts())
    return Outcome(step, faults, counts, time.monotonic() - started)


def _slowest(step: Step) -> list[str]:
    """Name the tests of a step that took longest, with the run that each was in."""
    cases = [
        (float(case.get("time", "0")), report.stem, case)
        for report in filter(Path.exists, step.reports)
        for case in ET.parse(report).getroot().iter("testcase")  # noqa: S314 - our own file
    ]
    slowest = sorted(cases, key=lambda timed: -timed[0])[:SLOWEST]
    return [
        f"{took_s:6.1f} s  {run}  {case.get('classname', '').removeprefix('tests.')}"
        f"::{case.get('name')}"
        for took_s, run, case in slowest
    ]


def _counts(report: Path) -> Counts:
    if not report.exists():
        return Counts()
    counts = Counts()
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own file
        tests, failures, errors, skipped = (
            int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")
        )
        failed = failures + errors
        counts += Counts(tests - failed - skipped, failed, skipped)
    return counts


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(filter(None, lines)) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
