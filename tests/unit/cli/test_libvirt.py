"""The network of libvirt as it is written, and what is told of a virsh that refuses or hangs."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from sriovbond.cli import libvirt, sriovbond
from sriovbond.cli.files import NoAnswerError
from sriovbond.cli.libvirt import Virsh, define, find_virsh

STARTS_NOT = """
echo "$*" >> calls
case "$*" in *net-start*) echo "error: Failed to start network br0" >&2; exit 1;; esac
"""


def _virsh(folder: Path, script: str, timeout_s: float = 20) -> Virsh:
    """Return a program in virsh's place."""
    path = folder / "virsh"
    path.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return Virsh(path, "test:///default", timeout_s)


@pytest.mark.parametrize("name", ["br0", "a&b", "a<'\"b"])
def test_the_network_has_the_bridge_by_its_name(name: str) -> None:
    network = ET.fromstring(libvirt.write(name))  # noqa: S314 - ours

    bridge, forward = network.find("bridge"), network.find("forward")
    assert network.findtext("name") == name
    assert bridge is not None
    assert bridge.attrib == {"name": name}
    assert forward is not None
    assert forward.attrib == {"mode": "bridge"}
    assert libvirt.write(name) == libvirt.write(name)


def test_a_name_of_no_bridge_of_this_node_is_refused() -> None:
    loopback = CliRunner().invoke(sriovbond, ["host", "libvirt-network", "lo"])
    missing = CliRunner().invoke(sriovbond, ["host", "libvirt-network", "\x1bx"])

    assert (loopback.exit_code, loopback.stdout) == (2, "")
    assert "lo is no bridge" in loopback.stderr
    assert missing.stderr == "Error: no interface \\u001bx is on this node\n"


def test_a_network_that_does_not_start_is_undefined_again(tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError) as raised:
        define(_virsh(tmp_path, STARTS_NOT), "br0", libvirt.write("br0"))

    assert raised.value.message == (
        "cannot start the network (virsh net-start): Failed to start network br0"
    )
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert [line.split()[3] for line in calls] == [
        "net-list",
        "net-define",
        "net-list",
        "net-start",
        "net-list",
        "net-undefine",
    ]


def test_a_network_that_was_there_stays_when_it_does_not_start(tmp_path: Path) -> None:
    virsh = _virsh(tmp_path, f'{STARTS_NOT}\ncase "$*" in *--all*) echo br0;; esac')

    with pytest.raises(NoAnswerError):
        define(virsh, "br0", libvirt.write("br0"))

    assert "net-undefine" not in (tmp_path / "calls").read_text(encoding="utf-8")


def test_a_virsh_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError, match="virsh has not answered in 0"):
        _virsh(tmp_path, "exec sleep 60", timeout_s=0.3).run("net-list", "--all")


def test_virshs_words_are_bounded_and_have_no_control_characters(tmp_path: Path) -> None:
    script = "printf 'error: \\033[31m' >&2; head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1"

    with pytest.raises(NoAnswerError) as raised:
        _virsh(tmp_path, script).run("net-list")

    assert len(raised.value.message) < 700
    assert "\x1b" not in raised.value.message


def test_virsh_is_run_only_where_root_alone_may_write(tmp_path: Path) -> None:
    _virsh(tmp_path, "exit 0")
    tmp_path.chmod(0o777)

    with pytest.raises(NoAnswerError, match="others than root may write"):
        find_virsh((str(tmp_path),))
    with pytest.raises(NoAnswerError, match="install libvirt-clients"):
        find_virsh((str(tmp_path / "none"),))
