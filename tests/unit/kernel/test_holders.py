"""The holder of a namespace: a process that ends while it is read holds none, stops nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.kernel import holders

GONE = (4, 4026500000, 1)


@pytest.fixture
def zombie() -> Iterator[int]:
    """A zombie: a process that has ended and that its parent has not reaped."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    yield process.pid
    process.wait()


def a_process(proc: Path, mounts: Path) -> None:
    """Create a process with visible namespaces; its mounts are read a moment later."""
    links = proc / "17" / "ns"
    links.mkdir(parents=True)
    (links / "net").symlink_to("net:[4026531992]")
    (links / "mnt").symlink_to("mnt:[4026531993]")
    (proc / "17" / "mountinfo").symlink_to(mounts)


def test_a_process_that_ends_before_its_mounts_are_read_holds_nothing(
    tmp_path: Path, zombie: int
) -> None:
    a_process(tmp_path, Path(f"/proc/{zombie}/mountinfo"))

    assert holders.find(tmp_path, GONE) == ""


def test_mounts_that_cannot_be_read_prove_nothing(tmp_path: Path) -> None:
    a_process(tmp_path, tmp_path)

    with pytest.raises(MachineError, match=r"cannot read '.*/17/mountinfo': Is a directory"):
        holders.find(tmp_path, GONE)
