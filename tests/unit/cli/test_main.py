"""The command line as a program: its end when stdout cannot be written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = (["schema"], ["reference", "rules"], ["release", "--json"], ["release"], ["--help"])


def run(words: list[str], stdout: int, state: Path) -> tuple[int, str]:
    """Return the exit status and stderr."""
    command = [sys.executable, "-m", "sriovbond", *words]
    environ = {**os.environ, "SRIOVBOND_AGENT_STATE": str(state)}
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, env=environ, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_under_stdout_is_reported_in_one_line(words: list[str], tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)

    done = run(words, full, tmp_path)

    os.close(full)
    assert done == (1, "Error: cannot write to stdout: No space left on device\n")


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_client_that_stops_reading_is_disconnected(words: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = run(words, writer, tmp_path)

    os.close(writer)
    assert done == (1, "")
