"""A small file system of its own for a folder, to be filled."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def a_small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", "size=1m,nr_inodes=40,mode=0700"]
    subprocess.run(["mount", *options, "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, of: str) -> None:
    """Fill the file system with bytes, or with files."""
    try:
        if of == "bytes":
            with (folder / "ballast").open("wb", buffering=0) as file:
                while file.write(bytes(4096)):
                    pass
        else:
            for number in range(100):
                (folder / f"ballast{number}").touch()
    except OSError:
        return
    raise AssertionError(f"{folder} was not full")


def empty(folder: Path) -> None:
    for path in folder.glob("ballast*"):
        path.unlink()
