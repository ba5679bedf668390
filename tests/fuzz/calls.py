"""Hostile calls: stdin, variables, CNI_ARGS, prevResult, a record, a queued DEL."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from sriovbond import dispatch, records
from sriovbond.agent.queue import Queue
from sriovbond.bond.plan import BondPlan
from sriovbond.cni.versions import Command
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.records import IpamCall, Record
from sriovbond.shim import wire
from sriovbond.shim.wire import FrameError, Request
from tests.fuzz.world import (
    CONTAINER,
    IFNAME,
    KEY,
    OUTSIDE,
    SECRETS,
    World,
    a_configuration,
    keep_secrets,
    secrets_of,
)
from tests.support.builders import a_plan

COMMANDS: Final = tuple(Command)
NETNS: Final = "/run/netns/of-no-pod"
_MOST_CHARACTERS: Final = 1 << 16
"""Of an answer that is an error: what was wrong with 4 MiB of input is to be said in fewer."""


def variables(command: str, **changes: str) -> dict[str, str]:
    """Return the variables of a call for a pod that is not there."""
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": CONTAINER,
        "CNI_NETNS": NETNS,
        "CNI_IFNAME": IFNAME,
        "CNI_ARGS": "IgnoreUnknown=true;K8S_POD_NAMESPACE=default;K8S_POD_NAME=nf1",
        "CNI_PATH": "/opt/cni/of-no-node",
        **changes,
    }


def stdin(world: World, content: bytes) -> None:
    """Judge a command, by the first byte, with the rest as stdin."""
    command = COMMANDS[content[0] % len(COMMANDS)] if content else Command.ADD
    _call(world, variables(command), content[1:])


def environment(world: World, content: bytes) -> None:
    """Judge variables, as the shim sends them: NAME=value NUL."""
    body = len(content).to_bytes(4, "big") + content
    try:
        request = wire.decode_request(body + a_configuration())
    except FrameError:
        return
    _call(world, request.environment, request.stdin)


def arguments(world: World, content: bytes) -> None:
    """Judge CNI_ARGS."""
    text = os.fsdecode(content.replace(b"\0", b""))
    for command in (Command.ADD, Command.DEL):
        _call(world, variables(command, CNI_ARGS=text), a_configuration())


def previous_result(world: World, content: bytes) -> None:
    """Judge a prevResult."""
    network = a_configuration()[:-1] + b', "prevResult": ' + content + b"}"
    for command in (Command.ADD, Command.CHECK, Command.DEL):
        _call(world, variables(command), network)


def record(world: World, content: bytes) -> None:
    """Judge a record: it is read, and its DEL ends, whatever it holds."""
    path = world.host.records / f"{KEY}.json"
    path.write_bytes(content)
    try:
        _judge_records(world, _secrets_around(content))
        _call(world, variables(Command.CHECK), a_configuration())
        _call(world, variables(Command.DEL), a_configuration())
    finally:  # one that fails must not fail those behind it
        for left in world.host.records.iterdir():
            left.unlink()


def _judge_records(world: World, secrets: Sequence[str]) -> None:
    with world.judged(secrets=secrets):
        readable, faults = records.read_all(world.host)
        assert len(readable) + len(faults) == 1
        for kept in readable:
            try:
                assert records.read(world.host, kept.key) in (None, kept)
            except MachineError as error:
                keep_secrets(error.message, secrets)


def queued(world: World, content: bytes) -> None:
    """Judge a file of the queue: a DEL that the shim has kept."""
    queue = Queue(world.inside / "queue", os.geteuid())
    queue.make()
    (queue.folder / KEY).write_bytes(content)
    secrets = _secrets_around(content)
    with world.judged(secrets=secrets):
        why = queue.replay(KEY, world.host)
    keep_secrets(why, secrets)
    for left in (queue.folder / KEY, queue.folder / "damaged" / KEY):
        left.unlink(missing_ok=True)


def records_of_adds() -> Iterator[bytes]:
    """Yield what ADDs leave on disk: with IPAM and without, and where only IPAM's part is left."""
    ipam = IpamCall(a_configuration().decode(), variables(Command.ADD))
    plans: tuple[BondPlan | None, ...] = (a_plan(), a_plan(mode="802.3ad"), None)
    with tempfile.TemporaryDirectory() as folder:
        host = Host(state=Path(folder))
        for plan in plans:
            kept = Record("bond-net", CONTAINER, IFNAME, NETNS, (4, 5, 6), "0f5b", plan, ipam)
            host.records.mkdir(exist_ok=True)
            records.write(host, kept)
            yield (host.records / f"{KEY}.json").read_bytes()


def a_queued_del() -> bytes:
    """Return what the shim keeps of a DEL."""
    return wire.encode_request(Request(variables(Command.DEL), a_configuration()))


def _secrets_around(content: bytes) -> Sequence[str]:
    """Return what must not be told of a file that holds a configuration, or what is left of it."""
    network = a_configuration().decode()
    is_whole = any(form.encode() in content for form in (network, json.dumps(network)))
    return SECRETS if is_whole else (OUTSIDE,)


def _call(world: World, environ: Mapping[str, str], network: bytes) -> None:
    """Have the call answered: a CNI result or a CNI error, and no fault of ours."""
    secrets = secrets_of(network)
    with world.judged(environ.get("CNI_NETNS", ""), secrets=secrets):
        answer = dispatch.answer(environ, network, world.host)
    keep_secrets(answer.stdout, secrets)
    if answer.status:
        error = json.loads(answer.stdout)
        assert error["code"] not in (0, dispatch.INTERNAL), error
        assert error["msg"], error
        assert len(answer.stdout) < _MOST_CHARACTERS, error
    else:
        assert answer.stdout == "" or isinstance(json.loads(answer.stdout), dict)
