"""Whatever is in the place of its record, no DEL fails or waits, and no GC does."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from sriovbond import dispatch
from sriovbond.cni.attachment import Attachment
from sriovbond.dispatch import Answer
from sriovbond.host import Host
from tests.support.calls import a_config
from tests.support.spoilt import SPOILT, Spoil

AT_ONCE = 8


@pytest.fixture(params=list(SPOILT.values()), ids=list(SPOILT))
def spoilt(request: pytest.FixtureRequest, tmp_path: Path) -> Host:
    """A host with something else in the record's place."""
    host = Host(state=tmp_path / "state", run=tmp_path / "run")
    host.records.mkdir(parents=True)
    spoil: Spoil = request.param
    spoil(host.records / f"{Attachment('pod1', 'bond0').key}.json")
    return host


def call(host: Host, command: str, **keys: object) -> Answer:
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "pod1",
        "CNI_IFNAME": "bond0",
        "CNI_PATH": "/no/such/folder",
    }
    return dispatch.answer(environment, json.dumps(a_config(**keys)).encode(), host)


def test_the_same_del_of_many_callers_succeeds_and_leaves_no_record(spoilt: Host) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(partial(call, spoilt), ["DEL"] * AT_ONCE))

    assert {answer.status for answer in answers} == {0}, answers
    assert not list(spoilt.records.glob("*.json"))
    assert not list(spoilt.run.iterdir())


def test_a_gc_goes_on_past_it(spoilt: Host) -> None:
    answer = call(spoilt, "GC", **{"cni.dev/valid-attachments": []})

    assert answer.status == 0, answer
