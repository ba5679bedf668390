"""Programs that run beside a test: each with a log, a longest life, and an end."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.children import children
from tests.vm import pace

LONGEST_S: Final = 2 * 3600
"""A program whose starter was killed ends by itself after this."""
_ENDS_WITHIN_S: Final = 20
_LAST_LINES: Final = 30


class FailedError(Exception):
    """A program ended, or what was expected did not come; the text has its last words."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that runs, and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self, lines: int = _LAST_LINES) -> str:
        """Return the end of the log, with its name."""
        text = self.log.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join([f"--- {self.name}: the last lines of {self.log}", *text])

    def kill(self) -> None:
        """End it as a crash would: by SIGKILL, its children left as they are."""
        for child in children(self.process.pid):
            os.kill(child, signal.SIGKILL)
        self.process.wait(_ENDS_WITHIN_S)

    def end(self) -> None:
        """End it by SIGTERM, and where that does not help by SIGKILL."""
        self.process.terminate()
        try:
            self.process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> Program:
    """Start a program that ends with this process, or after LONGEST_S."""
    bounded = ["timeout", f"--kill-after={_ENDS_WITHIN_S}", str(LONGEST_S), *command]
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *bounded],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the tests, which then end it
        )
    return Program(Path(command[0]).name, process, log)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[Program]:
    """Run a program within the block."""
    program = start(command, log)
    try:
        yield program
    finally:
        program.end()


def await_true(
    what: str, is_true: Callable[[], object], within_s: float, *programs: Program
) -> None:
    """Wait until it is true. Raises FailedError, at once where one of the programs has ended."""
    limit_s = pace.stretched(within_s)
    deadline = time.monotonic() + limit_s
    while not is_true():
        ended = [program for program in programs if program.process.poll() is not None]
        if ended:
            raise FailedError(f"{what}: {ended[0].name} has ended\n{ended[0].last_words()}")
        if time.monotonic() > deadline:
            words = [program.last_words() for program in programs]
            raise FailedError("\n".join([f"{what}: not within {limit_s:.0f} s", *words]))
        time.sleep(0.2)
