"""A commit is done whole, also where its process is killed in the middle, or it is not done."""

from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.reshape.site import Site
from sriovbond.trial import ending, persisted, store, transaction
from sriovbond.trial.checkpoint import Checkpoint, Journal, Phase
from sriovbond.trial.ending import StuckError
from tests.support.played_systemd import a_systemd
from tests.unit.trial.test_store import a_checkpoint

DOCUMENT = "interfaces: []\n"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "root/etc").mkdir(parents=True)
    return Host(root=tmp_path / "root", state=tmp_path / "state")


def a_change(phase: Phase) -> Checkpoint:
    return replace(a_checkpoint(phase), name="uplink", document=DOCUMENT)


def documents(host: Host) -> list[str]:
    return [row.text for row in persisted.list_documents(host)]


def test_a_commit_keeps_the_document_and_forgets_the_change(host: Host) -> None:
    store.write(host, a_change(Phase.ACTING))

    ending.commit(host, a_change(Phase.ACTING))

    assert documents(host) == [DOCUMENT]
    assert store.read(host) is None


def test_a_commit_of_a_change_that_is_stuck_keeps_no_document(host: Host) -> None:
    """The node is not what it says: a boot is not to make it so."""
    store.write(host, a_change(Phase.STUCK))

    ending.commit(host, a_change(Phase.STUCK))

    assert documents(host) == []
    assert store.read(host) is None


@pytest.mark.parametrize("is_watchdog", [False, True])
def test_a_commit_stops_the_timer_unless_it_is_the_timers_own(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_watchdog: bool
) -> None:
    log = a_systemd(tmp_path, monkeypatch)
    store.write(host, a_change(Phase.ACTING))

    ending.commit(host, a_change(Phase.ACTING), is_watchdog=is_watchdog)

    calls = log.read_text() if log.exists() else ""
    assert ("systemctl stop sriovbond-host-abc.timer" in calls) is not is_watchdog


def test_a_killed_commit_is_finished_by_the_next_process(host: Host) -> None:
    store.write(host, a_change(Phase.KEPT))

    with netns.own() as own:
        was_reverted = ending.clear_the_way(Site(own, host.root, host.places.sysfs, host), host)

    assert not was_reverted
    assert documents(host) == [DOCUMENT]
    assert store.read(host) is None


def test_a_rollback_of_a_committed_change_is_refused(host: Host) -> None:
    store.write(host, a_change(Phase.KEPT))

    with (
        netns.own() as own,
        pytest.raises(MachineError, match="the change is committed"),
    ):
        transaction.rollback(Site(own, host.root, host.places.sysfs, host), host)

    assert documents(host) == [DOCUMENT]


def test_a_change_whose_document_cannot_be_kept_is_not_committed(host: Host) -> None:
    waiting = a_change(Phase.WAITING)
    store.write(host, waiting)
    persisted.folder(host).write_text("no folder")

    with pytest.raises(MachineError):
        ending.commit(host, waiting)

    assert store.read(host) == waiting


BEFORE, WRITTEN = "# by hand\n", "# by hand\nnameserver 192.0.2.53\n"


def of_an_earlier_boot(phase: Phase) -> Checkpoint:
    journal = Journal(resolver=WRITTEN.encode().hex())
    resolver = BEFORE.encode().hex()
    return replace(a_checkpoint(phase), boot="another", journal=journal, resolver=resolver)


def end_after_a_boot(host: Host, phase: Phase) -> None:
    store.write(host, of_an_earlier_boot(phase))
    with netns.own() as own:
        assert ending.clear_the_way(Site(own, host.root, host.places.sysfs, host), host)


@pytest.mark.parametrize(
    ("found", "after"),
    [
        pytest.param(WRITTEN, BEFORE, id="whole"),
        pytest.param(WRITTEN[:15], BEFORE, id="torn by a power loss"),
        pytest.param(BEFORE, BEFORE, id="not written yet"),
        pytest.param("", BEFORE, id="emptied"),
        pytest.param("nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", id="the boot's own"),
    ],
)
def test_after_a_boot_resolv_conf_is_restored_unless_another_has_written_it(
    host: Host, found: str, after: str
) -> None:
    file = host.root / "etc/resolv.conf"
    file.write_text(found)

    end_after_a_boot(host, Phase.ACTING)

    assert file.read_text() == after


def test_after_a_boot_a_change_that_was_stuck_blocks_no_other(host: Host) -> None:
    end_after_a_boot(host, Phase.STUCK)

    assert store.read(host) is None


def test_after_a_boot_a_file_that_cannot_be_restored_is_reported_once(host: Host) -> None:
    (host.root / "etc/resolv.conf").mkdir()

    with pytest.raises(StuckError, match=r"a boot has ended a change, but left: .*resolv\.conf"):
        end_after_a_boot(host, Phase.ACTING)

    assert store.read(host) is None
