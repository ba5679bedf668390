import os
from pathlib import Path

import pytest

from deviceinfo.jsonfile import UnreadableError
from sriovbond.cluster.kubeconfig import read_kubeconfig


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    file = tmp_path / "sriovbond.kubeconfig"
    file.write_text("kind: Config")
    file.chmod(0o600)
    return file


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o644])
def test_a_file_that_only_its_owner_can_write_is_read(kubeconfig: Path, mode: int) -> None:
    kubeconfig.chmod(mode)

    assert read_kubeconfig(kubeconfig) == b"kind: Config"


@pytest.mark.parametrize("place", ["missing", "missing/missing", "sriovbond.kubeconfig/missing"])
def test_a_file_that_is_not_there_is_told_apart(kubeconfig: Path, place: str) -> None:
    with pytest.raises(FileNotFoundError):
        read_kubeconfig(kubeconfig.parent / place)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("which", ["file", "folder"])
def test_what_others_can_write_is_not_read(kubeconfig: Path, which: str, mode: int) -> None:
    target = kubeconfig if which == "file" else kubeconfig.parent
    target.chmod(mode | 0o100)

    with pytest.raises(UnreadableError, match=r"can be written by others \(mode 07[0-9]+\); chmod"):
        read_kubeconfig(kubeconfig)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("which", ["file", "folder"])
def test_root_reads_no_file_of_another_user(kubeconfig: Path, which: str) -> None:
    os.chown(kubeconfig if which == "file" else kubeconfig.parent, 65534, -1)

    with pytest.raises(UnreadableError, match="belongs to user 65534; chown it to root"):
        read_kubeconfig(kubeconfig)


def test_a_link_is_not_followed(kubeconfig: Path) -> None:
    link = kubeconfig.with_name("link")
    link.symlink_to(kubeconfig)

    with pytest.raises(UnreadableError, match="a link is not followed"):
        read_kubeconfig(link)


def test_a_fifo_or_a_folder_is_told_at_once(kubeconfig: Path) -> None:
    kubeconfig.unlink()
    os.mkfifo(kubeconfig, 0o600)

    with pytest.raises(UnreadableError, match="not a plain file"):
        read_kubeconfig(kubeconfig)

    kubeconfig.unlink()
    kubeconfig.mkdir(0o700)
    with pytest.raises(UnreadableError, match="not a plain file"):
        read_kubeconfig(kubeconfig)


def test_a_file_is_read_up_to_a_mebibyte(kubeconfig: Path) -> None:
    kubeconfig.write_bytes(b"x" * (1 << 20))
    assert len(read_kubeconfig(kubeconfig)) == 1 << 20

    kubeconfig.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(UnreadableError, match="larger than 1048576 bytes"):
        read_kubeconfig(kubeconfig)
