"""`make test-node`: `python -m tests.node PROGRAMS`, those that tests/node/tools names.

The control plane runs here, natively, on the loopback; a node with it in namespaces of its own.
Whatever happens, everything that was started ends. Logs: build/node.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from tests.node import machine, provision, store
from tests.node.control_plane import ControlPlane, a_control_plane
from tests.node.processes import LONGEST_S, FailedError

FOLDER: Final = Path("build/node")
_BOOTS_ANEW: Final = " // "
_INSIDE: Final = Path("tests/node/inside")
_OWN_NAMESPACES: Final = ("unshare", "--mount", "--net", "--pid", "--fork", "--mount-proc")
_BEGAN: Final = time.monotonic()


def main() -> int:
    """Run the tests; return 1 where one has failed."""
    programs = Path(sys.argv[1]).resolve()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        if os.environ.get("NODE") == "vm":
            provision.require_image()
        _say("starting the control plane")
        with a_control_plane(programs, FOLDER.resolve()) as plane:
            _say("it is ready")
            status = _test(plane, programs)
        _say("a node of this machine: kubelet and containerd")
        return _test_node(programs) or status
    except FailedError as error:
        _say(f"FAILED: {error}")
        return 1


def _test(plane: ControlPlane, programs: Path) -> int:
    environment = os.environ | {
        "SRIOVBOND_NODE": str(plane.folder),
        "SRIOVBOND_NODE_PROGRAMS": str(programs),
    }
    status = _pytest("native", environment)
    return _test_in_vm(plane, environment) or status if os.environ.get("NODE") == "vm" else status


def _test_in_vm(plane: ControlPlane, environment: dict[str, str]) -> int:
    """Boot the VM as a node of the control plane, once for each part of TESTS, with one disk."""
    with tempfile.TemporaryDirectory(prefix="sriovbond-node-") as name:
        disk = Path(name, "disk")
        _say("manifests, images, and a disk with them")
        provision.render(FOLDER / "manifests")  # emulated, kustomize takes minutes
        store.make_disk(plane.programs, provision.make_images(plane.programs, Path(name)), disk)
        statuses = []
        for boot in (os.environ.get("TESTS") or _all_tests()).split(_BOOTS_ANEW):
            _say(f"a node in the VM: {boot.strip()}")
            statuses.append(_boot(plane, environment, disk, shlex.split(boot)))
        return max(statuses)


def _all_tests() -> str:
    """Return all tests of the node: those of one boot, and those before and after a power loss."""
    first = map(str, [*sorted(_INSIDE.glob("test_*.py")), _INSIDE / "first_boot.py"])
    return _BOOTS_ANEW.join([" ".join(first), str(_INSIDE / "second_boot.py")])


def _boot(plane: ControlPlane, environment: dict[str, str], disk: Path, tests: list[str]) -> int:
    """Run tests in the VM, which then loses its power."""
    run = shlex.join(["python", "-m", "pytest", "-v", "--capture=sys", "--durations=0", *tests])
    options = machine.qemu_options(plane.port, disk)
    mode = os.environ.get("MODE") or "thick"
    modes = {"SRIOVBOND_MODE": mode, "SRIOVBOND_MULTUS": os.environ.get("MULTUS") or mode}
    variables = {"RUN": run, "QEMU_OPTIONS": options, **modes}
    command = ["make", "--no-print-directory", "vm"]
    booted = {**environment, **variables}
    return subprocess.run(command, env=booted, timeout=LONGEST_S, check=False).returncode


def _test_node(programs: Path) -> int:
    """Run a node of this machine in namespaces of its own, whose state is deleted at the end."""
    logs = FOLDER / "local"
    logs.mkdir()
    with tempfile.TemporaryDirectory(prefix="sriovbond-node-") as state:
        environment = os.environ | {
            "SRIOVBOND_NODE": str(logs.resolve()),
            "SRIOVBOND_NODE_PROGRAMS": str(programs),
            "SRIOVBOND_NODE_STATE": state,
        }
        status = _pytest("local", environment, *_OWN_NAMESPACES)
    cgroups = Path("/sys/fs/cgroup")
    ours = [cgroups / "k8s.io", *cgroups.glob("*/k8s.io")]
    for folder in [*(inner for each in ours for inner in each.glob("*/")), *ours]:
        with contextlib.suppress(OSError):  # of a container runtime that is not ours
            folder.rmdir()
    return status


def _pytest(folder: str, environment: dict[str, str], *inside: str) -> int:
    report = f"--junitxml={FOLDER}/{folder}.xml"
    command = [*inside, sys.executable, "-m", "pytest", "-q", report, f"tests/node/{folder}"]
    done = subprocess.run(command, env=environment, timeout=LONGEST_S, check=False)
    return 1 if done.returncode else 0


def _say(words: str) -> None:
    sys.stdout.write(f"node: {time.monotonic() - _BEGAN:4.0f} s: {words}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
