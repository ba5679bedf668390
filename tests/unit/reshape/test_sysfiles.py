"""Files of sysfs are written for a bounded time: here a pipe is the driver that hangs."""

import os
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.reshape import sysfiles


def test_a_value_is_written(tmp_path: Path) -> None:
    file = tmp_path / "sriov_numvfs"
    file.write_text("0")

    sysfiles.write(file, "4")

    assert file.read_text() == "4"


def test_a_driver_that_hangs_is_named_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysfiles, "_PATIENCE_S", 0.1)  # its 60 s are long for a test
    file = tmp_path / "sriov_numvfs"
    os.mkfifo(file)  # its opening blocks until it is read

    with pytest.raises(MachineError, match=r"cannot write 4 to .*: the driver has not answered"):
        sysfiles.write(file, "4")

    with file.open("rb") as reader:
        assert reader.read() == b"4"


def test_a_value_that_the_kernel_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot write 4 to .*: No such file or directory"):
        sysfiles.write(tmp_path / "missing", "4")
