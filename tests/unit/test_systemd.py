"""The file of a unit: written where it is missing or another, removed, and systemd told of both."""

from pathlib import Path

import pytest

from sriovbond import systemd
from sriovbond.errors import MachineError
from tests.support.played_systemd import a_systemd

UNIT = "example.service"
RELOAD = "systemctl daemon-reload"


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of what systemd is asked."""
    return a_systemd(tmp_path, monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / systemd.UNITS).mkdir(parents=True)
    return tmp_path / "root"


def test_a_unit_is_written_once_for_all_to_read(root: Path, calls: Path) -> None:
    for _ in range(2):
        systemd.write_unit(root, UNIT, "[Service]\n")

    file = systemd.unit_file(root, UNIT)
    assert file.read_text() == "[Service]\n"
    assert file.stat().st_mode & 0o7777 == 0o644
    assert calls.read_text().splitlines() == [RELOAD]


def test_another_unit_of_its_name_is_replaced(root: Path, calls: Path) -> None:
    systemd.unit_file(root, UNIT).write_text("[Service]\nUser=nobody\n")

    systemd.write_unit(root, UNIT, "[Service]\n")

    assert systemd.unit_file(root, UNIT).read_text() == "[Service]\n"
    assert calls.read_text().splitlines() == [RELOAD]


def test_a_unit_is_removed_once(root: Path, calls: Path) -> None:
    systemd.unit_file(root, UNIT).write_text("[Service]\n")

    for _ in range(2):
        systemd.remove_unit(root, UNIT)

    assert not systemd.unit_file(root, UNIT).exists()
    assert calls.read_text().splitlines() == [RELOAD]


@pytest.mark.usefixtures("calls")
def test_a_unit_that_cannot_be_removed_is_an_error(root: Path) -> None:
    systemd.unit_file(root, UNIT).mkdir()

    with pytest.raises(MachineError, match=r"cannot remove .*example\.service"):
        systemd.remove_unit(root, UNIT)


@pytest.mark.usefixtures("calls")
def test_a_unit_that_cannot_be_written_is_an_error(root: Path) -> None:
    (root / systemd.UNITS).rmdir()

    with pytest.raises(MachineError, match=r"cannot install .*example\.service: No such file"):
        systemd.write_unit(root, UNIT, "[Service]\n")


def test_a_refusal_of_systemd_is_an_error_in_its_words(tmp_path: Path, calls: Path) -> None:
    (tmp_path / "systemctl").write_text("#!/bin/sh\necho 'Unit is masked.\nmore' >&2; exit 1\n")

    with pytest.raises(MachineError) as raised:
        systemd.systemctl("start", UNIT)

    assert raised.value.message == "cannot run `systemctl start example.service`: Unit is masked."
    assert not calls.exists()


def test_a_missing_systemctl_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(MachineError, match=r"cannot run `systemctl start .*No such file"):
        systemd.systemctl("start", UNIT)


@pytest.mark.parametrize(
    ("text", "word"),
    [("/usr/bin/x", "/usr/bin/x"), ("a b", '"a b"'), ('a"\\', '"a\\"\\\\"'), ("100%", "100%%")],
)
def test_a_text_is_one_word_of_a_line(text: str, word: str) -> None:
    assert systemd.word(text) == word
