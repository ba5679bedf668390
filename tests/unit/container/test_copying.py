"""This program copied to a host: it runs from the copy, and from nothing else."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond import ownfiles
from sriovbond.container import contents, copying
from sriovbond.container.program import LAUNCHER
from sriovbond.errors import MachineError, TryLaterError

pytestmark = pytest.mark.slow
NOTHING = {"PATH": "/nonexistent"}
MAPS = "print(pathlib.Path('/proc/self/maps').read_text())"
ONCE = ("timeit", "-n", "1", "-r", "1")
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy, whose path a shell would split."""
    folder = tmp_path_factory.mktemp("state") / "the program's"
    copying.make(folder, "0.1.0")
    return folder


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [folder / LAUNCHER, *words],
        env=NOTHING,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Have a process that runs from the newest copy, until the block ends."""
    words = [str(folder / LAUNCHER), *ONCE, "import sys; print(flush=True); sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=NOTHING, stdin=pipe, stdout=pipe) as process:
        assert process.stdout
        assert process.stdout.read(1) == b"\n"
        yield
        process.kill()


def test_a_copy_runs_the_command_line(folder: Path) -> None:
    assert run(folder, "sriovbond", "host", "modes").startswith("balance-rr (0)\n")


def test_a_copy_reads_the_node(folder: Path) -> None:
    assert "name: lo\n" in run(folder, "sriovbond", "host", "show", "lo")


def test_a_copy_runs_the_client_of_dhcp(folder: Path) -> None:
    assert "INTERFACE" in run(folder, "sriovbond.dhcp", "--help")


def test_a_copy_loads_no_file_of_the_host(folder: Path) -> None:
    imports = "import pathlib, ssl, sqlite3, grpc, pydantic, pyroute2, yaml, click"

    text = run(folder, *ONCE, f"{imports}; {MAPS}")

    loaded = [line.split(maxsplit=5)[5] for line in text.splitlines() if "/" in line]
    assert loaded
    assert [path for path in loaded if not path.startswith(f"{folder}/")] == []


def test_a_second_copy_of_the_same_program_is_not_made(folder: Path) -> None:
    (before,) = copies(folder)
    made_ns = before.stat().st_mtime_ns

    assert copying.make(folder, "0.1.0") == folder / LAUNCHER

    assert [path.stat().st_mtime_ns for path in copies(folder)] == [made_ns]


def test_a_program_that_another_process_compiled_meanwhile_is_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = copies(folder)
    compiled = tmp_path / "__pycache__/module.cpython-311.pyc"
    compiled.parent.mkdir()
    compiled.write_bytes(b"x")
    files = {**contents.files(), Path("__pycache__/module.cpython-311.pyc"): compiled}
    # as if it had been compiled since, in the place of the program itself
    monkeypatch.setattr(contents, "files", lambda: files)

    copying.make(folder, "0.1.0")

    assert copies(folder) == before


def test_an_unfinished_copy_of_a_killed_call_is_removed(folder: Path) -> None:
    (folder / ".copying-0123/bin").mkdir(parents=True)

    copying.make(folder, "0.1.0")

    assert not (folder / ".copying-0123").exists()


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "first").write_text("x")
    files = {Path("first"): tmp_path / "first", Path("second"): tmp_path}
    # the second file is a folder, so it cannot be copied
    monkeypatch.setattr(contents, "files", lambda: files)
    monkeypatch.setattr(contents, "libraries", lambda _: {})

    with pytest.raises(
        MachineError, match=r"cannot copy this program to '.*' for the host: Is a directory"
    ):
        copying.make(tmp_path / "program", "0.1.0")

    assert list((tmp_path / "program").iterdir()) == []


def test_a_copy_in_the_making_is_waited_for_in_bounds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_LOCK_S", 0.0)  # two minutes are long for a test

    with (
        ownfiles.locked_folder(folder, 0, TryLaterError("")),
        pytest.raises(TryLaterError, match="another process has copied this program for minutes"),
    ):
        copying.make(folder, "0.1.0")


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "program").mkdir()
    (tmp_path / "program").chmod(0o777)

    with pytest.raises(MachineError, match="program"):
        copying.make(tmp_path / "program", "0.1.0")


def test_all_copies_are_removed_once(tmp_path: Path) -> None:
    (tmp_path / "program/0123/bin").mkdir(parents=True)

    copying.remove(tmp_path / "program")
    copying.remove(tmp_path / "program")

    assert not (tmp_path / "program").exists()


def test_no_copy_in_the_making_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_LOCK_S", 0.0)  # two minutes are long for a test
    folder = tmp_path / "program"
    (folder / ".copying-0123").mkdir(parents=True)

    with (
        ownfiles.locked_folder(folder, 0, TryLaterError("")),
        pytest.raises(TryLaterError, match="another process has copied this program for minutes"),
    ):
        copying.remove(folder)

    assert (folder / ".copying-0123").exists()


def test_another_program_replaces_it_when_no_process_runs_from_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = copies(folder)
    # as in another image
    monkeypatch.setattr(contents, "files", lambda: {Path("note"): Path(__file__)})
    monkeypatch.setattr(contents, "libraries", lambda _: {})

    with running(folder):
        copying.make(folder, "0.2.0")
        assert len(copies(folder)) == 2
        assert before in copies(folder)
    copying.make(folder, "0.2.0")

    (now,) = copies(folder)
    assert now != before
    assert (now / "note").is_file()
    assert "# 0.2.0:" in (folder / LAUNCHER).read_text()
