"""What runs this program again, and how it leaves its container's cgroups."""

import sys
from pathlib import Path

import pytest

from sriovbond.container import program
from sriovbond.errors import MachineError


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run, as it seems, from a copy; return its launcher."""
    launcher = tmp_path / program.LAUNCHER
    launcher.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "0123"))
    return launcher


def test_outside_of_a_copy_it_is_run_by_this_python() -> None:
    assert program.copied_to() is None
    assert program.words() == [sys.executable, "-m", "sriovbond"]


def test_a_copy_is_run_by_its_launcher(copied: Path) -> None:
    assert program.words("sriovbond.dhcp") == [str(copied), "sriovbond.dhcp"]


@pytest.mark.parametrize("roots", [["."], ["memory", "unified"]], ids=["v2", "v1"])
@pytest.mark.usefixtures("copied")
def test_a_copy_leaves_all_cgroups(tmp_path: Path, roots: list[str]) -> None:
    cgroups = tmp_path / "cgroup"
    for root in roots:
        (cgroups / root).mkdir(parents=True)
        (cgroups / root / "cgroup.procs").touch()

    program.leave_container(cgroups)

    assert [(cgroups / root / "cgroup.procs").read_text() for root in roots] == ["0\n"] * len(roots)


@pytest.mark.usefixtures("copied")
def test_a_cgroup_that_cannot_be_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cgroup/cgroup.procs").mkdir(parents=True)

    with pytest.raises(MachineError, match=r"cannot leave the container's cgroup by '.*'"):
        program.leave_container(tmp_path / "cgroup")


def test_a_process_started_on_the_host_stays_in_its_cgroup(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()

    program.leave_container(tmp_path)

    assert (tmp_path / "cgroup.procs").read_text() == ""
