"""Runs pytest several times at once, here or in VMs: reports the progress, ends one that hangs."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.shared_run import PROGRESS

START_S: Final = 3600.0
"""The first boot downloads a kernel and builds a module; a boot that hangs has its own deadline."""
STALL_S: Final = 900.0
"""The slowest test takes a minute on two idle cores."""
ENDING_S: Final = 60.0
LOOKED_EVERY_S: Final = 0.5
TOLD_EVERY_S: Final = 30.0

Say = Callable[[str], object]


class StoppedError(Exception):
    """Somebody stopped all runs before they had ended."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command that runs pytest with the plugin `shared_run` as the run `name` in `folder`."""

    name: str
    argv: Sequence[str]
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def progress(self) -> Path:
        return self.folder / f"{self.name}.{PROGRESS}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: tests by their state, and the one that runs."""

    collected: int = 0
    ended: int = 0
    failed: tuple[str, ...] = ()
    running: str = ""


def progress_of(text: str) -> Progress:
    """Read what the plugin has written so far; its last line may not be whole yet."""
    collected, ended, running = 0, 0, ""
    failed: dict[str, None] = {}
    for line in text.splitlines(keepends=True):
        word, _, test = line.removesuffix("\n").partition(" ")
        match word:
            case "collected" if line.endswith("\n"):  # also where the run begins once more
                collected, ended, running, failed = int(test), 0, "", {}
            case "begins":
                running = test
            case "failed":
                failed[test] = None
            case "ended":
                ended, running = ended + 1, ""
    return Progress(collected, ended, tuple(failed), running)


@dataclass(slots=True)
class _Run:
    """A command that runs, and when it was last seen to get on."""

    command: Command
    process: subprocess.Popen[bytes]
    moved_at: float
    text: str = ""
    fault: str = ""

    @property
    def progress(self) -> Progress:
        return progress_of(self.text)

    def look(self, start_s: float, stall_s: float) -> None:
        """Read its progress, and end it where there is none for too long."""
        text = self.command.progress.read_text() if self.command.progress.exists() else ""
        if text != self.text:
            self.text, self.moved_at = text, time.monotonic()
        still_s = time.monotonic() - self.moved_at
        status = self.process.poll()
        if status is None and still_s > (stall_s if text else start_s):
            self.fault = f"{self.where} and was ended: nothing came of it for {still_s:.0f} s"
            end(self.process)
        elif status and not self.fault:
            self.fault = self._reason(status)

    @property
    def where(self) -> str:
        return f"{self.command.name} was in {self.progress.running or 'no test'}"

    def _reason(self, status: int) -> str:
        if self.progress.running:
            return f"{self.where} when it ended with status {status}"
        return f"{self.command.name} ended with status {status}"


def run(
    commands: Sequence[Command],
    say: Say,
    stop: threading.Event,
    start_s: float = START_S,
    stall_s: float = STALL_S,
) -> list[str]:
    """Run the commands at once until the last has ended; return what went wrong, by run.

    Where `stop` is set before, all are ended: StoppedError.
    """
    for folder in {command.folder for command in commands}:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    with ExitStack() as held:
        runs = [held.enter_context(_started(command)) for command in commands]
        _follow(runs, say, stop, start_s, stall_s)
    for each in runs:
        say(f"--- {each.command.name}\n{each.command.log.read_text(errors='replace')}")
    return [each.fault for each in runs if each.fault] or _left_out(runs)


def _follow(
    runs: Sequence[_Run], say: Say, stop: threading.Event, start_s: float, stall_s: float
) -> None:
    told, told_at = "", time.monotonic()
    failed: set[str] = set()
    while True:
        is_over = all(each.process.poll() is not None for each in runs)
        for each in runs:
            each.look(start_s, stall_s)
            for test in set(each.progress.failed) - failed:
                failed.add(test)
                say(f"{each.command.name}: FAILED {test}")
        text = _told(runs)
        if text != told and (is_over or time.monotonic() > told_at + TOLD_EVERY_S):
            told, told_at = text, time.monotonic()
            say(text)
        if is_over:
            return
        if stop.wait(LOOKED_EVERY_S):
            raise StoppedError


def _told(runs: Sequence[_Run]) -> str:
    """Return the progress of all together, and of each."""
    ended, total = sum(each.progress.ended for each in runs), _total(runs)
    percent = f"{100 * ended // total:3} %" if total else "  0 %"
    each = (f"{one.command.name}: {one.progress.ended} of {total} tests" for one in runs)
    return f"{percent}  {', '.join(each)}"


def _total(runs: Sequence[_Run]) -> int:
    return max(each.progress.collected for each in runs)


def _left_out(runs: Sequence[_Run]) -> list[str]:
    ended, total = sum(each.progress.ended for each in runs), _total(runs)
    if not total:
        return ["no test was run"]
    return [] if ended == total else [f"{ended} tests were run where there are {total}"]


@contextmanager
def _started(command: Command) -> Iterator[_Run]:
    """Start it in a process group of its own, of which nothing is left in the end."""
    with command.log.open("wb") as log:
        process = subprocess.Popen(
            command.argv, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            yield _Run(command, process, time.monotonic())
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and its group, if it has not ended; a VM's takes QEMU along.

    Pytest ends what its fixtures have started at SIGINT, and at no other signal.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=ENDING_S)
