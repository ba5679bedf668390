"""Power loss in a change of the node's own network: QEMU is killed, and the next boot is judged.

On the host: `python -m tests.host.power`. Each boot judges what the cut of the boot before has
left, and goes to its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.faults.power import DISK_BYTES, lines_until_cut

VERDICT: Final = "after the cut "


class Place(StrEnum):
    """Where in a change the power is cut."""

    BEGUN = "before the first step"
    HALF = "in the middle of the steps"
    MADE = "all steps done, not compared"
    WAITING = "while it waits for a commit"
    REVERTING = "in the middle of a rollback"
    KEEPING = "in the commit"
    COMMITTED = "after the commit"


KEPT: Final = (Place.KEEPING, Place.COMMITTED)
"""After these the change is the node's network."""


def main() -> int:
    """Boot, cut the power, boot again; return 1 where the network is not as it should be."""
    image = Path("build/host.disk").resolve()
    image.parent.mkdir(exist_ok=True)
    image.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", image, f"{DISK_BYTES >> 10}k"], check=True)
    verdicts = [verdict for number in range(len(Place) + 1) for verdict in _boot(number, image)]
    image.unlink()
    held = [verdict for verdict in verdicts if not verdict["against"]]
    sys.stdout.write(f"power loss: {len(held)} of {len(Place)} held\n")
    return 0 if len(held) == len(verdicts) == len(Place) else 1


def _boot(number: int, image: Path) -> Iterator[dict[str, object]]:
    """Boot the VM for a cut; yield what it says of the one before."""
    for line in lines_until_cut(f"tests.host.outage {number}", image):
        sys.stdout.write(line)
        if line.startswith(VERDICT):
            yield json.loads(line.removeprefix(VERDICT))


if __name__ == "__main__":
    sys.exit(main())
