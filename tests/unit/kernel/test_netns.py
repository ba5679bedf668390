"""Namespaces: refusals that need no kernel."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sriovbond.bond.links import Sysctl
from sriovbond.errors import MachineError
from sriovbond.kernel import netns
from sriovbond.kernel.netns import NamespaceGoneError


@pytest.mark.parametrize("name", ["all", "default"])
def test_the_sysctls_of_all_links_are_no_links(name: str) -> None:
    with netns.own() as here:
        assert here.link_sysctls(name) == ()
        with pytest.raises(MachineError, match=f"of the link '{name}'.*give the link another name"):
            here.set_link_sysctls(name, [Sysctl("ipv4", "no_such_key", "1")])


READ_AS_NOBODY = """
import os
from sriovbond.kernel import netns
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
with netns.own() as here:
    print(here.sysctl("ipv4/conf/lo/forwarding"))
"""


def test_an_ordinary_user_reads_in_the_namespace_that_he_is_in() -> None:
    command = (sys.executable, "-c", READ_AS_NOBODY)

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "1"}


def a_loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def a_socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
    return path


@pytest.mark.parametrize(
    "make",
    [lambda path: path, lambda path: path.with_name("a" * 300), a_loop, a_socket, Path.touch],
    ids=["nothing", "a name too long", "a loop", "a socket", "a file"],
)
def test_a_path_at_which_no_namespace_can_be_is_one_of_a_pod_that_is_gone(
    tmp_path: Path, make: Callable[[Path], Path | None]
) -> None:
    path = tmp_path / "netns"
    path = make(path) or path

    with pytest.raises(NamespaceGoneError, match="cannot"), netns.opened(str(path)):
        pass
