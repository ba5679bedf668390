"""`make test-node`: `python -m tests.node PROGRAMS`, those that tests/node/tools names.

The control plane runs here, natively, on the loopback. Whatever happens, everything that was
started ends. Logs: build/node.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from tests.node.control_plane import ControlPlane, a_control_plane
from tests.node.processes import LONGEST_S, FailedError

FOLDER: Final = Path("build/node")
_BEGAN: Final = time.monotonic()


def main() -> int:
    """Run the tests; return 1 where one has failed."""
    programs = Path(sys.argv[1]).resolve()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        _say("starting the control plane")
        with a_control_plane(programs, FOLDER.resolve()) as plane:
            _say("it is ready")
            return _test(plane, programs)
    except FailedError as error:
        _say(f"FAILED: {error}")
        return 1


def _test(plane: ControlPlane, programs: Path) -> int:
    environment = os.environ | {
        "SRIOVBOND_NODE": str(plane.folder),
        "SRIOVBOND_NODE_PROGRAMS": str(programs),
    }
    report = f"--junitxml={FOLDER}/native.xml"
    command = [sys.executable, "-m", "pytest", "-q", report, "tests/node/native"]
    done = subprocess.run(command, env=environment, timeout=LONGEST_S, check=False)
    return 1 if done.returncode else 0


def _say(words: str) -> None:
    sys.stdout.write(f"node: {time.monotonic() - _BEGAN:4.0f} s: {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
