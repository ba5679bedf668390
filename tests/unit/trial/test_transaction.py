"""A change ends in its time, or is ended by a signal, but for those that the caller ignores."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.errors import ConfigError, MachineError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet.joined import Joined
from sriovbond.reshape.site import Site
from sriovbond.trial import persisted, transaction
from sriovbond.trial.transaction import (
    InterruptedChangeError,
    Manner,
    RevertedError,
    _Change,
    is_interrupted,
)
from tests.unit.trial.test_store import a_checkpoint


def test_a_change_is_not_kept_when_its_time_is_over(host: Host, site: Site) -> None:
    """The watchdog is about to revert it, or does so already."""
    late = replace(a_checkpoint(), name="uplink", document="interfaces: []", deadline_s=1.0)

    with pytest.raises(MachineError, match="the change took longer than its time"):
        _Change(site, host, late).end(is_waiting=False)

    assert persisted.list_documents(host) == []


def test_a_change_that_a_signal_ended_is_interrupted_however_far_it_was() -> None:
    signal_came = InterruptedChangeError("SIGTERM ended it")
    reverted = RevertedError("all is as it was before")
    reverted.__cause__ = signal_came

    assert is_interrupted(signal_came)
    assert is_interrupted(reverted)
    assert not is_interrupted(RevertedError("refused"))


@pytest.fixture
def _hangup() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def hang_up() -> Joined:
    os.kill(os.getpid(), signal.SIGHUP)
    raise ConfigError("the signal did not end it")


@pytest.mark.usefixtures("_hangup")
@pytest.mark.parametrize(
    ("handler", "error"),
    [(signal.SIG_IGN, ConfigError), (signal.SIG_DFL, InterruptedChangeError)],
)
def test_a_signal_that_nohup_ignores_ends_no_change(
    tmp_path: Path, handler: signal.Handlers, error: type[Exception]
) -> None:
    host = Host(state=tmp_path / "state")
    signal.signal(signal.SIGHUP, handler)

    manner = Manner(60.0, is_waiting=False, say=print)
    with netns.own() as own:
        site = Site(own, host.root, host.places.sysfs, host)
        with pytest.raises(error):
            transaction.apply(site, host, hang_up, manner)

    assert signal.getsignal(signal.SIGHUP) == handler
