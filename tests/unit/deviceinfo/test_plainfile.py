import os
import socket
from pathlib import Path

import pytest

from deviceinfo import plainfile
from deviceinfo.plainfile import NotPlainError, UnreadableError


def test_a_file_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"{}")

    assert plainfile.read(tmp_path / "file", 2) == b"{}"


def test_a_file_is_read_inside_an_open_folder_wherever_that_is_by_now(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"{}")

    with plainfile.open_folder(tmp_path / "folder") as folder_fd:
        (tmp_path / "folder").rename(tmp_path / "moved")
        content = plainfile.read("file", 2, inside=folder_fd)

    assert content == b"{}"


@pytest.mark.parametrize("name", ["missing", "missing/file"])
def test_a_missing_file_is_distinguished(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        plainfile.read(tmp_path / name, 2)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "a link is not followed"),
        ("pipe", "not a plain file"),
        ("socket", "not a plain file"),
        ("folder", "not a plain file"),
        ("large", "larger than 2 bytes"),
    ],
)
def test_a_file_that_is_not_plain_or_too_large_is_a_lasting_fault(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "large").write_bytes(b"[ ]")
    (tmp_path / "link").symlink_to("large")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        with pytest.raises(NotPlainError, match=reason):
            plainfile.read(tmp_path / name, 2)


def test_a_file_that_cannot_be_read_now_may_be_plain(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"{}")

    with pytest.raises(UnreadableError, match=r"^Not a directory$") as caught:
        plainfile.read(tmp_path / "file/file", 2)

    assert not isinstance(caught.value, NotPlainError)


def test_a_folder_inside_another_is_no_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")

    with plainfile.open_folder(tmp_path) as folder_fd:
        with plainfile.open_folder("folder", inside=folder_fd) as inner_fd:
            assert os.fstat(inner_fd).st_ino == (tmp_path / "folder").stat().st_ino
        with pytest.raises(NotADirectoryError), plainfile.open_folder("link", inside=folder_fd):
            pass
