"""Folders that are watched, and those that cannot be."""

from pathlib import Path

import pytest

from sriovbond.agent.inotify import Folder
from sriovbond.errors import MachineError


def test_a_folder_that_cannot_be_watched_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(MachineError, match=r"cannot watch .*: No such file or directory"):
        Folder(tmp_path / "none")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
