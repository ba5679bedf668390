"""`make bench`: the VM's part, this machine's part, the table, the picture, the verdict.

Times and their ratios are information: they hang on the machine. What does not is bounded.
"""

import os
import subprocess
import sys
from typing import Final

from tests.bench import around, failover, picture, rows, start, steps, targets
from tests.bench.attach import FIGURES, PEERS

PICTURE: Final = FIGURES.with_suffix(".svg")


def main() -> int:
    """Return 1 where a bound is exceeded or the VM's part failed."""
    for stale in (FIGURES, steps.FIGURES):
        stale.unlink(missing_ok=True)
    parts = ("attach", "failover", "steps")
    run = "RUN=" + " && ".join(f"python -m tests.bench.{part}" for part in parts)
    if subprocess.run(["make", "--no-print-directory", "vm", run], check=False).returncode:
        return 1
    measured = rows.read(FIGURES)
    PICTURE.write_text(picture.draw(measured), encoding="utf-8")
    verdicts = targets.judge(measured)
    _say("", "median (95th percentile) in ms:", rows.table(measured), "")
    _say("aims, which hang on the machine:", *map(str, verdicts))
    failovers = failover.read()
    _say(str(failovers))
    _say(str(around.measure()))
    counted = steps.judge(steps.read(steps.FIGURES))
    _say("", *map(str, counted))
    is_slow = _is_start_slow() or failovers.is_short
    if not _has_peer():
        _say("bond-cni was left out: name the folder that has it, SRIOVBOND_PEERS")
    _say(f"written: {FIGURES}, {PICTURE}")
    return 1 if is_slow or any(verdict.is_exceeded for verdict in counted) else 0


def _has_peer() -> bool:
    return (PEERS / "bond").exists()


def _is_start_slow() -> bool:
    if not _has_peer():
        return False
    ours, theirs = start.measure(PEERS / "bond")
    verdict = f"STATUS natively {ours:.2f} ms, the bare start of bond-cni {theirs:.2f} ms"
    _say(f"{'SHORT' if ours > theirs else 'ok':<9} {verdict}")
    return ours > theirs


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
