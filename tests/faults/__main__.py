"""`make faults`: each fault in each phase, thin and thick, in the VM. Rows in build/faults.json."""

import os
import sys
import time
from collections.abc import Iterator

from tests.faults import kills
from tests.faults.cases import FAULTS
from tests.faults.fault import Way
from tests.faults.play import Stagehand
from tests.faults.table import FILE, Row, Run, join, read, write
from tests.support.shims import Shim, a_shim
from tests.vm import rig


def main() -> int:
    """Play the cases whose name has one of the words given, or all; 1 where one did not hold."""
    words = sys.argv[1:]
    # outside of the VM there is no layout, and clock and devices would be the machine's
    rig.reset_vfs(
        *(vf.name for vf in rig.layout().vfs)
    )  # a PF's MAC for one may be of tests before
    kept = read(FILE) if words and FILE.exists() else Run(os.uname().release, [])
    rows: list[Row] = []
    with a_shim() as shim:
        for row in _play(shim, words):
            rows.append(row)
            sys.stdout.write(f"{row}\n")
            sys.stdout.flush()
            write(FILE, join(kept, Run(os.uname().release, rows, _today())))
    broken = sum(not row.holds for row in rows)
    sys.stdout.write(f"{len(rows)} cases, {broken} of them did not hold\n")
    return 1 if broken or not rows else 0


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _play(shim: Shim, words: list[str]) -> Iterator[Row]:
    stagehand = Stagehand(shim)
    for fault in FAULTS:
        for phase in fault.phases:
            if _is_meant(f"{fault.name}, {phase}", words):
                for way in Way:
                    yield stagehand.play(fault, way, phase)
    for sweep in kills.SWEEPS:
        if _is_meant(sweep.name, words):
            for way in Way:
                yield kills.play(shim, sweep, way)


def _is_meant(name: str, words: list[str]) -> bool:
    return not words or any(word in name for word in words)


if __name__ == "__main__":
    sys.exit(main())
