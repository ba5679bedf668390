import logging
import os
import re
import shlex
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sriovbond import log

STAMP = r"time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"


def lines_of(path: Path, **fields: object) -> list[str]:
    with log.logged_to(str(path), path.parent):
        log.event(logging.INFO, "happened", **fields)
    return path.read_text(encoding="utf-8").splitlines()


def test_an_event_is_a_line_on_stderr_and_never_on_stdout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log.logged_to(None, Path("/var/log"), command="ADD", pod="ns/web"):
        log.event(logging.WARNING, "a rule fired", rule="lacp-over-vf")

    captured = capsys.readouterr()
    expected = f'{STAMP} level=warning msg="a rule fired" command=ADD pod=ns/web rule=lacp-over-vf'
    assert re.fullmatch(expected + "\n", captured.err)
    assert captured.out == ""


def test_an_event_goes_into_the_file_and_not_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"

    assert len(lines_of(path)) == 1
    assert len(lines_of(path)) == 2

    assert capsys.readouterr().err == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("net1", "pci=net1"),
        ("0000:01:10.0", "pci=0000:01:10.0"),
        (7, "pci=7"),
        ("two words", 'pci="two words"'),
        ("a=b", 'pci="a=b"'),
        ('quoted "so"', r'pci="quoted \"so\""'),
        ("line\nlevel=info", r'pci="line\nlevel=info"'),
        ("\x1b[31mred", r'pci="\u001b[31mred"'),
        ("Zürich \N{SNOWMAN}", 'pci="Zürich \N{SNOWMAN}"'),
        ("\udcff", r'pci="\udcff"'),
        ("\x7f\x9b31m", r'pci="\u007f\u009b31m"'),
        ("evil\u202etxt\u2066", r'pci="evil\u202etxt\u2066"'),
        ("line\u2028level=info\x85", r'pci="line\u2028level=info\u0085"'),
        ("\U000e0041 tag", r'pci="\udb40\udc41 tag"'),
        ("a" * 2000, "pci=" + "a" * 2000),
        ("a" * 2001, f'pci="{"a" * 2000}... (1 more)"'),
        ("\x9b" * 5000, "pci=" + '"' + r"\u009b" * 2000 + '... (3000 more)"'),
    ],
)
def test_a_field_is_quoted_where_it_must_be_and_is_one_line(
    tmp_path: Path, value: object, written: str
) -> None:
    lines = lines_of(tmp_path / "log", pci=value)

    assert len(lines) == 1
    assert lines[0].endswith(f"msg=happened {written}")


def test_an_empty_field_is_left_out(tmp_path: Path) -> None:
    assert [
        part.partition("=")[0] for part in shlex.split(lines_of(tmp_path / "log", pod="")[0])
    ] == [
        "time",
        "level",
        "msg",
    ]


def plant(path: Path, kind: str) -> None:
    match kind:
        case "a folder":
            path.mkdir()
        case "a link":
            path.symlink_to(path.with_name("elsewhere"))
        case "a link to stdout":
            path.symlink_to("/dev/stdout")
        case "a pipe that nobody reads":
            os.mkfifo(path)


@pytest.mark.parametrize(
    "kind", ["a folder", "a link", "a link to stdout", "a pipe that nobody reads"]
)
def test_a_file_that_cannot_be_used_is_reported_on_stderr_and_holds_nothing_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    path = tmp_path / "log"
    plant(path, kind)

    with log.logged_to(str(path), tmp_path, pod="ns/web"):
        log.event(logging.INFO, "happened")

    captured = capsys.readouterr()
    told, happened = captured.err.splitlines()
    assert f"cannot log to '{path}'" in told
    assert "logging to stderr" in told
    assert "msg=happened" in happened
    assert captured.out == ""
    assert not path.with_name("elsewhere").exists()


def test_a_missing_folder_is_reported_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.logged_to(str(tmp_path / "no" / "log"), tmp_path):
        log.event(logging.INFO, "happened")

    assert "No such file or directory; logging to stderr" in capsys.readouterr().err


@pytest.mark.parametrize(
    "asked",
    [
        "{elsewhere}/log",
        "{logs}",
        "{logs}/",
        "{logs}/../elsewhere/log",
        "{logs}/inner/../../elsewhere/log",
        "{logs}-more/log",
        "log",
        "../elsewhere/log",
    ],
)
def test_a_file_that_is_not_below_the_folder_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    logs, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    for folder in (logs / "inner", elsewhere, tmp_path / "logs-more"):
        folder.mkdir(parents=True)
    path = asked.format(logs=logs, elsewhere=elsewhere)

    with log.logged_to(path, logs):
        log.event(logging.INFO, "happened")

    told, happened = capsys.readouterr().err.splitlines()
    assert f"cannot log to '{path}': it is not below {logs}" in told
    assert "msg=happened" in happened
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def test_a_folder_below_may_hold_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pods" / "inner" / "log"
    path.parent.mkdir(parents=True)

    with log.logged_to(str(path), tmp_path):
        log.event(logging.INFO, "happened")

    assert "msg=happened" in path.read_text()


