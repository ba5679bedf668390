"""The agent's start when the shim cannot be installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sriovbond.shim.install import NAME
from tests.support.agents import wait_for
from tests.support.containers import make_image

READ_ONLY = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
OLD = b"\x7fELF an older one"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_image(tmp_path_factory.mktemp("image"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "bin"
    path.mkdir()
    return path


@contextmanager
def an_agent_that_installs(
    image: Path, folder: Path
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run the agent until the block ends, with a read-only folder of plugins."""
    home = folder.parent
    log = home / "agent.log"
    settings = {"SOCKET": home / "socket", "STATE": home / "state", "RUN": home / "run"}
    environment = {f"SRIOVBOND_AGENT_{name}": str(path) for name, path in settings.items()}
    environment |= {"SRIOVBOND_AGENT_METRICS": "", "SRIOVBOND_AGENT_WATCH": "false"}
    command = [sys.executable, "-m", "sriovbond", "agent", "--install", str(folder)]
    folder.chmod(0o555)
    if os.geteuid() == 0:  # file modes do not restrict root
        command = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh", str(folder), *command]
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=home,
            stderr=output,
            env={**os.environ, "PYTHONPATH": str(image), **environment},
            text=True,
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()
        folder.chmod(0o755)


@pytest.mark.slow
def test_an_older_shim_serves_on_where_it_cannot_be_replaced(image: Path, folder: Path) -> None:
    old = folder / NAME
    old.write_bytes(OLD)
    old.chmod(0o755)

    with an_agent_that_installs(image, folder) as (process, log):
        wait_for(lambda: "the agent is ready" in log.read_text() or process.poll() is not None)

    (line,) = [line for line in log.read_text().splitlines() if "level=error" in line]
    assert "the agent is ready" in log.read_text()
    assert f"cannot install the shim in '{folder}': " in line
    assert "the shim that is there is used" in line
    assert old.read_bytes() == OLD


def nothing(_: Path) -> None:
    """Leave the folder empty."""


def the_plugin_of_thin_mode(path: Path) -> None:
    program = path.parent.parent / "program"
    program.write_bytes(OLD)
    program.chmod(0o755)
    path.symlink_to(program)


def a_script(path: Path) -> None:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)


def a_program_of_all(path: Path) -> None:
    path.write_bytes(OLD)
    path.chmod(0o777)


@pytest.mark.slow
@pytest.mark.parametrize("before", [nothing, the_plugin_of_thin_mode, a_script, a_program_of_all])
def test_without_a_shim_that_is_ours_the_agent_says_why_it_cannot_start(
    image: Path, folder: Path, before: object
) -> None:
    assert callable(before)
    before(folder / NAME)

    with an_agent_that_installs(image, folder) as (process, log):
        status = process.wait(timeout=60)

    assert status == 1
    assert log.read_text().startswith(f"Error: cannot install the shim in '{folder}': ")
