"""The host's name is read and written as hostname(5) has it."""

from pathlib import Path

import pytest

from sriovbond import hostname
from sriovbond.errors import MachineError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "name", ["node1", "node1.example.org", "NODE-1", "1", "my_host", "a" * 64, "x--y.z"]
)
def test_a_host_may_have_the_name(name: str) -> None:
    assert hostname.is_possible(name)


@pytest.mark.parametrize(
    "name", ["", "(none)", "-a", "a-", "a..b", "a.-b", ".a", "a.", "a b", "a/b", "ä", "a" * 65]
)
def test_no_host_has_the_name(name: str) -> None:
    assert not hostname.is_possible(name)


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"node1\n", "node1"), (b"# of the rack\n\n node1 \nother\n", "node1"), (b"", "")],
)
def test_the_name_is_the_first_line_that_is_no_comment(
    root: Path, content: bytes, name: str
) -> None:
    (root / "etc/hostname").write_bytes(content)

    assert hostname.configured(root) == name


def test_a_written_name_is_read_and_no_name_is_no_file(root: Path) -> None:
    hostname.write(root, hostname.content("node1"))
    assert hostname.configured(root) == "node1"
    assert (root / "etc/hostname").stat().st_mode & 0o777 == 0o644

    hostname.write(root, hostname.content(""))
    assert hostname.configured(root) == ""
    assert not (root / "etc/hostname").exists()


def test_a_file_that_cannot_be_read_is_named(root: Path) -> None:
    (root / "etc/hostname").mkdir()

    with pytest.raises(MachineError, match=r"cannot read .*/etc/hostname"):
        hostname.configured(root)