@pytest.mark.parametrize("content", ["Nov 28 sshd[7]: Accepted", 'time="2026', "{", "t"])
def test_the_log_of_another_program_is_not_written_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = tmp_path / "auth.log"
    path.write_text(content)

    with log.logged_to(str(path), tmp_path):
        log.event(logging.INFO, "happened")

    assert path.read_text() == content
    told = capsys.readouterr().err
    assert f"cannot log to '{path}': it is another program's log; logging to stderr" in told
    assert "msg=happened" in told


def test_a_link_among_the_folders_is_not_followed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    logs.mkdir()
    elsewhere.mkdir()
    (logs / "pods").symlink_to(elsewhere)

    with log.logged_to(str(logs / "pods" / "log"), logs):
        log.event(logging.INFO, "happened")

    assert "Not a directory; logging to stderr" in capsys.readouterr().err
    assert list(elsewhere.iterdir()) == []


def test_a_file_whose_name_no_file_can_have_is_reported_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.logged_to(f"{tmp_path}/a\0b", tmp_path):
        log.event(logging.INFO, "happened")

    assert re.search(r"embedded null \w+.*; logging to stderr", capsys.readouterr().err)


def test_nothing_is_written_to_a_log_that_has_ended(tmp_path: Path) -> None:
    lines_of(tmp_path / "first")
    lines_of(tmp_path / "second")

    assert len((tmp_path / "first").read_text().splitlines()) == 1


def test_a_file_that_has_grown_to_its_bound_is_written_no_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log"
    with path.open("w") as file:
        file.write("time=2026")
        file.truncate(log.MOST_BYTES)  # a hole, which takes no disk

    with log.logged_to(str(path), tmp_path):
        log.event(logging.INFO, "happened")

    assert path.stat().st_size == log.MOST_BYTES
    fault, happened = capsys.readouterr().err.splitlines()
    assert "it has 64 MiB and more; move it away, as logrotate does; logging to stderr" in fault
    assert "msg=happened" in happened


def test_of_two_threads_each_logs_its_own_request(tmp_path: Path) -> None:
    meet = threading.Barrier(2)

    def request(name: str) -> None:
        with log.logged_to(str(tmp_path / name), tmp_path, pod=name):
            meet.wait()
            log.event(logging.INFO, "inside")
            meet.wait()

    with ThreadPoolExecutor() as pool:
        list(pool.map(request, ["first", "second"]))

    for name in ("first", "second"):
        (line,) = (tmp_path / name).read_text().splitlines()
        assert line.endswith(f"msg=inside pod={name}")


def test_a_log_ends_also_when_the_call_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), log.logged_to(str(tmp_path / "first"), tmp_path):
        raise ZeroDivisionError

    lines_of(tmp_path / "second")

    assert (tmp_path / "first").read_text() == ""


def test_a_failed_step_is_reported_with_the_error_of_its_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with log.logged_to(None, tmp_path), log.timed() as times:
        with log.step("look"):
            log.event(logging.INFO, "looking")
        log.event(logging.INFO, "between")
        with pytest.raises(OSError, match="no"), log.step("build"):
            raise OSError("no")
        log.event(logging.ERROR, "it went wrong")
    with log.logged_to(None, tmp_path):
        log.event(logging.INFO, "the next call")

    steps = [line.partition(" step=")[2] for line in capsys.readouterr().err.splitlines()]
    assert steps == ["look", "", "build", ""]
    assert set(times) == {"look", "build"}


@pytest.mark.slow
def test_a_stderr_without_a_reader_holds_the_plugin_up_for_a_second_at_most() -> None:
    program = (
        "import logging, time\n"
        "from sriovbond import log\n"
        "started = time.monotonic()\n"
        "for _ in range(2000): log.event(logging.ERROR, 'x' * 1000)\n"
        "print(time.monotonic() - started)\n"
    )
    reading, writing = os.pipe()
    command = [sys.executable, "-c", program]

    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writing, timeout=60, check=True)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        content = file.read()

    assert 0.5 < float(done.stdout) < 5
    assert 40_000 < len(content) <= 1 << 16
    assert content.startswith(b"time=")


def test_a_file_that_cannot_be_read_is_no_reason_to_fail_a_pod(
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    with log.logged_to("/proc/self/mem", Path("/proc/self")):  # EIO at its beginning
        log.event(logging.INFO, "happened")

    told = capsys.readouterr().err
    assert "cannot log to '/proc/self/mem': Input/output error; logging to stderr" in told.replace(
        '\\"', "'"
    )
    assert "msg=happened" in told
    assert len(list(Path("/proc/self/fd").iterdir())) == before
