"""Parallel runs of pytest: real ones, over modules in tmp_path."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import side_by_side
from tests.side_by_side import Command, Progress
from tests.support.agents import wait_for

CHECKOUT = Path(__file__).parent.parent.parent
PASSES = "def test_passes(): pass\n"
HANGS = "import time\ndef test_hangs(): time.sleep(3600)\n"
DIES = "import os\ndef test_dies(): os.kill(os.getpid(), 9)\n"
LEAVES = "import pytest\ndef test_leaves(): pytest.exit('enough', returncode=0)\n"
FAILS = "def test_fails(): assert False\n"
STALL_S = 5.0
NEVER = threading.Event()
BACKGROUND = ("--ignore-signal=INT",)  # as a shell without job control starts `make test &`
HAS_CHILD = """
import os, subprocess, pytest
@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "3600"], start_new_session=True) as process:
        yield process
        process.kill()
def test_hangs(child):
    with open("child", "w") as file: file.write(str(child.pid))
    child.wait()
"""


def commands(tmp_path: Path, *options: str, **modules: str) -> list[Command]:
    """Return two runs of pytest that share these modules, started by `env` with the options."""
    for name, text in modules.items():
        (tmp_path / f"test_{name}.py").write_text(text)
    folder = tmp_path / "runs"
    pytest_here = (sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", tmp_path)
    plugin = ("-p", "no:cacheprovider", "-p", "tests.support.shared_run", "--shared", folder)
    argv = [f"PYTHONPATH={CHECKOUT}", *pytest_here, *plugin]
    return [
        Command(name, ("env", *options, *map(str, argv), "--run", name, str(tmp_path)), folder)
        for name in ("vm1", "vm2")
    ]


@pytest.mark.slow
def test_each_module_is_run_once_and_the_progress_is_written(tmp_path: Path) -> None:
    runs = commands(tmp_path, **{f"no{number}": PASSES for number in range(6)})
    said: list[str] = []

    faults = side_by_side.run(runs, said.append, NEVER)

    ended = [side_by_side.progress_of(run.progress.read_text()).ended for run in runs]
    assert (faults, sum(ended)) == ([], 6)
    assert said[0] == f"100 %  vm1: {ended[0]} of 6 tests, vm2: {ended[1]} of 6 tests"
    assert [text.splitlines()[0] for text in said[1:]] == ["--- vm1", "--- vm2"]


@pytest.mark.slow
def test_a_failure_is_reported_at_once_and_is_a_fault_of_its_run(tmp_path: Path) -> None:
    runs = commands(tmp_path, fails=FAILS)
    said: list[str] = []

    (fault,) = side_by_side.run(runs, said.append, NEVER)

    whose = fault.split()[0]
    assert fault == f"{whose} ended with status 1"
    assert said[0] == f"{whose}: FAILED test_fails.py::test_fails"


@pytest.mark.slow
def test_a_run_that_dies_is_reported_with_the_test_that_it_was_in(tmp_path: Path) -> None:
    runs = commands(tmp_path, dies=DIES, passes=PASSES)

    (fault,) = side_by_side.run(runs, lambda _: None, NEVER)

    assert fault.endswith(" was in test_dies.py::test_dies when it ended with status -9")


@pytest.mark.slow
def test_a_run_that_hangs_is_ended_and_reported_with_the_test_that_it_is_in(tmp_path: Path) -> None:
    runs = commands(tmp_path, hangs=HANGS, passes=PASSES)

    (fault,) = side_by_side.run(runs, lambda _: None, NEVER, stall_s=STALL_S)

    assert " was in test_hangs.py::test_hangs and was ended: nothing came of it for" in fault


@pytest.mark.slow
def test_a_run_that_never_begins_is_ended(tmp_path: Path) -> None:
    run = Command("vm1", ("sleep", "3600"), tmp_path / "runs")

    (fault,) = side_by_side.run([run], lambda _: None, NEVER, start_s=0.1)

    assert fault.startswith("vm1 was in no test and was ended: nothing came of it for")


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), BACKGROUND], ids=["foreground", "background"])
def test_runs_that_are_stopped_end_with_all_that_their_fixtures_have_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = commands(tmp_path, *options, has_child=HAS_CHILD)
    stop = threading.Event()
    child = tmp_path / "child"

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(side_by_side.run, runs, lambda _: None, stop)
        wait_for(lambda: child.exists() and child.read_text() != "")
        stop.set()
        with pytest.raises(side_by_side.StoppedError):
            outcome.result()

    assert not Path("/proc", child.read_text()).exists()


@pytest.mark.slow
def test_tests_that_were_not_run_are_a_fault(tmp_path: Path) -> None:
    runs = commands(tmp_path, leaves=LEAVES + PASSES)

    faults = side_by_side.run(runs, lambda _: None, NEVER)

    assert faults == ["0 tests were run where there are 2"]


def test_runs_that_end_well_without_a_test_are_a_fault(tmp_path: Path) -> None:
    runs = [Command(name, ("true",), tmp_path / "runs") for name in ("vm1", "vm2")]

    assert side_by_side.run(runs, lambda _: None, NEVER) == ["no test was run"]


MAKE = """#!/bin/sh
case "$*" in *print-boot*) {answer} ;; esac
"""


@pytest.mark.parametrize(("answer", "status"), [("echo exit 7", 7), ("exit 2", 125), ("echo", 125)])
def test_a_vm_whose_start_is_not_known_is_no_success(
    tmp_path: Path, answer: str, status: int
) -> None:
    (tmp_path / "make").write_text(MAKE.format(answer=answer))
    (tmp_path / "make").chmod(0o755)

    done = subprocess.run(
        [CHECKOUT / "tests/vm/run", "true"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=False,
    )

    assert done.returncode == status


@pytest.mark.slow
def test_a_run_that_begins_again_runs_its_modules_again(tmp_path: Path) -> None:
    run, _ = commands(tmp_path, no1=PASSES, no2=PASSES)
    twice = Command("vm1", ("sh", "-c", '"$@"; "$@"', "sh", *run.argv), run.folder)

    faults = side_by_side.run([twice], lambda _: None, NEVER)

    assert faults == []
    assert side_by_side.progress_of(run.progress.read_text()) == Progress(collected=2, ended=2)


def test_a_line_that_is_not_whole_yet_is_no_number() -> None:
    progress = side_by_side.progress_of("collected 12\nbegins a.py::test_a\nended a.py::test_a\n")

    assert progress == Progress(collected=12, ended=1)
    assert side_by_side.progress_of("collected 1") == Progress()
