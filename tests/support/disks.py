"""File systems of a folder's own: soon full, with a disk that fails, or one that outlives QEMU."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DISK = "sriovbond-failing"
_SECTORS = 16384
SERIAL = "sriovbond-faults"
"""By which the VM knows the disk that a test adds to it."""


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


def make_read_only(folder: Path) -> None:
    """Refuse each change from now on (EROFS), as a file system with errors does."""
    _run("mount", "-o", "remount,ro", str(folder))


def make_writable(folder: Path) -> None:
    """End that."""
    _run("mount", "-o", "remount,rw", str(folder))


@dataclass(frozen=True, slots=True)
class FailingDisk:
    """A disk behind a device mapper, which can have each read and write end in EIO."""

    loop: str

    def fail(self) -> None:
        """Have all fail from now on; what was written before is on the disk, and in no cache."""
        self._turn("error")  # by freezing the file system, which writes all of it
        Path("/proc/sys/vm/drop_caches").write_text("3")

    def recover(self) -> None:
        """End that."""
        self._turn(f"linear {self.loop} 0", "--nolockfs")  # freezing would write, and fail

    def _turn(self, target: str, *options: str) -> None:
        _dmsetup("load", _DISK, "--table", f"0 {_SECTORS} {target}")
        _dmsetup("suspend", *options, _DISK)
        _dmsetup("resume", _DISK)


@contextmanager
def a_failing_disk(folder: Path, image: Path) -> Iterator[FailingDisk]:
    """Mount such a disk on the folder; for root in the VM, with dmsetup."""
    subprocess.run(["modprobe", "-a", "loop", "dm-mod", "ext4"], check=True)
    with image.open("wb") as file:
        file.truncate(_SECTORS * 512)
    disk = FailingDisk(_run("losetup", "--find", "--show", str(image)))
    try:
        _dmsetup("create", _DISK, "--table", f"0 {_SECTORS} linear {disk.loop} 0")
        device = _find_device()
        _run("mke2fs", "-q", "-t", "ext2", device)  # without a journal, whose end is for good
        folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-o", "errors=continue", device, str(folder))
        yield disk
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        _dmsetup("remove", "--force", "--retry", _DISK)
        _run("losetup", "--detach", disk.loop)
        image.unlink()


def mount_lasting(folder: Path) -> None:
    """Mount the disk that a test added to the VM; its journal repairs it after a power loss."""
    _run("modprobe", "-a", "virtio_blk", "ext4")
    serials = {path: path.read_text() for path in Path("/sys/block").glob("vd*/serial")}
    (disk,) = (path for path, text in serials.items() if text.strip() == SERIAL)
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "ext4", f"/dev/{disk.parent.name}", str(folder))


def _find_device() -> str:
    """Return the kernel's own name of it: without udev nobody makes the one in /dev/mapper."""
    names = {file.read_text().strip(): file for file in Path("/sys/block").glob("dm-*/dm/name")}
    return f"/dev/{names[_DISK].parents[1].name}"


def _dmsetup(command: str, *arguments: str) -> None:
    """Run dmsetup as where there is no udev."""
    _run("dmsetup", command, "--noudevrules", "--noudevsync", *arguments)


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout.strip()
