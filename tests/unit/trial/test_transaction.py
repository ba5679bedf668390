"""A change's signals: one that the caller ignores stays ignored, others end it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import ConfigError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet.joined import Joined
from sriovbond.reshape.site import Site
from sriovbond.trial import transaction
from sriovbond.trial.transaction import InterruptedChangeError, Manner


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
