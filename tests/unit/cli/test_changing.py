"""A change that may cut a person off is kept only where they say so in time."""

import os
from collections.abc import Iterator
from typing import TextIO

import pytest
from click.testing import CliRunner

from sriovbond.cli import changing, sriovbond
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import NetState, NodeLink

CHANGE = join(
    NetState(interfaces=(NodeLink("eth1", mtu=1400),)),
    NetState(interfaces=(NodeLink("eth1", type="ethernet", mtu=1500),)),
)


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[TextIO]:
    """The other end of standard input, of a person who is on ssh."""
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 5 192.0.2.9 22")
    read, write = os.pipe()
    with os.fdopen(read) as theirs, os.fdopen(write, "w") as ours:
        monkeypatch.setattr("sys.stdin", theirs)  # pytest has its own there
        yield ours


def _confirm(joined: Joined = CHANGE) -> bool:
    """Ask for as long as three looks take."""
    left = iter((3.0, 2.0, 2.0, 1.0))
    return changing._confirm(joined, lambda: next(left, 0.0))  # noqa: SLF001 - a terminal's part


@pytest.mark.parametrize(
    ("typed", "is_kept"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False)]
)
def test_an_answer_decides(keyboard: TextIO, typed: str, is_kept: bool) -> None:  # noqa: FBT001 - a row's
    keyboard.write(typed)
    keyboard.flush()

    assert _confirm() is is_kept


def test_without_an_answer_in_time_it_is_not_kept(
    keyboard: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(changing, "_LOOK_S", 0.01)  # three looks of 1 s are long for a test

    assert _confirm() is False

    assert not keyboard.closed
    assert capsys.readouterr().out.count("keep the change?") > 1


def test_a_terminal_that_is_gone_keeps_nothing(keyboard: TextIO) -> None:
    keyboard.close()

    assert _confirm() is False


def test_a_change_that_cuts_no_person_off_is_kept_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_CONNECTION", raising=False)

    assert _confirm() is True


@pytest.mark.parametrize("words", ["apply -", "commit", "rollback", "remove"])
def test_another_user_than_root_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 65534)  # as another user nothing here could be read

    result = CliRunner().invoke(sriovbond, ["host", *words.split()], input="interfaces: []")

    assert result.stderr == (
        "Error: cannot change the node's network: only root may; call it as root\n"
    )
    assert result.exit_code == 2
