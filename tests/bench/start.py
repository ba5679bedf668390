"""STATUS through shim and agent, beside the bare start of bond-cni: both on this machine itself."""

import statistics
import tempfile
from pathlib import Path
from typing import Final

from tests.bench.subjects import Program
from tests.support.agents import an_agent
from tests.support.pods import Pod
from tests.support.shims import a_shim

ROUNDS: Final = 200
CONFIG: Final = {"cniVersion": "1.1.0", "name": "bench", "type": "sriovbond"}
NOBODY: Final = Pod("nobody", "nobody")


def measure(peer: Path) -> tuple[float, float]:
    """Return the medians of our STATUS and of the peer's start, in ms, taken in turn.

    The peer only tells its versions, which takes what its start takes. Where this kernel has no
    bonding, STATUS says so: it does as much.
    """
    ours: list[float] = []
    theirs: list[float] = []
    with a_shim() as shim, an_agent(shim), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        status = Program("sriovbond", str(shim.program), CONFIG, folder, may_fail=True)
        start = Program("bond-cni", str(peer), CONFIG, folder)
        for _ in range(ROUNDS):
            ours += status.call("STATUS", [NOBODY])
            theirs += start.call("VERSION", [NOBODY])
    return statistics.median(ours), statistics.median(theirs)
