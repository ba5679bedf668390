"""Faults of the disk that has the records, of the records themselves, and of the clock."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Final

from tests.faults.fault import Act, Fault, Phase
from tests.faults.scene import Scene
from tests.support import disks, stages
from tests.support.disks import FailingDisk
from tests.support.shims import Shim
from tests.support.spoilt import SPOILT, Spoil

DAY_S: Final = 86400
EVERY: Final = tuple(Phase)
KEPT: Final = (Phase.BONDED,)


# the disk


@contextmanager
def small_disk(shim: Shim) -> Iterator[None]:
    """Have the state on a small disk of its own."""
    with disks.a_small_disk(shim.state):
        yield


def fill(scene: Scene) -> None:
    """Fill the disk with bytes."""
    disks.fill(scene.shim.state, "bytes")


def fill_inodes(scene: Scene) -> None:
    """Fill the disk with files."""
    disks.fill(scene.shim.state, "files")


def make_room(scene: Scene) -> None:
    """Empty it again."""
    disks.empty(scene.shim.state)


def make_read_only(scene: Scene) -> None:
    """Have nothing written to the disk any more."""
    disks.make_read_only(scene.shim.state)


def make_writable(scene: Scene) -> None:
    """End that."""
    disks.make_writable(scene.shim.state)


def failing_disk(shim: Shim) -> AbstractContextManager[FailingDisk]:
    """Have the state on a disk that can be made to fail."""
    return disks.a_failing_disk(shim.state, shim.home / "disk")


def break_disk(scene: Scene) -> None:
    """Have each read and write of the disk fail (EIO)."""
    _disk(scene).fail()


def recover_disk(scene: Scene) -> None:
    """End that."""
    _disk(scene).recover()


def _disk(scene: Scene) -> FailingDisk:
    assert isinstance(scene.setting, FailingDisk)
    return scene.setting


def hide_record(scene: Scene) -> None:
    """Have the record's reading end in EIO, as that of a process' memory at 0 does."""
    memory = f"/proc/{os.getpid()}/mem"
    subprocess.run(["mount", "--bind", memory, scene.record], check=True)


def show_record(scene: Scene) -> None:
    """End that."""
    subprocess.run(["umount", scene.record], check=True)


# the record


def spoiling(spoil: Spoil) -> Act:
    """Return what puts something else in the record's place."""

    def act(scene: Scene) -> None:
        spoil(scene.record)

    return act


def take_away(scene: Scene) -> None:
    """Do as an administrator who has read of a record that was set aside."""
    aside = [scene.record, *(scene.record.with_suffix(end) for end in (".damaged", ".newer"))]
    for path in aside:
        if path.is_dir():
            path.rmdir()
        with suppress(FileNotFoundError):
            path.unlink()


# the clock


@contextmanager
def own_clock(_shim: Shim) -> Iterator[None]:
    """Set the VM's clock right at the end."""
    before, started = time.time(), time.monotonic()
    try:
        yield
    finally:
        time.clock_settime(time.CLOCK_REALTIME, before + time.monotonic() - started)


def go_forward(_scene: Scene) -> None:
    """Set the clock a day forward."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() + DAY_S)


def go_back(_scene: Scene) -> None:
    """Set the clock a day back."""
    time.clock_settime(time.CLOCK_REALTIME, time.time() - DAY_S)


DISKS: Final = (
    Fault(
        "the disk is full",
        fill,
        EVERY,
        make_room,
        small_disk,
        cause="No space left on device",
    ),
    Fault(
        "the disk has no inode left",
        fill_inodes,
        EVERY,
        make_room,
        small_disk,
        cause="No space left on device",
    ),
    Fault(
        "the state folder is read-only",
        make_read_only,
        EVERY,
        make_writable,
        small_disk,
        cause="Read-only file system",
        blocks="Read-only file system",
    ),
    Fault(
        "the disk answers EIO",
        break_disk,
        EVERY,
        recover_disk,
        failing_disk,
        cause="Input/output error",
        blocks="Input/output error|Read-only file system|Structure needs cleaning",
    ),
    Fault(
        "the record answers EIO",
        hide_record,
        KEPT,
        show_record,
        blocks="Input/output error",
    ),
)
HOST_FACTS: Final = r"^host: (address|route|pf\dv0\b)"
"""What only the record knows of the host's links; that they come home is looked at."""
RECORDS: Final = (
    *(
        Fault(f"the record {words}", spoiling(spoil), KEPT, take_away)
        for words, spoil in SPOILT.items()
    ),
    Fault(
        "the record of links of the host is overwritten",
        spoiling(SPOILT["is overwritten"]),
        KEPT,
        take_away,
        stage=stages.over_host_vfs,
        spared=HOST_FACTS,
    ),
)
CLOCK: Final = (
    Fault("the clock jumps a day forward", go_forward, EVERY, setting=own_clock),
    Fault("the clock jumps a day back", go_back, EVERY, setting=own_clock),
)
FAULTS: Final = tuple(replace(fault, is_harmless=True) for fault in (*DISKS, *RECORDS, *CLOCK))
