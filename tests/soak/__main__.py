"""What takes long, in the VM: `make soak`. Figures on stdout and in build/soak.json."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.soak import isolation, kills, noise, parts
from tests.soak.figures import Report
from tests.support.shims import Shim, a_shim

PARTS: dict[str, Callable[[Shim, Report], None]] = {
    "kills": kills.kills,
    "full": parts.full,
    "cycles": parts.cycles,
    "isolation": isolation.isolation,
    "noise": noise.noise,
    "want": noise.want,
}


def main() -> int:
    """Run the parts that are named, or all; return 1 where a bound is broken."""
    report = Report(Path("build/soak.json"))
    sys.stdout.write(f"kernel {os.uname().release}\n")
    with a_shim() as shim:
        for name in sys.argv[1:] or PARTS:
            shim.clear()
            started = time.monotonic()
            PARTS[name](shim, report)
            report.tell(name, "took", time.monotonic() - started, "s")
    sys.stdout.write(f"{len(report.broken)} bounds broken\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
