"""The real agent as a program, and what it holds, seen from outside in /proc."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sriovbond.agent.settings import PREFIX
from tests.support.agents import wait_for
from tests.support.shims import Shim

_IDLE_PERCENT = 10
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds at a moment."""

    rss_kib: int
    threads: int
    descriptors: int
    foreign_namespaces: int
    """Network namespaces but the host's, by descriptors and by threads."""


@dataclass(frozen=True, slots=True)
class InUse:
    """What the agent's code has allocated and not freed."""

    malloc_kib: float
    blocks: int
    """Python's small blocks, of up to 512 bytes."""


@contextmanager
def an_agent_program(
    shim: Shim, *, stderr: int | None = None, weights: Path | None = None, **settings: object
) -> Iterator[int]:
    """Run `sriovbond agent` for the shim's home; return its process id when it is ready.

    Its log goes to `stderr` where that is given, and nobody needs to read it. What it has in use is
    written to `weights`, for `in_use`.
    """
    home = {"socket": shim.socket, "state": shim.state, "run": shim.home / "run", **settings}
    environment = {f"{PREFIX}{name.upper()}": str(value) for name, value in home.items()}
    path = shim.home / f"program-{time.monotonic_ns()}.log"
    program = ["sriovbond"] if weights is None else ["tests.soak.weighed", str(weights)]
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *program, "agent"],
            env={**os.environ, **environment},
            stderr=log if stderr is None else stderr,
        )

    def is_ready() -> bool:
        return (
            b"the agent is ready" in path.read_bytes() if stderr is None else shim.socket.exists()
        )

    try:
        wait_for(lambda: is_ready() or process.poll() is not None)
        assert process.poll() is None, path.read_text()
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def held(pid: int) -> Held:
    proc = Path("/proc", str(pid))
    threads = list(proc.glob("task/*"))
    links = _links(proc.glob("fd/*"))
    spaces = {
        *_links(thread / "ns/net" for thread in threads),
        *(link for link in links if "net:[" in link),
    }
    return Held(
        rss_kib=_status(proc, "VmRSS"),
        threads=len(threads),
        descriptors=len(links),
        foreign_namespaces=len(spaces - set(_links([Path("/proc/self/ns/net")]))),
    )


def in_use(weights: Path) -> InUse:
    """Return what the agent of these weights has in use now."""
    weights.unlink()
    wait_for(weights.exists)
    malloc_kib, blocks = json.loads(weights.read_text())
    return InUse(malloc_kib, blocks)


def at_rest(pid: int, seconds: float = 2.0) -> Held:
    """Look when nothing has changed for a while: threads end and descriptors close a bit later."""
    usage = held(pid)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(seconds)
        before, usage = usage, held(pid)
        if before == usage:
            break
    return usage


def cpu_s(pid: int) -> float:
    """Return the time that all threads of a process have used, of user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def idle_percent(pid: int, seconds: float) -> float:
    before, started = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - before) / (time.monotonic() - started)


def await_idle(pid: int, most_s: float) -> None:
    """Wait until the process hardly uses the CPU, or that time is over."""
    deadline = time.monotonic() + most_s
    while idle_percent(pid, 0.5) > _IDLE_PERCENT and time.monotonic() < deadline:
        pass


def slope(values: Sequence[float], steps: Sequence[float]) -> float:
    """Return the least-squares slope of values over steps."""
    middle_step, middle = sum(steps) / len(steps), sum(values) / len(values)
    above = sum((s - middle_step) * (v - middle) for s, v in zip(steps, values, strict=True))
    return above / sum((s - middle_step) ** 2 for s in steps)


def _status(proc: Path, name: str) -> int:
    lines = (proc / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _links(paths: Iterable[Path]) -> list[str]:
    targets = []
    for path in paths:
        with suppress(OSError):  # it is closed meanwhile
            targets.append(str(path.readlink()))
    return targets
