"""SIGKILL at each netlink request and each step on a file, of ADD and of DEL."""

import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from tests.faults.fault import Way
from tests.faults.table import Row
from tests.support import restarts, stages
from tests.support.restarts import Stage, Sweep
from tests.support.shims import Shim
from tests.support.thick import Called
from tests.support.thin import KILLED, Thin

PHASE: Final = "each netlink request and file"


@dataclass(frozen=True, slots=True)
class KillSweep:
    """Kills at all steps of one command."""

    command: str
    over: str
    stage: Callable[[Shim], AbstractContextManager[Stage]]

    @property
    def name(self) -> str:
        return f"SIGKILL during {self.command} over {self.over}"


SWEEPS: Final = tuple(
    KillSweep(command, over, stage)
    for over, stage in (("VFs", stages.over_vfs), ("links of the host", stages.over_host_links))
    for command in ("ADD", "DEL")
)


def play(shim: Shim, kills: KillSweep, way: Way) -> Row:
    """Kill the plugin, or the agent, at each step in turn; a DEL follows each time."""
    shim.clear()
    started, against, count = time.monotonic(), [], 0
    try:
        with kills.stage(shim) as stage:
            sweep = restarts.of(stage)
            _kill(sweep, kills.command, way)
            count = len(sweep.traces)
        against += restarts.told(sweep.traces).splitlines()
    except AssertionError as error:
        against.append(f"not played: {error}")
    took_s = round(time.monotonic() - started, 1)
    return Row(kills.name, PHASE, way.value, "DEL ok", against, took_s, count)


def _kill(sweep: Sweep, command: str, way: Way) -> None:
    if way is Way.THIN:
        _kill_programs(sweep, command)
    elif command == "ADD":
        restarts.at_each_step_of_add(sweep)
    else:
        restarts.at_each_step_of_del(sweep)


def _kill_programs(sweep: Sweep, command: str) -> None:
    """Kill the process of each call; the next DEL is another process."""
    stage = sweep.stage
    thin = Thin(stage.thick, sweep.fuse.install)
    stage.lay_out()
    for place in itertools.count(1):
        if command == "DEL":
            _done(thin.call("ADD", stage.config))
        sweep.fuse.light(place)
        called = thin.call(command, stage.config)
        if sweep.fuse.put_out():
            _done(thin.call("DEL", stage.config))
            assert sweep.traces, "no call was killed"
            return
        assert called == KILLED, called
        name = f"{place} {sweep.fuse.step}"
        expected = sweep.after if command == "DEL" or stage.is_standing() else sweep.before
        _done(thin.call("DEL", stage.config))
        sweep.compare(name, expected)
        if expected is sweep.after:
            stage.lay_out()


def _done(called: Called) -> None:
    assert called.status == 0, called.stdout
