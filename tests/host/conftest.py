"""The node that most of these tests change; a module with another has fixtures of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.trial import watchdog
from tests.support.booted import make_disk
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest
from tests.support.uplinks import a_plain_uplink


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_plain_uplink(tmp_path) as made:
        yield made


@pytest.fixture
def changes(node: NodeUnderTest) -> Changes:
    return Changes(node, [])


@pytest.fixture
def without_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arm none: `rollback` reverts here."""
    # its start takes most of the time in an emulator, and other tests have it
    monkeypatch.setattr(watchdog, "arm", lambda *_: "no watchdog")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """What outlives the boots of a node."""
    return make_disk(tmp_path)
