"""The one file of a change: whole, root's alone, and gone when the change is kept."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.errors import MachineError, TryLaterError
from sriovbond.host import Host
from sriovbond.trial import store
from sriovbond.trial.checkpoint import Actor, Checkpoint, Former, Journal, Load, Phase
from sriovbond.trial.store import _began
from tests.support.agents import wait_for
from tests.unit.trial.loads import DEFAULT, NET


def a_checkpoint(phase: Phase = Phase.ACTING) -> Checkpoint:
    return Checkpoint(
        id="abc",
        phase=phase,
        boot="boot",
        namespace=(4, 5, 6),
        deadline_s=9.5,
        actor=Actor(1, 2),
        before="{}",
        back="{}",
        formers=(Former("eth1", 3, "02:00:00:00:00:01", 1500, is_up=True),),
        journal=Journal(taken=(Load("eth1", 3, (), (NET, DEFAULT)),)),
    )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(state=tmp_path / "state")


def test_a_change_is_read_as_it_was_written_until_it_is_removed(host: Host) -> None:
    store.write(host, a_checkpoint(Phase.ARMING))
    store.write(host, a_checkpoint())

    read = store.read(host)
    store.note(host, a_checkpoint())
    store.remove(host)
    store.remove(host)

    assert read == a_checkpoint()
    assert store.read(host) is None
    assert list(store.folder(host).iterdir()) == []


def test_steps_are_noted_beside_a_change_until_it_is_written_again(host: Host) -> None:
    boot = host.boot_id()
    begun = replace(a_checkpoint(), boot=boot)
    store.write(host, begun)
    noted = replace(begun, journal=Journal(count=1, touched=("eth1",)))

    store.note(host, noted)
    read = store.read(host)
    store.write(host, replace(noted, phase=Phase.WAITING))

    assert read == noted
    assert store.read(host) == replace(noted, phase=Phase.WAITING)
    assert [path.name for path in store.folder(host).iterdir()] == ["change.json"]


def test_notes_older_than_the_change_beside_them_are_left_alone(
    host: Host,
) -> None:
    """As where a process is killed when it has written the change, and not yet removed them."""
    begun = replace(a_checkpoint(), boot=host.boot_id())
    store.write(host, begun)
    store.note(host, replace(begun, journal=Journal(count=1, touched=("eth1",))))
    notes = (store.folder(host) / "steps.json").read_bytes()
    written = replace(begun, journal=Journal(count=2, touched=("eth1", "eth2")))

    store.write(host, written)
    (store.folder(host) / "steps.json").write_bytes(notes)
    (store.folder(host) / "steps.json").chmod(0o600)

    assert store.read(host) == written


def test_notes_of_another_change_or_another_boot_are_left_alone(host: Host) -> None:
    ours = replace(a_checkpoint(), boot=host.boot_id())
    noted = Journal(count=5, touched=("eth9",))
    store.write(host, ours)

    store.note(host, replace(ours, id="other", journal=noted))
    assert store.read(host) == ours

    store.write(host, replace(ours, boot="before"))
    store.note(host, replace(ours, journal=noted))
    assert store.read(host) == replace(ours, boot="before")


def test_a_power_loss_may_leave_any_notes(host: Host) -> None:
    store.write(host, a_checkpoint())
    (store.folder(host) / "steps.json").write_bytes(b"")

    assert store.read(host) == a_checkpoint()

    store.write(host, replace(a_checkpoint(), boot=host.boot_id()))
    assert store.read(host) == replace(a_checkpoint(), boot=host.boot_id())


def test_the_file_of_a_change_is_for_root_alone(host: Host) -> None:
    store.write(host, a_checkpoint())

    folder = store.folder(host)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_folder_that_others_can_write_is_not_used(host: Host) -> None:
    store.write(host, a_checkpoint())
    store.folder(host).chmod(0o777)

    with pytest.raises(MachineError, match="others can"):
        store.write(host, a_checkpoint())
    with pytest.raises(MachineError, match="can be written by others"):
        store.read(host)


def test_a_file_that_is_no_checkpoint_is_an_error_and_not_no_change(host: Host) -> None:
    store.write(host, a_checkpoint())
    (store.folder(host) / "change.json").write_text('{"id": 5}', encoding="utf-8")

    with pytest.raises(MachineError, match=r"cannot read .*change\.json"):
        store.read(host)


def test_one_change_at_a_time(host: Host) -> None:
    with store.locked(host, 0), pytest.raises(TryLaterError), store.locked(host, 0.2):
        pass


def test_a_process_is_alive_as_long_as_it_is_the_same(tmp_path: Path) -> None:
    del tmp_path
    own = store.this_process()

    assert own.pid == os.getpid()
    assert store.is_alive(own)
    assert not store.is_alive(Actor(own.pid, own.began - 1))
    assert not store.is_alive(Actor(2**22 + 1, 5))


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        actor = Actor(process.pid, _began(process.pid) or 0)
        was_alive = store.is_alive(actor)
        process.kill()

        wait_for(lambda: not store.is_alive(actor))

        assert was_alive
        assert Path(f"/proc/{process.pid}").exists()


def test_a_change_that_could_not_be_read_again_is_not_written(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(host, a_checkpoint(Phase.ARMING))
    monkeypatch.setattr(store, "_MOST_BYTES", 1200)  # 64 MiB are long for a test
    many = replace(a_checkpoint(), journal=Journal(taken=(Load("eth1", 3, (), (NET,) * 50),)))

    with pytest.raises(MachineError, match="the most is 1200"):
        store.write(host, many)

    assert store.read(host) == a_checkpoint(Phase.ARMING)


def test_the_last_whole_note_counts(host: Host) -> None:
    """A line is noted for each step; a killed process may leave a part of one."""
    begun = replace(a_checkpoint(), boot=host.boot_id())
    store.write(host, begun)
    noted = [replace(begun, journal=Journal(count=number, touched=("eth1",))) for number in (1, 2)]
    for row in noted:
        store.note(host, row)
    file = store.folder(host) / "steps.json"

    file.write_bytes(file.read_bytes()[:-1])
    assert store.read(host) == noted[0]

    file.write_bytes(b"")
    assert store.read(host) == begun


def test_notes_do_not_grow_without_bound(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = replace(a_checkpoint(), boot=host.boot_id())
    store.write(host, begun)
    monkeypatch.setattr(store, "_MOST_OF_NOTES", 1000)

    for number in range(1, 100):
        last = replace(begun, journal=Journal(count=number, touched=("eth1",)))
        store.note(host, last)

    assert (store.folder(host) / "steps.json").stat().st_size <= 1000
    assert store.read(host) == last
    assert len(list(store.folder(host).iterdir())) == 2
