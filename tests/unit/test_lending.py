import os
import re
from pathlib import Path

import pytest

from sriovbond.bond.hostlinks import HostLinks
from sriovbond.lending import read

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    tmp_path.chmod(0o755)
    file = tmp_path / "node.toml"
    file.write_text('host_links = ["ens3f2"]\n')
    file.chmod(0o644)
    return file


def fault(file: Path) -> str:
    lent = read(file)
    assert lent.names is None
    assert lent.fault.startswith("/etc/sriovbond/node.toml cannot be used: ")
    return lent.fault


def test_the_nodes_word_is_read(file: Path) -> None:
    assert read(file) == HostLinks(("ens3f2",))


@pytest.mark.parametrize("place", ["none.toml", "none/node.toml"])
def test_a_node_without_a_file_lends_its_unused_links(file: Path, place: str) -> None:
    assert read(file.parent / place) == HostLinks()


def test_an_empty_file_lends_the_unused_links(file: Path) -> None:
    file.write_text("# nothing yet\n")

    assert read(file) == HostLinks()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"host_link = 'none'", "'host_link' is no setting; the only one is host_links"),
        (b"host_links = 'all'", 'host_links: expected "unused", "none", or a list'),
        (b"host_links =", "Invalid value"),
        (b"host_links = " + b"[" * 50_000, "recursion"),
        (b"host_links = '\xff'", "utf-8"),
        (b"#" * (1 << 17), "larger than 65536 bytes"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_file_that_is_wrong_lends_nothing(file: Path, content: bytes, words: str) -> None:
    file.write_bytes(content)

    assert words in fault(file)


@pytest.mark.parametrize("which", ["file", "folder"])
def test_a_file_that_others_may_write_lends_nothing(file: Path, which: str) -> None:
    (file if which == "file" else file.parent).chmod(0o777)

    assert "can be written by others" in fault(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_lends_nothing(file: Path) -> None:
    os.chown(file, 65534, -1)

    assert "belongs to user 65534" in fault(file)


def test_links_are_not_followed(file: Path) -> None:
    (file.parent / "link.toml").symlink_to(file)
    (file.parent / "folder").symlink_to(file.parent)

    assert "a link is not followed" in fault(file.parent / "link.toml")
    assert "its folder is a link" in fault(file.parent / "folder" / "node.toml")


def test_a_fifo_blocks_nothing(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)

    assert "not a plain file" in fault(file)


def test_the_readmes_words_are_understood(file: Path) -> None:
    pages = (ROOT / "docs/members.md").read_text(encoding="utf-8")
    written = re.findall(r"```toml\n(.*?)```", pages, re.DOTALL)
    written += [
        f"host_links = {value}"
        for value in re.findall(r"\| `(\"unused\"|\"none\"|\[\".*?\])`", pages)
    ]

    assert len(written) == 4
    for text in written:
        file.write_text(text)
        assert read(file).fault == "", text
