"""A wheel is all that a node needs: its agent installs its shim, and reports readiness."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from sriovbond.agent.settings import PREFIX
from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.shim import build
from tests.support.agents import wait_for

CHECKOUT = build.SOURCE.parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, and unpack it as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    source = _copied(folder / "source")  # a build writes into it
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def _copied(source: Path) -> Path:
    source.mkdir()
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    for name in ("sriovbond", "deviceinfo"):
        shutil.copytree(CHECKOUT / name, source / name)
    return source


@pytest.fixture
def environment(unpacked: Path, tmp_path: Path) -> dict[str, str]:
    homes = {"SOCKET": "run/agent.sock", "RUN": "run", "STATE": "state"}
    given = {f"{PREFIX}{name}": str(tmp_path / path) for name, path in homes.items()}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(unpacked), **given}


@pytest.fixture
def agent(environment: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the agent of the wheel, as the DaemonSet does."""
    (tmp_path / "bin").mkdir()
    command = ["agent", "--install", str(tmp_path / "bin")]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", "sriovbond", *command], env=environment, stderr=log, cwd=tmp_path
        )
    with running:
        yield running
        running.kill()


def asked(question: str, environment: dict[str, str], folder: Path) -> tuple[str, int]:
    command = [sys.executable, "-m", "sriovbond", "agent", question]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=folder
    )
    return done.stdout + done.stderr, done.returncode


def test_it_has_the_shim(unpacked: Path) -> None:
    program = unpacked / "sriovbond/shim/bin/sriovbond"
    program.chmod(0o755)  # lost by unzipping

    done = subprocess.run(
        [program], env={"CNI_COMMAND": "VERSION"}, input=b"{}", capture_output=True, check=False
    )

    assert json.loads(done.stdout)["supportedVersions"] == list(SUPPORTED_VERSIONS)


@pytest.mark.skipif(
    os.geteuid() != 0, reason="the command line's agent takes folders and requests of root alone"
)
def test_its_agent_installs_the_shim_and_reports_readiness(
    agent: subprocess.Popen[bytes], environment: dict[str, str], tmp_path: Path
) -> None:
    wait_for(lambda: "the agent is ready" in (tmp_path / "log").read_text())
    ready, alive = (asked(one, environment, tmp_path) for one in ("--check", "--alive"))
    agent.terminate()
    ended = agent.wait()
    gone = asked("--alive", environment, tmp_path)

    has_driver = Path("/sys/module/bonding").is_dir()
    assert has_driver or ready[1] == 1
    assert ready == ("", 0) or json.loads(ready[0])["code"] == 50
    assert (alive[1], ended) == (0, 0)
    assert gone[1] == 1
    assert "no agent answers" in gone[0]
    assert (tmp_path / "bin/sriovbond").stat().st_mode & 0o777 == 0o755
