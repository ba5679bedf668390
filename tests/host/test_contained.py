"""On a node that has no Python: `sriovbond host` in the agent's container changes the node."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.agents import wait_for
from tests.support.booted import BootedNode, booted_with_nics, look
from tests.support.children import kill_with_descendants
from tests.support.uplinks import STACK, UPLINK
from tests.support.worlds import differences

SOON_S = 150
WITHIN_S = 600.0  # in an emulator the copy alone takes minutes


@contextmanager
def a_boot(disk: Path) -> Iterator[BootedNode]:
    """Boot the node without Python."""
    with booted_with_nics(disk, has_python=False) as node:
        for python in ("/usr/bin/python3", sys.executable):
            assert node.run(python, "-c", "").returncode != 0
        yield node


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """The container's own folder, which the node does not have."""
    folder = tmp_path / "of the container"
    folder.mkdir()
    for name, text in (("uplink", UPLINK), ("stack", STACK)):
        (folder / f"{name}.yml").write_text(text)
    return folder


def call(
    node: BootedNode, *arguments: str, text: str = "", cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    # processes may take a minute to start there, where there is much else to do
    patience = ("--timeout", "600") if arguments[0] == "apply" else ()
    words = node.from_container(*arguments, *patience)
    return subprocess.run(
        words, input=text, capture_output=True, text=True, check=False, cwd=cwd, timeout=WITHIN_S
    )


def test_a_container_changes_the_node_and_the_next_boot_does(disk: Path, documents: Path) -> None:
    with a_boot(disk) as node:
        done = call(node, "apply", "stack.yml", cwd=documents)
        assert done.returncode == 0, done.stderr
        again = call(node, "apply", str(documents / "stack.yml"))
        assert (again.stdout, again.stderr) == ("nothing to do\n", "")
        assert call(node, "plan", "-", text=STACK).returncode == 0
        assert [path.stem for path in (disk / "lib/host.d").iterdir()] != []
        before = look(node)
        assert node.systemctl("is-enabled", "sriovbond-host") == "enabled"

    with a_boot(disk) as node:
        assert node.systemctl("show", "--property=Result", "sriovbond-host") == "Result=success"
        assert differences(before, look(node)) == []

        assert call(node, "remove").returncode == 0
        assert not (disk / "lib/program").exists()


def test_a_wrong_document_is_reported_as_the_container_names_it(
    disk: Path, documents: Path
) -> None:
    (documents / "wrong.yml").write_text("interfaces: [{name: eth1, mtu: many}]")
    with a_boot(disk) as node:
        done = call(node, "apply", "wrong.yml", cwd=documents)

    assert done.returncode == 2
    assert done.stderr.startswith("Error: wrong.yml: ")
    assert "mtu" in done.stderr


def test_a_container_that_is_killed_in_the_middle_leaves_the_node_as_it_was(
    disk: Path, documents: Path
) -> None:
    with a_boot(disk) as node:
        done = call(node, "apply", "uplink.yml", cwd=documents)
        assert done.returncode == 0, done.stderr
        before = look(node)
        words = node.from_container("apply", "stack.yml", "--timeout", str(SOON_S))

        with subprocess.Popen(words, cwd=documents) as process:
            wait_for(lambda: node.run("ip", "link", "show", "bond0").returncode == 0, WITHIN_S)
            kill_with_descendants(process.pid)
        assert node.change.exists()
        wait_for(lambda: not node.change.exists(), WITHIN_S)

        assert differences(before, look(node)) == []
