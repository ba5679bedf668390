"""Fetch a Debian kernel into the cache; nothing is installed."""

import re
import tempfile
from pathlib import Path

from tests.vm import debian

DEFAULT = "6.12"
SUITES = {"5.10": ["bullseye"], "6.1": ["bookworm"], "6.12": ["trixie"]}
NEWER = ["trixie-backports", "sid"]
# Debian packs modules with xz; the emulated CPU would unpack these at every boot.
UNPACKED = ("drivers/net", "drivers/virtio", "drivers/vfio", "fs/fuse", "fs/overlayfs", "net")


def fetch(series: str, cache: Path) -> Path:
    """Return the folder of Debian's newest kernel of version `series`; fetch it where needed."""
    home = cache / "kernels" / series
    if not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unfinished-") as work:
            tree = _fetch_into(Path(work), series)
            debian.say(f"unpacked to {home}")
            if not home.exists():  # another VM's start may have been quicker
                tree.rename(home)
    return home


def image(home: Path) -> Path:
    """Return the kernel image in a folder that `fetch` returned."""
    return next((home / "boot").glob("vmlinuz-*"))


def suites_of(series: str) -> list[str]:
    """Return the suites of Debian that serve Linux `series`."""
    return SUITES.get(series, NEWER)


def newest() -> str:
    """Return the series of the newest kernel that Debian serves, such as 7.3."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        debian.make_apt_root(work, NEWER)
        releases = stock_releases(debian.run(work, "apt-cache", "pkgnames", "linux-").split())
    return ".".join(map(str, _numbers(releases[-1])[:2]))


def _fetch_into(work: Path, series: str) -> Path:
    suites = suites_of(series)
    debian.say(f"looking for Linux {series} in Debian {', '.join(suites)}")
    debian.make_apt_root(work, suites)
    names = debian.run(work, "apt-cache", "pkgnames", "linux-").split()
    release = _newest(series, names, suites)
    packages = [f"linux-{part}-{release}" for part in ("image", "binary", "modules")]
    packages = [package for package in packages if package in names]
    debian.say(f"downloading {' '.join(packages)} (about 110 MB)")
    debian.run(work, "apt-get", "-qq", "download", *packages)
    return _unpack(work, release)


def _newest(series: str, names: list[str], suites: list[str]) -> str:
    """Choose the newest stock kernel of the series."""
    releases = stock_releases(names)
    same = [release for release in releases if re.match(rf"{re.escape(series)}(?!\d)", release)]
    if not same:
        raise debian.FetchError(
            f"cannot find Linux {series!r} in Debian {', '.join(suites)}, which has "
            f"{', '.join(releases) or 'none'}; choose another with KERNEL="
        )
    return same[-1]


def stock_releases(names: list[str]) -> list[str]:
    """Return the stock kernels, newest last: neither cloud (no igb) nor rt nor unsigned.

    Since 6.19 the image package is empty: its files are in linux-binary-* and linux-modules-*, and
    Debian drops the latter of an old kernel while it still lists the former.
    """
    stock = re.compile(r"linux-image-(\d[\d.]*(?:-\d+)?(?:\+deb[\d.]+)?-amd64)")
    releases = [match[1] for name in names if (match := stock.fullmatch(name))]
    releases = [
        release
        for release in releases
        if f"linux-binary-{release}" not in names or f"linux-modules-{release}" in names
    ]
    return sorted(releases, key=_numbers)


def _numbers(release: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", release)]


def _unpack(work: Path, release: str) -> Path:
    tree = work / "tree"
    debian.unpack(work, tree)
    if not (tree / "lib").exists():
        (tree / "lib").symlink_to("usr/lib")
    modules = tree / "lib" / "modules" / release
    if not (tree / "boot").exists():  # since 6.19
        (tree / "boot").mkdir()
        (modules / "vmlinuz").rename(tree / "boot" / f"vmlinuz-{release}")
    for folder in UNPACKED:
        packed = [str(module) for module in (modules / "kernel" / folder).rglob("*.ko.xz")]
        if packed:
            debian.run(work, "xz", "--decompress", *packed)
    debian.run(work, "depmod", "--basedir", str(tree), release)
    tree.chmod(0o755)
    return tree
