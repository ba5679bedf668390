"""One engine on one target: `python -m tests.fuzz.engine ENGINE TARGET INPUTS SECONDS SEED`.

hypothesis knows how the samples are built, atheris is led by the code that an input reaches. What
was judged so far stands in `tally.json` of the working folder, where what fails is kept too.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.tally import TALLY, Tally

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

MOST_BYTES: Final = 1 << 14
"""Of one of atheris' inputs: larger ones find what is slow, and little else."""
MOST_S: Final = 20
"""For one input, on a machine that others use too."""
MOST_MIB: Final = 1024
FAILING: Final = "failing"
"""The last input that failed; hypothesis' last one is the smallest."""
_WRITTEN_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """When to end: after so many inputs, or so many seconds."""

    inputs: int
    seconds: int
    seed: int


class UnboundedError(AssertionError):
    """An input took more time or memory than one may."""


class _OverError(BaseException):
    """The time is over."""


class Judge:
    """Judges inputs, counts them, and writes the tally now and then."""

    def __init__(self, judge: Callable[[bytes], None], bounds: Bounds) -> None:
        self._judge = judge
        self._bounds = bounds
        self._began_s = self._written_s = time.monotonic()
        self._tally = Tally()

    def judge(self, content: bytes) -> None:
        """Judge one input; raises what it does wrong."""
        began_s = time.monotonic()
        try:
            self._judge(content)
            now_s = time.monotonic()
            self._see(now_s - began_s)
        except Exception:
            Path(FAILING).write_bytes(content)
            raise
        self._tally.inputs += 1
        is_last = self._tally.inputs == self._bounds.inputs
        if is_last or now_s > self._written_s + _WRITTEN_EVERY_S:
            self.write()

    def _see(self, took_s: float) -> None:
        """Note what an input took. Raises UnboundedError; atheris ends one that never ends."""
        self._tally.slowest_s = max(self._tally.slowest_s, took_s)
        self._tally.see_memory()
        if took_s > MOST_S:
            raise UnboundedError(f"it took {took_s:.1f} s")
        if self._tally.most_mib > MOST_MIB:
            raise UnboundedError(f"the process has held {self._tally.most_mib} MiB")

    def judge_in_time(self, content: bytes) -> None:
        """Judge one input, or raise _OverError."""
        if time.monotonic() > self._began_s + self._bounds.seconds:
            raise _OverError
        self.judge(content)

    def write(self) -> None:
        """Write what was judged so far."""
        self._written_s = time.monotonic()
        self._tally.took_s = self._written_s - self._began_s
        Path(TALLY).write_text(json.dumps(asdict(self._tally)), encoding="utf-8")


def by_hypothesis(target: "Target", judge: Judge, bounds: Bounds) -> None:
    """Judge drawn inputs. Raises what the smallest failing one raises."""
    from tests.fuzz import strategies  # noqa: PLC0415 - see _load

    @seed(bounds.seed)
    @settings(
        max_examples=bounds.inputs,
        phases=[Phase.generate, Phase.shrink],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.hostile(target))
    def judge_drawn(content: bytes) -> None:
        judge.judge_in_time(content)

    try:
        judge_drawn()
    except _OverError:
        pass
    finally:
        judge.write()


def by_atheris(target: "Target", judge: Judge, bounds: Bounds) -> None:
    """Judge mutated inputs; ends the process, with a status other than 0 for one that fails."""

    corpus = Path("corpus")
    corpus.mkdir()
    for number, sample in enumerate(target.samples):
        Path(corpus, f"sample-{number}").write_bytes(sample)
    options = {
        "runs": bounds.inputs,
        "max_total_time": bounds.seconds,
        "seed": bounds.seed,
        "max_len": MOST_BYTES,
        "timeout": MOST_S,
        "rss_limit_mb": MOST_MIB,
        "print_final_stats": 1,
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris = _atheris()
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], judge.judge)
    atheris.Fuzz()


def _atheris() -> Any:  # noqa: ANN401 - untyped, and installed for `make fuzz` only
    return importlib.import_module("atheris")


def _load(engine: str) -> None:
    """Import what is judged: for atheris so that it sees which code runs, which takes its time."""
    if engine == "atheris":
        with _atheris().instrument_imports(include=["sriovbond", "deviceinfo"]):
            import tests.fuzz.targets  # noqa: F401, PLC0415


ENGINES: Final = {"hypothesis": by_hypothesis, "atheris": by_atheris}


def main() -> None:
    """Judge the inputs, in the working folder."""
    engine, name = sys.argv[1:3]
    bounds = Bounds(*map(int, sys.argv[3:6]))
    _load(engine)
    from tests.fuzz import targets  # noqa: PLC0415 - see _load
    from tests.fuzz.world import a_world  # noqa: PLC0415

    target = targets.BY_NAME[name]
    with a_world() as world:
        judge = Judge(lambda content: target.judge(world, content), bounds)
        ENGINES[engine](target, judge, bounds)


if __name__ == "__main__":
    main()
