"""Debian's NetworkManager and libvirt, unpacked into a root of their own: nothing is installed."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from tests.docs_tables import CHECKOUT
from tests.support import children
from tests.support.agents import wait_for

_PACKAGES: Final = (
    "coreutils",
    "dash",
    "dbus",
    "dnsmasq-base",
    "iproute2",
    "libvirt-clients",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "network-manager",
    "python3",
)
_SUITE: Final = "bookworm"
_USERS: Final = """\
root:x:0:0::/root:/bin/sh
messagebus:x:101:101::/:/bin/sh
libvirt-qemu:x:102:104::/:/bin/sh
"""
_GROUPS: Final = "root:x:0:\nmessagebus:x:101:\nlibvirt:x:103:\nkvm:x:104:\nlibvirt-qemu:x:102:\n"
_PLACE: Final = """
mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root &&
mount -t overlay -o lowerdir="$1",upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root &&
cd /mnt/root && mkdir -p proc sys dev run tmp etc root ".$2" && mount -t proc proc proc &&
mount -t sysfs -o ro sysfs sys && mount --rbind /dev dev && mount -t tmpfs tmpfs run &&
mount --bind "$2" ".$2" && mkdir -p run/dbus etc/NetworkManager var/lib/dbus &&
ln -sfn /run var/run &&
printf '%s' "$3" > etc/passwd && printf '%s' "$4" > etc/group &&
echo 0123456789abcdef0123456789abcdef > etc/machine-id &&
touch run/ready && exec sleep 1200
"""


def root() -> Path:
    """Return the folder of the programs, which `python -m tests.support.programs` fills."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("SRIOVBOND_CACHE") or caches / "sriovbond")
    mark = sha256(" ".join((_SUITE, *_PACKAGES)).encode()).hexdigest()[:12]
    return cache / f"programs-{mark}"


def words(program: str) -> list[str]:
    """Return the command that runs one of the programs among this machine's files."""
    (loader,) = root().glob("lib64/ld-linux*.so.*")
    (libraries,) = root().glob("usr/lib/*-linux-gnu")
    return [str(loader), "--library-path", str(libraries), str(root() / program)]


def unpack() -> None:
    """Unpack the packages, once; their own scripts are not run."""
    if root().exists():
        return
    unfinished = root().with_name(f"{root().name}-unfinished-{os.getpid()}")
    sys.stderr.write("unpacking NetworkManager and libvirt (2 minutes)\n")
    packages = f"--include={','.join(_PACKAGES)}"
    command = ["mmdebstrap", "--quiet", "--variant=extract", packages, _SUITE, str(unfinished)]
    subprocess.run(command, check=True)
    unfinished.rename(root())


@dataclass(frozen=True, slots=True)
class ProgramsPlace:
    """The namespaces in which the programs are, and nothing of the machine's network."""

    pid: int

    @property
    def files(self) -> Path:
        """The files that the programs see, from outside."""
        return Path(f"/proc/{self.pid}/root/mnt/root")

    def run(self, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script of the shell among the programs; return its status and what it prints."""
        command = [*self._enter, "dash", "-ec", script]
        return subprocess.run(command, check=False, capture_output=True, text=True, input=stdin)

    @contextmanager
    def running(self, *command: str) -> Iterator[None]:
        """Run a program that does not end."""
        with children.running([*self._enter, *command]):
            yield

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "chroot", "/mnt/root"]


@contextmanager
def a_place() -> Iterator[ProgramsPlace]:
    """Make the namespaces, and end them."""
    script = ["sh", "-ec", _PLACE, "sh", str(root()), str(CHECKOUT), _USERS, _GROUPS]
    with subprocess.Popen(["unshare", "--net", "--mount", *script]) as process:
        place = ProgramsPlace(process.pid)
        try:
            wait_for((place.files / "run/ready").exists)
            yield place
        finally:
            process.kill()


if __name__ == "__main__":
    unpack()
