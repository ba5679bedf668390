"""Build netdevsim, the kernel's simulated SR-IOV NIC, which Debian's kernels lack.

It comes from Debian's source of the very kernel and is built with the compiler of that kernel, both
unpacked in a folder that vanishes. So the host needs no compiler, and its own may be any.
"""

import os
import re
import tempfile
from pathlib import Path

from tests.vm import debian, kernels

FIRST_WITH_VFS = (5, 14)


def fetch(home: Path) -> Path:
    """Return the module for the kernel in `home`, a folder that `kernels.fetch` returned.

    Raises FetchError where Debian serves this kernel's source no longer, and for a kernel whose
    netdevsim has no netdevs for its VFs.
    """
    module = home / "netdevsim.ko"
    release = kernels.image(home).name.removeprefix("vmlinuz-")
    if tuple(int(number) for number in _series(release).split(".")) < FIRST_WITH_VFS:
        raise debian.FetchError(
            f"cannot use netdevsim of Linux {release}: its VFs have netdevs from 5.14 on; "
            "choose a newer kernel with KERNEL=, or do without: NETDEVSIM=0"
        )
    if not module.exists():
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".unfinished-") as work:
            _download(Path(work), release, home)
            _build(Path(work), release).rename(module)
        debian.say(f"built {module}")
    return module


def _download(work: Path, release: str, home: Path) -> None:
    """Fetch source and headers into `work`, the compiler into `work`/cache/archives."""
    suites = kernels.suites_of(home.name)
    debian.say(f"looking for the source of Linux {release} in Debian {', '.join(suites)}")
    debian.make_apt_root(work, suites)
    headers, source = f"linux-headers-{release}", f"linux-source-{_series(release)}"
    served = _versions(work, headers)
    if not served or served[0] not in _versions(work, source):
        raise debian.FetchError(
            f"cannot build netdevsim for Linux {release}: Debian {', '.join(suites)} does not "
            f"serve {headers} and its source; choose another kernel with KERNEL=, delete {home} "
            "where Debian has a newer one of this version, or do without: NETDEVSIM=0"
        )
    known = debian.run(work, "apt-cache", "show", "--no-all-versions", headers)
    tools = re.findall(r"linux-kbuild-[^\s,]+|\bgcc-\d+", known)
    debian.say(f"downloading {source}, {headers}, {' '.join(tools)} (about 230 MB)")
    common = headers.removesuffix("amd64") + "common"
    debian.run(work, "apt-get", "-qq", "download", f"{source}={served[0]}", headers, common)
    install = ("apt-get", "-qq", "--yes", "--download-only", "--no-install-recommends", "install")
    debian.run(work, *install, "make", *tools)


def _series(release: str) -> str:
    return ".".join(release.split(".")[:2])


def _versions(work: Path, package: str) -> list[str]:
    """Return the versions of a package that are served, newest first."""
    lines = debian.run(work, "apt-cache", "madison", package).splitlines()
    return [line.split("|")[1].strip() for line in lines]


def _build(work: Path, release: str) -> Path:
    tree, series = work / "tree", _series(release)
    debian.say("unpacking them, and netdevsim out of the source")
    for folder in (work, work / "cache" / "archives"):
        debian.unpack(folder, tree)
    source = f"linux-source-{series}/drivers/net/netdevsim"
    debian.run(work, "tar", "-xJf", str(tree / f"usr/src/linux-source-{series}.tar.xz"), source)
    _make_runnable(tree)
    headers = tree / "usr" / "src" / f"linux-headers-{release}"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{tree}/usr/src/"))
    debian.say("compiling netdevsim")
    make = ("make", f"-j{os.cpu_count()}", "-C", str(headers), f"M={work / source}")
    path = f"PATH={tree}/usr/bin:{os.environ['PATH']}"
    # This may run below a make with settings of its own, which must not reach the kernel's.
    debian.run(work, "env", "--ignore-environment", path, *make, "CONFIG_NETDEVSIM=m", "modules")
    return work / source / "netdevsim.ko"


def _make_runnable(tree: Path) -> None:
    """Have each program of `tree` started with the libraries that it came with."""
    loader = next(tree.rglob("ld-linux-x86-64.so.2"))
    libraries = ":".join(f"{tree}/{prefix}lib/x86_64-linux-gnu" for prefix in ("usr/", ""))
    for program in [path for path in tree.rglob("*") if _is_program(path)]:
        moved = program.rename(program.with_name(f".{program.name}"))
        # Some of kbuild's programs start others by the name that they were called by.
        start = f'{loader} --argv0 "$0" --library-path {libraries} {moved} "$@"'
        program.write_text(f"#!/bin/sh\nexec {start}\n")
        program.chmod(0o755)


def _is_program(file: Path) -> bool:
    if file.is_symlink() or not file.is_file() or ".so" in file.name:
        return False
    with file.open("rb") as content:
        return os.access(file, os.X_OK) and content.read(4) == b"\x7fELF"
