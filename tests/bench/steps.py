"""What an ADD and a DEL over two VFs execute: Python calls and netlink requests.

Unlike a time these do not depend on the machine, so they are bounded. `make bench` counts them in
the VM, in one process after a few cycles, as an agent serves them.
"""

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sriovbond import dispatch
from sriovbond.host import Host
from tests.bench.attach import CONFIG, a_vf_pod, put_back
from tests.support.calls import plugin_path
from tests.support.counting import counted_calls
from tests.support.node import Node
from tests.support.pods import Pod
from tests.support.wire import watched
from tests.vm import rig

FIGURES: Final = Path("build/steps.json")
WARM_UP: Final = 3
COMMANDS: Final = ("ADD", "DEL")


@dataclass(frozen=True, slots=True)
class Steps:
    """What one command executed: calls of functions, built-in ones too, and netlink requests."""

    command: str
    calls: int
    changes: int
    reads: int

    def __str__(self) -> str:
        requests = f"{self.changes} requests that change something, {self.reads} that read"
        return f"{self.command} over two VFs: {self.calls} Python calls, {requests}"


MOST: Final[Sequence[Steps]] = (
    Steps("ADD", calls=4060, changes=6, reads=6),
    Steps("DEL", calls=460, changes=1, reads=0),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was counted, beside the most that is allowed."""

    counted: Steps
    most: Steps

    @property
    def is_exceeded(self) -> bool:
        pairs = ((getattr(self.counted, name), getattr(self.most, name)) for name in _COUNTS)
        return any(count > bound for count, bound in pairs)

    def __str__(self) -> str:
        bounds = ", ".join(str(getattr(self.most, name)) for name in _COUNTS)
        return f"{'EXCEEDED' if self.is_exceeded else 'ok':<9} {self.counted}; at most {bounds}"


_COUNTS: Final = ("calls", "changes", "reads")


def judge(counted: Sequence[Steps]) -> list[Verdict]:
    """Compare with the bounds; every command must have been counted."""
    by_command = {steps.command: steps for steps in counted}
    return [Verdict(by_command[most.command], most) for most in MOST]


def main() -> int:
    """Count, and write the figures."""
    with a_vf_pod(rig.layout()) as pod, put_back(pod) as put, tempfile.TemporaryDirectory() as name:
        home = Path(name)
        host = Host(state=home / "state", run=home / "run", places=Node(home).places, logs=home)
        for _ in range(WARM_UP):
            put.back()
            counted = [_count(command, pod, host) for command in COMMANDS]
    write(FIGURES, counted)
    sys.stdout.write("".join(f"{steps}\n" for steps in counted))
    return 0


def write(path: Path, counted: Sequence[Steps]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([asdict(steps) for steps in counted], indent=1) + "\n")


def read(path: Path) -> list[Steps]:
    return [Steps(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _count(command: str, pod: Pod, host: Host) -> Steps:
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.container_id,
        "CNI_NETNS": pod.path,
        "CNI_IFNAME": "bond0",
        "CNI_PATH": plugin_path(),
    }
    stdin = json.dumps(CONFIG).encode()
    with watched() as requests, counted_calls() as calls:
        answer = dispatch.answer(environment, stdin, host)
    assert answer.status == 0, answer.stdout
    changes = sum(request.changes for request in requests)
    return Steps(command, calls["call"] + calls["c_call"], changes, len(requests) - changes)


if __name__ == "__main__":
    sys.exit(main())
