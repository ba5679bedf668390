"""A commit is done whole, also where its process is killed in the middle, or it is not done."""

from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.reshape.site import Site
from sriovbond.trial import ending, persisted, store, transaction
from sriovbond.trial.checkpoint import Checkpoint, Phase
from tests.unit.trial.test_store import a_checkpoint

DOCUMENT = "interfaces: []\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state")


def a_change(phase: Phase) -> Checkpoint:
    return replace(a_checkpoint(phase), name="uplink", document=DOCUMENT)


def documents(host: Host) -> list[str]:
    return [row.text for row in persisted.list_documents(host)]


def test_a_commit_keeps_the_document_and_forgets_the_change(host: Host) -> None:
    store.write(host, a_change(Phase.ACTING))

    ending.commit(host, a_change(Phase.ACTING))

    assert documents(host) == [DOCUMENT]
    assert store.read(host) is None


def test_a_commit_that_was_killed_is_finished_by_whoever_would_revert(host: Host) -> None:
    store.write(host, a_change(Phase.KEPT))

    with netns.own() as own:
        was_reverted = ending.clear_the_way(Site(own, host.root, host.places.sysfs), host)

    assert not was_reverted
    assert documents(host) == [DOCUMENT]
    assert store.read(host) is None


def test_a_rollback_of_a_committed_change_is_refused(host: Host) -> None:
    store.write(host, a_change(Phase.KEPT))

    with (
        netns.own() as own,
        pytest.raises(MachineError, match="the change is committed"),
    ):
        transaction.rollback(Site(own, host.root, host.places.sysfs), host)

    assert documents(host) == [DOCUMENT]


def test_a_change_whose_document_cannot_be_kept_is_not_committed(host: Host) -> None:
    waiting = a_change(Phase.WAITING)
    store.write(host, waiting)
    persisted.folder(host).write_text("no folder")

    with pytest.raises(MachineError):
        ending.commit(host, waiting)

    assert store.read(host) == waiting
