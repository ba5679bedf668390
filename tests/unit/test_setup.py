"""The set-up of a machine, by an ordinary user who has sudo, as on a runner of public CI."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs_tables import CHECKOUT

SETUP = CHECKOUT / "tests" / "vm" / "setup.sh"
THERE = (
    "cat",
    "chmod",
    "cp",
    "echo",
    "env",
    "grep",
    "mkdir",
    "rm",
    "sh",
    "touch",
    "uname",
    "xargs",
)
APT_GET = """#!/bin/sh
for argument; do case $argument in Dir::State::Lists=*) lists=${argument#*=} ;; esac; done
mkdir -p "$lists/auxfiles" && touch "$lists/auxfiles/mirrors" && chmod 555 "$lists/auxfiles"
"""
SUDO = """#!/bin/sh
chmod -R u+w "$CACHE" && exec "$@"
"""
PROGRAMS = {
    "apt-get": APT_GET,
    "sudo": SUDO,
    "id": "#!/bin/sh\necho 1000\n",
    "qemu-system-x86_64": "#!/bin/sh\necho 'name \"igb\"'\n",
    "go": "#!/bin/sh\necho go1.26\n",
    "virtiofsd": "#!/bin/sh\n",
}
"""What is not this machine's: a package is missing, and what apt makes is not the user's."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in THERE:
        program = shutil.which(name)
        assert program
        (folder / name).symlink_to(program)
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


def test_package_lists_that_apt_wrote_as_root_are_removed_as_root(
    tmp_path: Path, path: Path
) -> None:
    cache = tmp_path / "cache"
    modes_count = [] if os.geteuid() else ["setpriv", "--bounding-set=-dac_override"]
    environment = [f"PATH={path}", f"CACHE={cache}"]
    command = [*modes_count, "/usr/bin/env", *environment, str(SETUP), str(cache)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert list(cache.iterdir()) == []
