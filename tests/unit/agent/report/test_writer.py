import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond import log
from sriovbond.agent.report.writer import LogWriter
from tests.support.agents import wait_for

PIPE_BYTES = 1 << 16


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def fill(pipe: tuple[int, int]) -> None:
    """Fill a pipe, as after its reader stopped reading."""
    os.set_blocking(pipe[1], False)
    os.write(pipe[1], b"." * PIPE_BYTES)
    os.set_blocking(pipe[1], True)


def read(descriptor: int, size: int) -> bytes:
    content = b""
    while len(content) < size:
        content += os.read(descriptor, size - len(content))
    return content


def write_100(number: int) -> None:
    for place in range(100):
        log.event(logging.WARNING, f"line {number} {place}")


def test_lines_of_all_threads_are_written_whole(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        writer = LogWriter(file.fileno())
        with log.written_by(writer):
            threads = [threading.Thread(target=write_100, args=(number,)) for number in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 400
    assert all(" level=warning msg=" in line for line in lines)
    of_first = [line.rsplit('"', 2)[1] for line in lines if '"line 0 ' in line]
    assert of_first == [f"line 0 {n}" for n in range(100)]
    assert writer.lost == 0


def test_a_log_without_a_reader_blocks_nothing_and_lost_lines_are_counted(
    pipe: tuple[int, int],
) -> None:
    fill(pipe)
    flags = fcntl.fcntl(pipe[1], fcntl.F_GETFL)
    writer = LogWriter(pipe[1], most_bytes=1000)
    started = time.monotonic()

    for _ in range(50):
        writer.write("x" * 99 + "\n")
    took_s = time.monotonic() - started

    assert took_s < 1
    assert writer.lost == 40
    assert fcntl.fcntl(pipe[1], fcntl.F_GETFL) == flags
    with log.written_by(writer):
        content = read(pipe[0], PIPE_BYTES + 1000)
        told = os.read(pipe[0], 4096).decode()
    assert content.endswith(b"x\n")
    assert "level=warning" in told
    assert "40 lines of the log were lost" in told


@pytest.mark.slow
def test_a_flush_of_a_log_without_a_reader_ends(pipe: tuple[int, int]) -> None:
    fill(pipe)
    started = time.monotonic()

    with log.written_by(LogWriter(pipe[1])):
        log.event(logging.WARNING, "never read")

    assert 1 < time.monotonic() - started < 5
    os.read(pipe[0], PIPE_BYTES)


def test_a_line_that_cannot_be_written_is_counted() -> None:
    writer = LogWriter(os.open("/dev/full", os.O_WRONLY))

    writer.write("one\n")
    writer.write("two\n")

    wait_for(lambda: writer.lost == 2)


def test_a_descriptor_made_nonblocking_elsewhere_is_waited_for(
    pipe: tuple[int, int],
) -> None:
    fill(pipe)
    os.set_blocking(pipe[1], False)
    writer = LogWriter(pipe[1])

    writer.write("here\n")
    time.sleep(0.1)

    assert read(pipe[0], PIPE_BYTES + 5).endswith(b"here\n")
    assert writer.lost == 0
