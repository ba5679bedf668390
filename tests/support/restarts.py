"""Kills a real agent at each step of a call, starts another, and compares what is left."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import worlds
from tests.support.agents import Agent, an_agent, wait_for
from tests.support.fuse import Fuse
from tests.support.thick import Called, Config, Thick
from tests.support.worlds import World

QUEUED = Called("", 0)
_SETTLED_S = 120.0


@dataclass(frozen=True, slots=True)
class Stage:
    """An attachment to be made: its configuration, and a way to restore its links."""

    thick: Thick
    config: Config
    folders: tuple[Path, ...]
    lay_out: Callable[[], None] = lambda: None
    with_host: bool = False
    """Whether the host's links are compared too."""

    def look(self) -> World:
        host: dict[str, str | None] = {"host": None} if self.with_host else {}
        spaces = {**host, "pod": self.thick.pod.path}
        state, run = self.thick.host.state, self.thick.host.run
        return worlds.settled(worlds.world(spaces, [state, run, *self.folders]))

    def call(self, command: str) -> Called:
        return self.thick.call(command, self.config)

    def done(self, command: str) -> None:
        called = self.call(command)
        assert called.status == 0, f"{command}: {called.stdout}"

    def is_standing(self) -> bool:
        record = self.thick.record()
        return record is not None and record.is_complete


@dataclass(slots=True)
class Sweep:
    """The remains of each kill, by step; and the time until each next agent was ready."""

    stage: Stage
    fuse: Fuse
    before: World
    after: World
    traces: dict[str, list[str]] = field(default_factory=dict)
    restarts_s: list[float] = field(default_factory=list)

    def compare(self, name: str, expected: World) -> None:
        """Compare with the expected state; the kernel restores mtu6 only with the carrier."""
        deadline = time.monotonic() + _SETTLED_S
        while True:
            self.traces[name] = worlds.differences(expected, self.stage.look())
            if not self.traces[name] or time.monotonic() > deadline:
                return
            time.sleep(0.1)

    @contextmanager
    def agent(self) -> Iterator[Agent]:
        """Run an agent that the fuse can kill, without the watch: its requests are no steps."""
        started = time.monotonic()
        shim, prepare = self.stage.thick.shim, self.fuse.install
        with an_agent(shim, prepare=prepare, watch=False) as agent:
            self.restarts_s.append(time.monotonic() - started)
            yield agent


def of(stage: Stage, *, reads: bool = False) -> Sweep:
    """Record the state before an attachment, and after an undisturbed one."""
    fuse = Fuse(stage.thick.shim.home, reads)
    stage.lay_out()
    with an_agent(stage.thick.shim, watch=False):
        before = stage.look()
        stage.done("ADD")
        stage.done("DEL")
        after = stage.look()
    return Sweep(stage, fuse, before, after)


def told(traces: dict[str, list[str]]) -> str:
    """Format the remains by step."""
    left = (f"{step}: {'; '.join(found)}" for step, found in traces.items() if found)
    return "\n".join(left)


def deleted(sweep: Sweep, name: str, expected: World) -> None:
    """Wait for the replay of the queued DEL, and compare."""
    stage = sweep.stage
    wait_for(lambda: stage.thick.shim.queued() == [])
    sweep.compare(name, expected)
    if expected is sweep.after:
        stage.lay_out()


def added_again(sweep: Sweep, name: str, _: World) -> None:
    """Run ADD once more, and then DEL."""
    stage = sweep.stage
    stage.done("ADD")
    stage.done("DEL")
    sweep.compare(name, sweep.after)
    stage.lay_out()


def at_each_step_of_add(
    sweep: Sweep, then: Callable[[Sweep, str, World], None] = deleted
) -> dict[str, list[str]]:
    """Kill the agent before each step of an ADD in turn; `then` is what the runtime does next."""
    stage, expected, name = sweep.stage, sweep.before, ""
    stage.lay_out()
    for place in itertools.count(1):
        with sweep.agent():
            if name:
                then(sweep, name, expected)
            sweep.fuse.light(place)
            called = stage.call("ADD")
            if sweep.fuse.put_out():
                stage.done("DEL")
                break
            assert called.code == 11, called
        name = f"{place} {sweep.fuse.step}"
        expected = sweep.after if stage.is_standing() else sweep.before
        if then is deleted:
            assert stage.call("DEL") == QUEUED
    assert sweep.traces, "the agent was killed at no step"
    return sweep.traces


def at_each_step_of_del(sweep: Sweep) -> dict[str, list[str]]:
    """Kill the agent before each step of a DEL in turn; the next agent replays it."""
    stage, name = sweep.stage, ""
    for place in itertools.count(1):
        with sweep.agent():
            if name:
                deleted(sweep, name, sweep.after)
            stage.done("ADD")
            sweep.fuse.light(place)
            called = stage.call("DEL")
            if sweep.fuse.put_out():
                break
            assert called == QUEUED, called
        name = f"{place} {sweep.fuse.step}"
        assert len(stage.thick.shim.queued()) == 1
    assert sweep.traces, "the agent was killed at no step"
    return sweep.traces
