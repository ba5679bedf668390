"""`make test-kernels`: kernel tests in a VM of each of several kernels, and what each kernel takes.

The table in the docs is made of docs/kernels.json. Figures that differ from it are a fault.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.kernels import table
from tests.kernels.table import PUBLISHED, Kernel
from tests.vm import debian, kernels

NEWEST: Final = "newest"
DEFAULT: Final = ("5.10", "6.1", kernels.DEFAULT, NEWEST)
BUILD: Final = Path("build/kernels")
FIGURES: Final = Path("build/kernels.json")
TESTS: Final = "tests/kernel/test_options.py"


def main() -> int:
    """Run each kernel of the command line, or the usual ones; return 1 where one has a fault."""
    BUILD.mkdir(parents=True, exist_ok=True)
    measured: dict[str, Kernel] = {}
    lines = []
    for series in map(_resolve, sys.argv[1:] or DEFAULT):
        started = time.monotonic()
        faults = _run(series, measured)
        state = "FAILED" if faults else "ok"
        lines += [f"{state:<7}Linux {series}: {time.monotonic() - started:.0f} s"]
        lines += [f"       {fault}" for fault in faults]
    table.write(FIGURES, measured)
    _say("", "=== summary", *lines, f"written: {FIGURES}")
    return 1 if any(line.startswith("FAILED") for line in lines) else 0


def _resolve(series: str) -> str:
    return kernels.newest() if series == NEWEST else series


def _run(series: str, measured: dict[str, Kernel]) -> list[str]:
    """Boot the kernel once for the tests and the figures; return what went wrong."""
    figures = BUILD / f"{series}.json"
    figures.unlink(missing_ok=True)
    _say("", f"=== Linux {series}")
    tests = os.environ.get("TESTS") or TESTS
    reports = f"--junitxml={BUILD}/{series}.xml --notes={BUILD}/{series}.notes"
    command = f"python -m tests.kernels.measure {figures}; python -m pytest -q {reports} {tests}"
    netdevsim = os.environ.get("NETDEVSIM") or "0"
    environment = os.environ | {"KERNEL": series, "NETDEVSIM": netdevsim}
    status = subprocess.run(["tests/vm/run", command], env=environment, check=False).returncode
    faults = [f"the tests ended with status {status}"] if status else []
    if not figures.exists():
        return [*faults, "what it takes of bonding was not measured"]
    measured[series] = json.loads(figures.read_text(encoding="utf-8"))
    return [*faults, *_stale(series, measured[series])]


def _stale(series: str, kernel: Kernel) -> list[str]:
    published = table.read(PUBLISHED)
    if series not in published:
        return []
    names = table.differences(published[series], kernel)
    release = published[series]["release"]
    return [
        f"{name} is otherwise than in {PUBLISHED}, measured with {release}: "
        f"cp {FIGURES} {PUBLISHED}, then make docs"
        for name in names
    ]


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except debian.FetchError as error:
        sys.exit(f"rig: {error}")
