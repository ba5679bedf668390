"""The program as a runtime executes it: stdin, stdout and exit status."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sriovbond import records
from sriovbond.host import Host
from sriovbond.records import Record
from tests.docs_tables import CHECKOUT
from tests.support.builders import a_plan

CONFIG = b'{"cniVersion": "1.1.0", "name": "net", "type": "sriovbond"}'
PROGRAM = (sys.executable, "-m", "sriovbond")
WITH_STDOUT_CLOSED = ("sh", "-c", 'exec "$@" >&-', "sh", *PROGRAM)
WITH_STDIN_CLOSED = ("sh", "-c", 'exec "$@" <&-', "sh", *PROGRAM)


def environ(command: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    attachment = {"CNI_CONTAINERID": "none", "CNI_IFNAME": "bond0"}
    return {**own, "CNI_COMMAND": command, **attachment}


def call(
    command: str, *words: str, stdout: int | None = subprocess.PIPE
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words or PROGRAM,
        input=CONFIG,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environ(command),
        cwd=CHECKOUT,
        check=False,
    )


def test_an_answer_that_finds_a_closed_stdout_is_an_error() -> None:
    done = call("VERSION", *WITH_STDOUT_CLOSED)

    assert done.returncode == 1
    assert b'level=error msg="the answer could not be written: stdout is closed"' in done.stderr
    assert b"Traceback" not in done.stderr


def test_an_answer_that_finds_no_room_is_an_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = call("VERSION", stdout=full.fileno())

    assert done.returncode == 1
    assert b"the answer could not be written: No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_answer_without_a_reader_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)

    done = call("VERSION", stdout=writing)

    os.close(writing)
    assert done.returncode == 1
    assert b"the answer could not be written: Broken pipe" in done.stderr
    assert len(done.stderr.splitlines()) == 1


ELSEWHERE = """
import functools, pathlib, sys
from sriovbond import host
from sriovbond.__main__ import main

here = pathlib.Path(sys.argv[1])
host.Host = functools.partial(host.Host, state=here, run=here)
sys.exit(main())
"""


@pytest.mark.parametrize("closing", ["", ">&-", ">/dev/full"])
def test_a_call_that_has_nothing_to_say_needs_no_stdout(closing: str, tmp_path: Path) -> None:
    shell = ("sh", "-c", f'exec "$@" {closing}', "sh")

    done = call("DEL", *shell, sys.executable, "-c", ELSEWHERE, str(tmp_path))

    assert (done.returncode, done.stdout) == (0, b"")
    assert b"level=error" not in done.stderr


def test_a_gc_leaves_the_records_that_are_newer_than_its_process(tmp_path: Path) -> None:
    """Its list is older; the start of Python takes seconds where the CPU is limited."""
    host = Host(state=tmp_path, run=tmp_path)
    plan, none = a_plan(), (0, 0, 0)
    before, since = (
        Record("net", container, "bond0", "/nowhere", none, host.boot_id(), plan)
        for container in ("before", "since")
    )
    records.make_folder(host)
    records.write(host, before)
    time.sleep(0.1)  # a process's start is told in hundredths of a second
    config = {**json.loads(CONFIG), "cni.dev/valid-attachments": []}
    with subprocess.Popen(
        (sys.executable, "-c", ELSEWHERE, str(tmp_path)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environ("GC"), "CNI_PATH": "/nowhere"},
        cwd=CHECKOUT,
    ) as collection:
        records.write(host, since)
        _, log = collection.communicate(json.dumps(config).encode())

    assert collection.returncode == 0, log
    assert records.keys(host) == [since.key]


def test_a_stdin_that_cannot_be_read_is_no_configuration(tmp_path: Path) -> None:
    closed = call("STATUS", *WITH_STDIN_CLOSED)
    redirected = ("sh", "-c", f'exec "$@" 0>{tmp_path}/file', "sh", *PROGRAM)
    unreadable = call("STATUS", *redirected)

    assert [json.loads(one.stdout)["code"] for one in (closed, unreadable)] == [6, 6]


INTERRUPTED = """
import signal, sys
from sriovbond.__main__ import main

class Person:
    @property
    def buffer(self):
        signal.raise_signal(signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.stdin = Person()
sys.exit(main())
"""


def test_an_interrupt_while_stdin_is_read_ends_quietly() -> None:
    done = call("DEL", sys.executable, "-c", INTERRUPTED)

    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
