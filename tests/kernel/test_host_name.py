"""The host's name is part of a change, and of its way back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond import hostname, libc
from sriovbond.trial import transaction
from sriovbond.trial.transaction import Manner, RevertedError
from tests.support.changes import TIMEOUT_S, Changes
from tests.support.sites import NodeUnderTest, a_node_with_wires

CLONE_NEWUTS = 0x04000000  # include/uapi/linux/sched.h
WISH = "hostname: {running: new.example.org, config: new.example.org}"


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[Changes]:
    """Make a node whose name is its own, in a namespace of this thread."""
    before = os.open("/proc/thread-self/ns/uts", os.O_RDONLY)
    try:
        libc.unshare(CLONE_NEWUTS)
        hostname.run_as("old")
        with a_node_with_wires(tmp_path) as node:
            (node.host.root / "etc/hostname").write_text("old.example\n")
            yield Changes(node, [])
    finally:
        libc.setns(before, CLONE_NEWUTS)
        os.close(before)


def _names(node: NodeUnderTest) -> tuple[str, str]:
    return hostname.running(), (node.host.root / "etc/hostname").read_text()


def test_a_name_is_set_once_shown_and_reverted(changes: Changes) -> None:
    node = changes.node

    changes.apply(WISH, is_waiting=True)

    assert _names(node) == ("new.example.org", "new.example.org\n")
    assert node.left(WISH) == []
    assert node.left(node.show()) == []
    changes.rollback()
    assert _names(node) == ("old", "old.example\n")


def test_a_name_that_another_gave_meanwhile_stays(changes: Changes) -> None:
    changes.apply(WISH, is_waiting=True)
    hostname.run_as("third")
    (changes.node.host.root / "etc/hostname").write_text("third\n")

    changes.rollback()

    assert _names(changes.node) == ("third", "third\n")


def test_a_change_that_is_not_kept_leaves_the_name(changes: Changes) -> None:
    node = changes.node
    manner = Manner(
        TIMEOUT_S, is_waiting=False, say=changes.said.append, confirm=lambda _joined, _left_s: False
    )

    with pytest.raises(RevertedError):
        changes.inside(
            lambda: transaction.apply(node.site, node.host, lambda: node.join(WISH), manner)
        )

    assert _names(node) == ("old", "old.example\n")
