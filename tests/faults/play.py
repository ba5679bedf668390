"""Has a fault strike an attachment, and judges what became of it."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tests.faults.fault import IN_DEL, Fault, Phase, Way, no_setting, nothing
from tests.faults.scene import FAULT_OF_OURS, Scene, a_scene, await_queue
from tests.faults.table import Row
from tests.support import worlds
from tests.support.shims import Shim
from tests.support.thick import Called
from tests.support.worlds import World

SETTLED_S = 60.0
INTERNAL = 199
BEFORE_DEL = (Phase.BEFORE, Phase.ADD)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What there is without a bond: before the fault, and after it."""

    before: World
    after: World


@dataclass(slots=True)
class Stagehand:
    """Plays faults; rehearsals are kept, for they are the same in both ways."""

    shim: Shim
    _rehearsed: dict[tuple[str, bool], Rehearsed] = field(default_factory=dict)
    """By the fault, or the stage of harmless ones, and whether ADD is to succeed."""

    def play(self, fault: Fault, way: Way, phase: Phase) -> Row:
        """Have a fault strike once; return what was answered, and what did not hold."""
        started, calls, against = time.monotonic(), "", []
        try:
            rehearsed = self._rehearse(fault, is_standing=_is_to_stand(fault, phase))
            with a_scene(self.shim, fault, way) as scene:
                against += _play(scene, fault, phase, rehearsed)
                calls = "; ".join(_words(scene))
        except AssertionError as error:
            against.append(f"not played: {error}")
        took_s = round(time.monotonic() - started, 1)
        return Row(fault.name, phase.value, way.value, calls, against, took_s)

    def _rehearse(self, fault: Fault, *, is_standing: bool) -> Rehearsed:
        """Have the fault strike where no bond is: the links as before ADD, or as after DEL."""
        key = (fault.stage.__name__ if fault.is_harmless else fault.name, is_standing)
        if key not in self._rehearsed:
            alone = replace(fault, act=nothing, end=nothing, setting=no_setting)
            rehearsed = alone if fault.is_harmless else fault
            with a_scene(self.shim, rehearsed, Way.THIN, is_rehearsal=True) as scene:
                self._rehearsed[key] = _strike_alone(scene, rehearsed, is_standing=is_standing)
        return self._rehearsed[key]


def _strike_alone(scene: Scene, fault: Fault, *, is_standing: bool) -> Rehearsed:
    for command in ("ADD", "DEL") if is_standing else ():
        called = scene.call(command)
        assert called.status == 0, f"rehearsal: {command}: {called.stdout}"
    before = _look_settled(scene)
    fault.act(scene)
    fault.end(scene)
    time.sleep(fault.settles_s)
    return Rehearsed(before, _look_settled(scene))


def _look_settled(scene: Scene) -> World:
    """Look when IPv6 has each link's MTU again: the kernel sees to that with the carrier."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        facts = scene.look()
        if worlds.is_mtu_settled(facts) or time.monotonic() > deadline:
            return facts
        time.sleep(0.2)


def _play(scene: Scene, fault: Fault, phase: Phase, rehearsed: Rehearsed) -> list[str]:
    added = _perform(scene, fault, phase)
    against = list(_judge_add(added, fault, phase))
    against += _judge_del(scene, fault)
    against += _compare(scene, rehearsed, fault.spared)
    return [*against, *_judge_guests(scene), *_judge_log(scene)]


def _compare(scene: Scene, rehearsed: Rehearsed, spared: str) -> list[str]:
    """Return what is left when the kernel has had its time."""
    deadline = time.monotonic() + SETTLED_S
    while True:
        left = find_left(rehearsed, scene.look(), spared)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def _is_to_stand(fault: Fault, phase: Phase) -> bool:
    """Return whether ADD is to succeed: before the fault, or in spite of it."""
    return phase not in BEFORE_DEL or not fault.cause


def _perform(scene: Scene, fault: Fault, phase: Phase) -> Called:
    """Have the fault strike; return ADD's answer."""
    if phase is Phase.BEFORE:
        fault.act(scene)
    if phase is Phase.ADD:
        added = scene.strike("ADD", fault.spot, lambda: fault.act(scene))
    else:
        added = scene.call("ADD")
    if phase is Phase.BONDED:
        fault.act(scene)
    if phase in IN_DEL:
        scene.strike("DEL", IN_DEL[phase], lambda: fault.act(scene))
    else:
        scene.call("DEL")
    return added


def _judge_add(added: Called, fault: Fault, phase: Phase) -> Iterator[str]:
    """Judge ADD's answer: success, or an error that names the first cause."""
    cause = fault.cause if phase in BEFORE_DEL else ""
    if bool(added.status) != bool(cause) or not re.search(cause, added.stdout):
        yield f"ADD: expected {f'an error of {cause!r}' if cause else 'success'}: {added.stdout}"
    if added.code == INTERNAL:
        yield f"ADD: {added.stdout}"


def _judge_del(scene: Scene, fault: Fault) -> Iterator[str]:
    """Judge the DEL that was sent; end the fault, and send another DEL and a GC."""
    for call in scene.pending:
        if call.result().status:
            yield f"a call meanwhile was refused: {call.result().stdout}"
    deleted = next(called for command, called in scene.calls if command == "DEL")
    if deleted.status and not (fault.blocks and re.search(fault.blocks, deleted.stdout)):
        yield f"DEL was refused: {deleted.stdout}"
    fault.end(scene)
    for name, called in (("DEL again", scene.call("DEL")), ("GC", scene.collect(*scene.guests))):
        if called.status:
            yield f"{name} was refused: {called.stdout}"
    await_queue(scene)


def find_left(rehearsed: Rehearsed, now: World, spared: str) -> list[str]:
    """Return each fact that is neither as before nor as the fault alone leaves it."""
    lines = []
    for key in sorted(rehearsed.before.keys() | rehearsed.after.keys() | now.keys()):
        allowed = [world.get(key) for world in (rehearsed.before, rehearsed.after)]
        if now.get(key) not in allowed and not re.search(spared, key):
            found, expected = worlds.unlike(now.get(key), allowed[1])
            lines.append(f"{key}: {found!r}, expected {expected!r}")
    return lines


def _judge_guests(scene: Scene) -> Iterator[str]:
    """Compare what others have, and delete it."""
    yield from scene.touched()
    for guest in scene.guests:
        called = scene.call_for(guest.thick, "DEL", guest.config)
        if called.status:
            yield f"another pod's DEL: {called.stdout}"


def _judge_log(scene: Scene) -> Iterator[str]:
    match = FAULT_OF_OURS.search(scene.said())
    if match:
        yield f"the log says {match[0]!r}: {scene.said()[match.start() :][:800]}"


def _words(scene: Scene) -> Iterator[str]:
    """Say what the calls were answered, but for the DEL and GC that end a play."""
    answers = Counter(
        f"{command} {f'error {called.code}' if called.status else 'ok'}"
        for command, called in scene.calls[:-2]
    )
    for words, count in answers.items():
        yield f"{words} {count} times" if count > 1 else words
