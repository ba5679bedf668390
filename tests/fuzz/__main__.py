"""`make fuzz`: hostile input of each kind, bounded in number and time; counts in build/fuzz.json.

`python -m tests.fuzz TARGET FILE` judges one input again, which a run has kept in build/fuzz.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.fuzz import counted, tally
from tests.fuzz.counted import Counted
from tests.fuzz.tally import Tally
from tests.fuzz.targets import BY_NAME, TARGETS, Target
from tests.fuzz.world import a_world

BUILD: Final = Path("build/fuzz")
INPUTS: Final = 1_000_000
SECONDS: Final = 3600
_HYPOTHESIS_SHARE: Final = 0.02
"""It takes some 2 ms to draw one of its inputs."""
_ENDING_S: Final = 600.0
"""More than one input may take, and the start of an engine on a machine that others use too."""
CHECKOUT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Run:
    """An engine on a target."""

    target: Target
    engine: str
    inputs: int

    @property
    def folder(self) -> Path:
        return BUILD / f"{self.target.name}-{self.engine}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    run: Run
    tally: Tally
    fault: str


class Clock:
    """Shares the time that is left out to the runs that are left."""

    def __init__(self, seconds: int, runs: int, workers: int) -> None:
        self._end_s = time.monotonic() + seconds
        self._runs = runs
        self._workers = workers
        self._lock = threading.Lock()

    def take_s(self) -> int:
        """Return how long the next run may take."""
        with self._lock:
            left_s = self._end_s - time.monotonic()
            share_s = left_s * min(self._workers, self._runs) / self._runs
            self._runs -= 1
        return max(1, round(share_s))


def main() -> int:
    """Run all engines on all targets, or judge one input; return 1 where one has a fault."""
    if len(sys.argv) > 1:
        return _judge_again(*sys.argv[1:])
    shutil.rmtree(BUILD, ignore_errors=True)
    runs, workers = plan(_setting("INPUTS", INPUTS)), os.cpu_count() or 1
    clock, seed = Clock(_setting("SECONDS", SECONDS), len(runs), workers), _setting("SEED", 1)
    with ThreadPoolExecutor(workers) as pool:
        outcomes = list(pool.map(lambda run: _execute(run, clock.take_s(), seed), runs))
    _report(outcomes, seed)
    return 1 if any(outcome.fault for outcome in outcomes) else 0


def _setting(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or not int(text):
        sys.exit(f"fuzz: expected a whole number above 0, found {name}={text}")
    return int(text)


def _judge_again(name: str, file: str) -> int:
    with a_world() as world:
        BY_NAME[name].judge(world, Path(file).read_bytes())
    _say("nothing is wrong with it")
    return 0


def plan(inputs: int) -> list[Run]:
    """Share the inputs out by the targets' weights."""
    total = sum(target.weight for target in TARGETS)
    runs = []
    for target in TARGETS:
        own = -(-inputs * target.weight // total)
        drawn = max(1, round(own * _HYPOTHESIS_SHARE))
        runs += [Run(target, "hypothesis", drawn), Run(target, "atheris", max(1, own - drawn))]
    return runs


def _execute(run: Run, seconds: int, seed: int) -> Outcome:
    """Run an engine in a folder and, where root may, a network namespace of its own."""
    temporary = run.folder / "tmp"
    temporary.mkdir(parents=True)
    isolation = ["unshare", "--net"] if os.geteuid() == 0 else []
    engine = [sys.executable, "-m", "tests.fuzz.engine", run.engine, run.target.name]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(temporary.resolve())}
    with (run.folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*isolation, *engine, *map(str, (run.inputs, seconds, seed))],
            cwd=run.folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            fault = f"status {process.wait(seconds + _ENDING_S)}"
        except subprocess.TimeoutExpired:
            process.kill()
            fault = f"it did not end within {_ENDING_S:g} s of its time"
    shutil.rmtree(temporary, ignore_errors=True)
    outcome = Outcome(run, tally.read(run.folder), "" if fault == "status 0" else fault)
    _say(_line(outcome))
    return outcome


def _report(outcomes: list[Outcome], seed: int) -> None:
    """Print the counts of each target and of all, and write them."""
    rows = {
        target.what: sum((each.tally for each in outcomes if each.run.target is target), Tally())
        for target in TARGETS
    }
    everything = sum(rows.values(), Tally())
    faults = sum(bool(outcome.fault) for outcome in outcomes)
    counted.write(counted.FILE, Counted(time.strftime("%Y-%m-%d"), seed, faults, rows))
    _say("", "=== summary", *(_counts(what, row) for what, row in rows.items()))
    _say(_counts("all", everything), f"written: {counted.FILE}")
    for outcome in outcomes:
        if outcome.fault:
            _say(f"FAILED {_line(outcome)}; see {outcome.run.folder}")


def _line(outcome: Outcome) -> str:
    run = outcome.run
    return _counts(f"{run.target.name} by {run.engine}", outcome.tally) + (
        f": {outcome.fault}" if outcome.fault else ""
    )


def _counts(what: str, row: Tally) -> str:
    return (
        f"{row.inputs:9,} inputs  {row.took_s:6.0f} s  slowest {row.slowest_s:5.2f} s  "
        f"{row.most_mib:4} MiB  {what}"
    )


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + os.linesep)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
