"""A runtime in thin mode: each call is a process of its own, which may be killed."""

import itertools
import json
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sriovbond import dispatch
from sriovbond.dispatch import Answer
from tests.support.agents import PROCESSES
from tests.support.shims import WITHIN_S
from tests.support.thick import Called, Config, Thick

KILLED = Called("", -signal.SIGKILL)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Thin:
    """Calls the plugin for the pod of `thick`; `prepare` runs first in each process."""

    thick: Thick
    prepare: Callable[[], object] = int
    kubelet_timeout_s: float = 60.0

    @property
    def log(self) -> Path:
        """What the processes wrote to stderr."""
        return self.thick.shim.home / "thin.log"

    def call(self, command: str, config: Config, **overrides: str) -> Called:
        """Run one call in a new process; KILLED where that was killed."""
        answer = self.thick.shim.home / f"answer-{next(_numbers)}"
        environment = self.thick.environment(command, **overrides)
        host = replace(self.thick.host, kubelet_timeout_s=self.kubelet_timeout_s)
        stdin = json.dumps(config).encode()
        call = partial(dispatch.answer, environment, stdin, host)
        process = PROCESSES.Process(target=_serve, args=(call, answer, self.log, self.prepare))
        process.start()
        process.join(2 * WITHIN_S)
        if process.exitcode == -signal.SIGKILL:
            return KILLED
        assert process.exitcode == 0, f"{command}: {process.exitcode}"
        with suppress(FileNotFoundError):
            status, _, stdout = answer.read_text().partition("\n")
            return Called(stdout, int(status))
        raise AssertionError(f"{command} gave no answer")


def _serve(
    call: Callable[[], Answer], answer: Path, log: Path, prepare: Callable[[], object]
) -> None:
    prepare()
    sys.stderr = log.open("a", encoding="utf-8", buffering=1)
    done = call()
    answer.write_text(f"{done.status}\n{done.stdout}")
