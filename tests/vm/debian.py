"""Debian's packages, through an apt root of one's own: nothing is installed on this host."""

import os
import subprocess
import sys
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MIRROR = "http://deb.debian.org/debian"


class FetchError(Exception):
    """A package cannot be fetched; the text says why and what to do."""


def make_apt_root(work: Path, suites: list[str]) -> None:
    """Make an apt root in `work` and read the package lists of Debian's `suites` into it."""
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
    run(work, "apt-get", "-qq", "update")


def unpack(packages: Path, tree: Path) -> None:
    """Unpack the packages of a folder into `tree`."""
    for package in packages.glob("*.deb"):
        run(packages, "dpkg-deb", "--extract", str(package), str(tree))


def run(work: Path, *command: str) -> str:
    """Run a command in `work`, where apt means the root made there; return what it prints."""
    environment = os.environ | {"APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise FetchError(f"cannot run {' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"rig: {text}\n")
