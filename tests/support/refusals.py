"""An ADD that must be refused before anything is changed, and the proof of that."""

from collections.abc import Mapping
from pathlib import Path

from tests.support import ipams, wire, worlds
from tests.support.calls import Reply, Runtime

_IPAM = "scripted-ipam"


def refused(runtime: Runtime, folder: Path, config: Mapping[str, object]) -> Reply:
    """Return the refusal, after verifying that it preceded any change.

    That is: no changing request was sent, IPAM did not run, no record is left, and host and pod are
    unchanged.
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
