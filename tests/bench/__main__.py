"""`make bench`: the VM's part, this machine's part, the table, the picture, the verdict."""

import os
import subprocess
import sys
from typing import Final

from tests.bench import failover, picture, rows, start, targets
from tests.bench.attach import FIGURES, PEERS

PICTURE: Final = FIGURES.with_suffix(".svg")


def main() -> int:
    """Return 1 where a target is missed or the VM's part failed."""
    FIGURES.unlink(missing_ok=True)
    run = "RUN=python -m tests.bench.attach && python -m tests.bench.failover"
    if subprocess.run(["make", "--no-print-directory", "vm", run], check=False).returncode:
        return 1
    found = rows.read(FIGURES)
    PICTURE.write_text(picture.draw(found), encoding="utf-8")
    verdicts = targets.judge(found)
    _say("", "median (95th percentile) in ms:", rows.table(found), "", *map(str, verdicts))
    failovers = failover.read()
    _say(str(failovers))
    is_slow = _is_start_slow() or failovers.is_short
    if not _has_peer():
        _say("bond-cni was left out: name the folder that has it, SRIOVBOND_PEERS")
    _say(f"written: {FIGURES}, {PICTURE}")
    return 1 if is_slow or any(one.is_short for one in verdicts) else 0


def _has_peer() -> bool:
    return (PEERS / "bond").exists()


def _is_start_slow() -> bool:
    if not _has_peer():
        return False
    ours, theirs = start.measure(PEERS / "bond")
    told = f"STATUS natively {ours:.2f} ms, the bare start of bond-cni {theirs:.2f} ms"
    _say(f"{'SHORT' if ours > theirs else 'ok':<9} {told}")
    return ours > theirs


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
