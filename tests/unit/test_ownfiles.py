"""Files that only one user may write are read, appended to, locked, and replaced atomically."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deviceinfo.plainfile import NotPlainError, UnreadableError
from sriovbond import ownfiles
from sriovbond.errors import MachineError, TryLaterError

CONTENT = bytes(range(256)) * 4096
BUSY = TryLaterError("another one holds it")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "folder"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def folder_fd(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_whole_for_its_user_alone(folder: Path, folder_fd: int) -> None:
    ownfiles.write_whole(folder_fd, "file", CONTENT, fresh=".file.new")

    assert (folder / "file").read_bytes() == CONTENT
    assert (folder / "file").stat().st_mode & 0o7777 == 0o600
    assert names(folder) == ["file"]


@pytest.mark.parametrize("name", ["file", ".file.new"])
def test_a_link_in_its_place_or_beside_is_replaced_and_not_followed(
    folder: Path, folder_fd: int, name: str
) -> None:
    victim = folder.with_name("victim")
    victim.write_bytes(b"precious")
    (folder / name).symlink_to(victim)

    ownfiles.write_whole(folder_fd, "file", CONTENT, fresh=".file.new")

    assert victim.read_bytes() == b"precious"
    assert not (folder / "file").is_symlink()
    assert (folder / "file").read_bytes() == CONTENT


def test_temporary_files_of_a_killed_call_do_no_harm(folder: Path, folder_fd: int) -> None:
    (folder / ".file.new").write_bytes(CONTENT * 2)

    ownfiles.write_whole(folder_fd, "file", b"{}", fresh=".file.new")

    assert (folder / "file").read_bytes() == b"{}"
    assert names(folder) == ["file"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside(
    folder: Path, folder_fd: int
) -> None:
    (folder / "file").write_bytes(b"old")

    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left"):
        ownfiles.write_whole(folder_fd, "file", CONTENT, fresh=".file.new", finish=fail)

    assert (folder / "file").read_bytes() == b"old"
    assert names(folder) == ["file"]


def test_a_file_is_replaced_by_one_of_the_requested_mode(folder: Path) -> None:
    ownfiles.put(folder / "file", b"old")
    ownfiles.put(folder / "file", CONTENT, 0o644)

    assert (folder / "file").read_bytes() == CONTENT
    assert (folder / "file").stat().st_mode & 0o7777 == 0o644
    assert names(folder) == ["file"]


def test_a_file_is_removed_once_and_a_folder_is_not(folder: Path) -> None:
    (folder / "file").write_bytes(CONTENT)

    for _ in range(2):
        ownfiles.remove(folder / "file")

    assert names(folder) == []
    with pytest.raises(MachineError, match=f"cannot remove {folder}: "):
        ownfiles.remove(folder)


@pytest.mark.parametrize("name", ["link", "inside/file", "folder"])
def test_appending_follows_no_link_and_wants_a_file(folder: Path, name: str) -> None:
    victim = folder.with_name("victim")
    victim.mkdir()
    (victim / "file").write_bytes(b"precious")
    (folder / "link").symlink_to(victim / "file")
    (folder / "inside").symlink_to(victim)
    (folder / "folder").mkdir()

    with pytest.raises(OSError, match=r"Too many levels|Not a directory|Is a directory"):
        ownfiles.open_to_append(folder, Path(name))

    assert (victim / "file").read_bytes() == b"precious"


def test_a_pipe_is_not_appended_to(folder: Path) -> None:
    os.mkfifo(folder / "pipe")

    with pytest.raises(NotPlainError):
        ownfiles.open_to_append(folder, Path("pipe"))


def test_a_file_is_appended_to_and_made_for_that(folder: Path) -> None:
    for text in (b"a", b"b"):
        descriptor = ownfiles.open_to_append(folder, Path("file"))
        os.write(descriptor, text)
        os.close(descriptor)

    assert (folder / "file").read_bytes() == b"ab"


def test_a_folder_is_made_for_its_owner_alone(folder: Path) -> None:
    ownfiles.make_folder(folder / "outer/inner", os.geteuid())
    ownfiles.make_folder(folder / "outer/inner", os.geteuid())

    assert (folder / "outer/inner").stat().st_mode & 0o7777 == 0o700


def test_a_folder_that_others_may_write_or_a_link_is_not_used(folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    (folder / "link").symlink_to(folder)

    for name in ("open", "link"):
        with pytest.raises(MachineError, match="look who made it"):
            ownfiles.make_folder(folder / name, os.geteuid())


def test_a_file_that_others_may_write_is_not_read(folder: Path) -> None:
    (folder / "file").write_bytes(b"{}")
    assert ownfiles.read(folder / "file", 2) == b"{}"

    (folder / "file").chmod(0o666)
    with pytest.raises(UnreadableError, match="it can be written by others"):
        ownfiles.read(folder / "file", 2)

    (folder / "file").chmod(0o600)
    folder.chmod(0o770)
    with pytest.raises(UnreadableError, match="its folder can be written by others"):
        ownfiles.read(folder / "file", 2)


def test_a_file_is_the_same_by_another_path_and_another_one_when_it_is_replaced(
    folder: Path,
) -> None:
    file, link, new = folder / "file", folder / "link", folder / "new"
    file.touch()
    new.touch()
    link.symlink_to(file)
    before = ownfiles.identity(file)

    assert before == ownfiles.identity(link)
    new.rename(file)
    assert ownfiles.identity(file) != before
    assert ownfiles.identity(folder / "missing") is None


def test_a_locked_file_is_refused_to_others_until_it_is_released(folder: Path) -> None:
    with ownfiles.locked(folder / "lock", 0, BUSY):
        assert ownfiles.is_locked(folder / "lock")
        with (
            pytest.raises(TryLaterError, match="another one holds it"),
            ownfiles.locked(folder / "lock", 0.1, BUSY),
        ):
            pass

    assert not ownfiles.is_locked(folder / "lock")
    with ownfiles.locked(folder / "lock", 0, BUSY):
        pass


def test_a_lock_is_released_when_its_holder_fails(folder: Path) -> None:
    with pytest.raises(ZeroDivisionError), ownfiles.locked(folder / "lock", 0, BUSY):
        raise ZeroDivisionError

    assert not ownfiles.is_locked(folder / "lock")


def test_a_link_is_not_followed_to_a_lock(folder: Path) -> None:
    (folder / "lock").symlink_to(folder / "elsewhere")

    with (
        pytest.raises(MachineError, match=r"cannot open .*/lock: "),
        ownfiles.locked(folder / "lock", 0, BUSY),
    ):
        pass

    assert names(folder) == ["lock"]


def test_a_locked_folder_is_refused_to_others(folder: Path) -> None:
    with (
        ownfiles.locked_folder(folder, 0, BUSY),
        pytest.raises(TryLaterError),
        ownfiles.locked_folder(folder, 0.1, BUSY),
    ):
        pass


def test_a_folder_is_made_to_be_locked(folder: Path) -> None:
    with ownfiles.locked_folder(folder / "inner", 0, BUSY) as folder_fd:
        assert os.fstat(folder_fd).st_ino == (folder / "inner").stat().st_ino


def test_a_folder_that_its_holder_removes_is_locked_anew_by_the_next(folder: Path) -> None:
    opened: list[int] = []

    def open_it_before_it_is_removed() -> int:
        opened.append(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
        if len(opened) == 1:
            folder.rmdir()
            folder.mkdir()
        return opened[-1]

    locked = ownfiles.lock(folder, open_it_before_it_is_removed, 60)

    assert locked == opened[1]
    assert os.fstat(locked).st_ino == folder.stat().st_ino
    os.close(locked)
