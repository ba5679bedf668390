"""Fetch a Debian kernel into the cache, through an apt root of its own; nothing is installed."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DEFAULT = "6.12"
SUITES = {"5.10": ["bullseye"], "6.1": ["bookworm"], "6.12": ["trixie"]}
NEWER = ["trixie-backports", "sid"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"
# Debian packs modules with xz; the emulated CPU would unpack these at every boot.
UNPACKED = ("drivers/net", "drivers/virtio", "drivers/vfio", "fs/fuse", "fs/overlayfs", "net")


class KernelError(Exception):
    """The kernel asked for cannot be had; the text says why and what to do."""


def fetch(wanted: str, cache: Path) -> Path:
    """Return the folder of Debian's newest kernel of version `wanted`; fetch it where needed."""
    home = cache / "kernels" / wanted
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unfinished-") as work:
            tree = _fetch_into(Path(work), wanted)
            _say(f"unpacked to {home}")
            if not home.exists():  # another VM's start may have been quicker
                tree.rename(home)
    return home


def image(home: Path) -> Path:
    """Return the kernel image in a folder that `fetch` returned."""
    return next((home / "boot").glob("vmlinuz-*"))


def _fetch_into(work: Path, wanted: str) -> Path:
    suites = SUITES.get(wanted, NEWER)
    _say(f"looking for Linux {wanted} in Debian {', '.join(suites)}")
    _apt_root(work, suites)
    _run(work, "apt-get", "-qq", "update")
    names = _run(work, "apt-cache", "pkgnames", "linux-").split()
    release = _newest(wanted, names, suites)
    packages = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
    packages = [package for package in packages if package in names]
    _say(f"downloading {' '.join(packages)} (about 110 MB)")
    _run(work, "apt-get", "-qq", "download", *packages)
    return _unpack(work, release)


def _newest(wanted: str, names: list[str], suites: list[str]) -> str:
    """Choose the newest stock kernel: neither cloud (no igb) nor rt nor unsigned.

    Since 6.19 the image package is empty: its files are in linux-binary-* and linux-modules-*, and
    Debian drops the latter of an old kernel while it still lists the former.
    """
    stock = re.compile(r"linux-image-(\d[\d.]*(?:-\d+)?(?:\+deb[\d.]+)?-amd64)")
    releases = [found[1] for name in names if (found := stock.fullmatch(name))]
    releases = [
        release
        for release in releases
        if f"linux-binary-{release}" not in names or f"linux-modules-{release}" in names
    ]
    releases.sort(key=lambda release: [int(number) for number in re.findall(r"\d+", release)])
    same = [release for release in releases if re.match(rf"{re.escape(wanted)}(?!\d)", release)]
    if not same:
        raise KernelError(
            f"cannot find Linux {wanted!r} in Debian {', '.join(suites)}, which has "
            f"{', '.join(releases) or 'none'}; choose another with KERNEL="
        )
    return same[-1]


def _unpack(work: Path, release: str) -> Path:
    tree = work / "tree"
    for package in work.glob("*.deb"):
        _run(work, "dpkg-deb", "--extract", str(package), str(tree))
    if not (tree / "lib").exists():
        (tree / "lib").symlink_to("usr/lib")
    modules = tree / "lib" / "modules" / release
    if not (tree / "boot").exists():  # since 6.19
        (tree / "boot").mkdir()
        (modules / "vmlinuz").rename(tree / "boot" / f"vmlinuz-{release}")
    for folder in UNPACKED:
        packed = [str(module) for module in (modules / "kernel" / folder).rglob("*.ko.xz")]
        if packed:
            _run(work, "xz", "--decompress", *packed)
    _run(work, "depmod", "--basedir", str(tree), release)
    tree.chmod(0o755)
    return tree


def _apt_root(work: Path, suites: list[str]) -> None:
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    (work / "debian.sources").write_text(
        f"Types: deb\nURIs: {MIRROR}\nSuites: {' '.join(suites)}\nComponents: main\n"
        f"Architectures: amd64\nSigned-By: {KEYRING}\n"
    )
    (work / "apt.conf").write_text(
        f'Dir::State "{work}"; Dir::State::status "{work}/status"; Dir::Cache "{work}/cache";\n'
        f'Dir::Etc::sourcelist "{work}/debian.sources"; Dir::Etc::sourceparts "/dev/null";\n'
        'Dir::Etc::preferencesparts "/dev/null"; APT::Architecture "amd64";\n'
        'APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";\n'
        'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
    )


def _run(work: Path, *command: str) -> str:
    environment = os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise KernelError(f"cannot run {' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout


def _say(text: str) -> None:
    sys.stderr.write(f"rig: {text}\n")
