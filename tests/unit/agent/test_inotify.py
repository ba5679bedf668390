"""Folders that are watched, those that cannot be, and those that are recreated."""

import selectors
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sriovbond.agent.inotify import Folder, FollowedFolder
from sriovbond.errors import MachineError
from tests.support.descriptors import no_more_open_files


def test_a_folder_that_cannot_be_watched_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    with pytest.raises(MachineError, match=r"cannot watch .*: No such file or directory"):
        Folder(tmp_path / "none")

    assert len(list(Path("/proc/self/fd").iterdir())) == before


def followed(path: Path, waiting: selectors.BaseSelector) -> FollowedFolder:
    return FollowedFolder(path, lambda: path.mkdir(exist_ok=True), waiting)


def rename_into(path: Path, name: str) -> None:
    (path / ".new").touch()
    (path / ".new").rename(path / name)


def hear(folder: FollowedFolder, waiting: selectors.BaseSelector) -> set[str] | None:
    assert folder.is_in([key.fileobj for key, _ in waiting.select(0)])
    return folder.changed()


def move_aside(path: Path) -> None:
    path.rename(path.with_name("aside"))


@pytest.mark.parametrize("take_away", [shutil.rmtree, move_aside])
def test_a_folder_is_followed_when_it_is_recreated(
    tmp_path: Path, take_away: Callable[[Path], None]
) -> None:
    path = tmp_path / "records"
    with selectors.DefaultSelector() as waiting:
        folder = followed(path, waiting)
        rename_into(path, "one")
        first, was_followed = hear(folder, waiting), folder.is_followed
        take_away(path)
        path.mkdir()  # of the same inode's number as before, it may be
        hear(folder, waiting)
        is_noticed = not folder.is_followed
        folder.look([])
        rename_into(path, "two")
        second = hear(folder, waiting)
        folder.close()

    assert (first, was_followed, is_noticed, second) == ({"one"}, True, True, {"two"})


def test_a_folder_that_cannot_be_watched_now_is_reported_once_and_followed_later(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "records"
    with selectors.DefaultSelector() as waiting:
        with (
            no_more_open_files()
        ):  # inotify's instances are refused so when others have used them up
            folder = followed(path, waiting)
            folder.follow()
            was_followed = folder.is_followed
        folder.follow()
        rename_into(path, "one")
        heard = hear(folder, waiting)
        folder.close()

    assert (was_followed, heard) == (False, {"one"})
    assert capfd.readouterr().err.count("Too many open files; it is listed now and then") == 1


def test_a_paused_folder_keeps_its_events(tmp_path: Path) -> None:
    with selectors.DefaultSelector() as waiting:
        folder = followed(tmp_path, waiting)
        folder.pause()
        rename_into(tmp_path, "one")
        while_paused = waiting.select(0)
        folder.resume()
        folder.resume()
        heard = hear(folder, waiting)
        folder.close()
        folder.close()

    assert (while_paused, heard) == ([], {"one"})
