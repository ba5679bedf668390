"""A watchdog counts as armed when it is seen to run: a timer by systemd's word, else a process."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond import systemd
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial import store, watchdog
from sriovbond.trial.checkpoint import Checkpoint
from tests.docs_tables import CHECKOUT
from tests.support.played_systemd import a_systemd
from tests.unit.trial.test_store import a_checkpoint


@pytest.fixture
def host(tmp_path: Path) -> Host:
    host = Host(state=tmp_path / "state")
    store.write(host, a_checkpoint())
    return host


def ends(host: Host, pid: int) -> bool:
    """Let the change end, and return whether the process ends then."""
    store.remove(host)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not Path(f"/proc/{pid}").exists()


def the_checkpoint(host: Host) -> Checkpoint:
    """Return the change, an hour before its deadline."""
    checkpoint = store.read(host)
    assert checkpoint is not None
    return checkpoint


def test_a_timer_that_systemd_calls_active_is_the_watchdog(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = a_systemd(tmp_path, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))

    words = watchdog.arm(host, the_checkpoint(host), 60)
    watchdog.disarm(the_checkpoint(host))

    assert words == "the timer sriovbond-host-abc.timer"
    calls = log.read_text().splitlines()
    assert "--on-active=60s" in calls[0]
    assert f"--setenv=PYTHONPATH={CHECKOUT} -- " in calls[0]
    assert "-m sriovbond host watchdog abc" in calls[0]
    assert calls[1] == "systemctl is-active sriovbond-host-abc.timer"
    assert "systemctl stop sriovbond-host-abc.timer" in calls


@pytest.mark.slow
@pytest.mark.parametrize("answer", [("inactive", 0), ("active", 1)])
def test_where_systemd_does_not_have_the_timer_a_process_is_the_watchdog(
    host: Host,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: tuple[str, int],
) -> None:
    a_systemd(tmp_path, monkeypatch, state=answer[0], run=answer[1])
    store.write(host, a_checkpoint_in_an_hour())

    words = watchdog.arm(host, the_checkpoint(host), 60)

    pid = int(words.removeprefix("the process "))
    assert os.getsid(pid) != os.getsid(0)
    assert ends(host, pid)


def a_checkpoint_in_an_hour() -> Checkpoint:
    return replace(a_checkpoint(), deadline_s=store.now_s() + 3600)


def test_a_timer_whose_command_does_not_start_is_not_armed(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative PYTHONPATH is right here, and wrong where systemd starts the command."""
    log = a_systemd(tmp_path, monkeypatch)
    monkeypatch.setattr("sys.executable", str(a_python_that_needs_its_folder(tmp_path)))

    with pytest.raises(MachineError, match="nothing was changed"):
        watchdog.arm(host, the_checkpoint(host), 60)

    assert "systemd-run" not in log.read_text()


def a_python_that_needs_its_folder(folder: Path) -> Path:
    program = folder / "python"
    program.write_text('#!/bin/sh\n[ "$PWD" != / ]\n')
    program.chmod(0o755)
    return program


def test_a_process_that_does_not_begin_is_no_watchdog(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "is_usable", lambda: False)  # as in a container
    store.remove(host)

    with pytest.raises(MachineError, match="nothing was changed"):
        watchdog.arm(host, a_checkpoint(), 60)


def test_disarming_survives_a_systemd_that_does_not_answer(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_systemd(tmp_path, monkeypatch)
    (tmp_path / "systemctl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(watchdog, "_ASK_S", 0.3)  # 10 s are long for a test

    watchdog.disarm(the_checkpoint(host))
