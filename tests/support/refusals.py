"""An ADD that has to be refused before anything is changed, and the proof that it was."""

from collections.abc import Mapping
from pathlib import Path

from tests.support import ipams, wire, worlds
from tests.support.calls import Reply, Runtime

_IPAM = "scripted-ipam"


def refused(runtime: Runtime, folder: Path, config: Mapping[str, object]) -> Reply:
    """Return the refusal, once it is proved that it came before any change.

    That is: no request that changes anything was sent, IPAM was not run, no record is left, and
    host and pod are as they were.
    """
    traces = folder / "ipam-was-run"
    path = ipams.scripted(folder, f"touch {traces}; exit 1", _IPAM)
    before = _look(runtime)

    with wire.watched() as requests:
        reply = runtime.add({**config, "ipam": {"type": _IPAM}}, CNI_PATH=path)

    assert reply.status == 1, reply.body
    assert [str(request) for request in requests if request.changes] == [], reply.msg
    assert not traces.exists(), "IPAM was run"
    assert list(runtime.host.records.glob("*")) == []
    assert worlds.differences(before, _look(runtime)) == []
    return reply


def _look(runtime: Runtime) -> worlds.World:
    return worlds.settled(worlds.world({"host": None, "pod": runtime.pod.path}))
