"""A real agent in a process of its own, for the user who runs the tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sriovbond.agent import settings
from sriovbond.agent.server import serve
from tests.support.shims import WITHIN_S, Shim


@dataclass(slots=True)
class Agent:
    """A running agent; `log` is what it has said."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def stop(self) -> int:
        """End it as systemd does; return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WITHIN_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN_S)


@contextmanager
def an_agent(
    shim: Shim, *, is_ready: str = "the agent is ready", **given: object
) -> Iterator[Agent]:
    """Run an agent for the shim's home, with these settings, until the block ends."""
    home = {"socket": shim.socket, "state": shim.state, "run": shim.home / "run", **given}
    environment = {f"{settings.PREFIX}{name.upper()}": str(value) for name, value in home.items()}
    log = shim.home / "agent.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.agents"],
            env={**os.environ, **environment},
            stderr=stderr,
        )
    agent = Agent(process, log)
    try:
        wait_for(lambda: is_ready in agent.said or process.poll() is not None)
        yield agent
    finally:
        process.kill()
        process.wait()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true; fail when it never is."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(0 if serve(settings.load(), os.geteuid()) else 1)
