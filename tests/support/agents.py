"""A real agent in its own process, running as the user who runs the tests."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from sriovbond.agent import settings
from sriovbond.agent.server import serve
from sriovbond.cluster import sink
from sriovbond.errors import SriovbondError
from sriovbond.host import Host
from tests.support.shims import WITHIN_S, Shim

# imports the agent's modules once, which takes seconds in a VM
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        "__main__",
        __name__,
        *(f"tests.support.{name}" for name in ("thin", "gates", "fuse")),
        *(f"sriovbond.commands.{name}" for name in ("add", "check", "delete", "gc", "status")),
    ]
)


_NO_SYSTEMD = {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": ""}


@dataclass(slots=True)
class Agent:
    """A running agent; `log` has its output, `metrics` is the socket that serves them."""

    process: BaseProcess
    log: Path
    metrics: Path

    @property
    def pid(self) -> int:
        assert self.process.pid
        return self.process.pid

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    def says(self, words: str) -> None:
        """Wait until the log contains `words`: the agent writes it from a thread."""
        wait_for(lambda: words in self.said)

    def ended(self) -> int:
        """Wait for its end; return its exit status."""
        self.process.join(WITHIN_S)
        assert self.process.exitcode is not None
        return self.process.exitcode

    def stop(self) -> int:
        """Stop it as systemd does; return its exit status."""
        self.process.terminate()
        return self.ended()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@contextmanager
def an_agent(
    shim: Shim,
    *,
    until: str = "the agent is ready",
    systemd: Mapping[str, str] | None = None,
    prepare: Callable[[], object] | None = None,
    events_to: Path | None = None,
    **given: object,
) -> Iterator[Agent]:
    """Run an agent for the shim's home, with these settings, until the block ends.

    `systemd` are the environment variables that systemd sets; `prepare` runs first in the agent's
    process; Kubernetes Events are sent by the kubeconfig `events_to`.
    """
    home = {
        "socket": shim.socket,
        "state": shim.state,
        "run": shim.home / "run",
        "metrics": "",
        "probes": "",
        "watch": os.geteuid() == 0,  # listening to all namespaces needs root
        **given,
    }
    environment = {f"{settings.PREFIX}{name.upper()}": str(value) for name, value in home.items()}
    log = shim.home / f"agent-{time.monotonic_ns()}.log"
    arguments = (environment, {**_NO_SYSTEMD, **(systemd or {})}, str(log), prepare, events_to)
    metrics = Path(str(home["metrics"]).removeprefix("unix:"))
    agent = Agent(PROCESSES.Process(target=_run, args=arguments), log, metrics)
    agent.process.start()
    try:
        wait_for(lambda: until in agent.said or not agent.process.is_alive())
        yield agent
    finally:
        agent.kill()


def _run(
    environment: dict[str, str],
    systemd: dict[str, str],
    log: str,
    prepare: Callable[[], object] | None,
    events_to: Path | None,
) -> None:
    os.environ.update(systemd)
    if prepare:
        prepare()
    sys.stderr = Path(log).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115 - to the end
    try:
        with ExitStack() as held:
            sinks = (
                [held.enter_context(closing(sink(Host(kubeconfig=events_to), "node-1")))]
                if events_to
                else []
            )
            sys.exit(0 if serve(settings.load(environ=environment), os.geteuid(), sinks) else 1)
    except SriovbondError as error:
        sys.exit(error.message)


def wait_for(condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
    """Wait until `condition` is true; fail when it does not become true in time.

    Of a VM's one CPU, looking takes a quarter at most: the rest is for what is waited for.
    """
    deadline = (looked := time.monotonic()) + within_s
    while not condition():
        now = time.monotonic()
        assert now < deadline
        time.sleep(min(max(0.01, 3 * (now - looked)), 0.5))
        looked = time.monotonic()
