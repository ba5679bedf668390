"""Under a real systemd: a unit holds the lease, is started again, and a boot has the address."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import dhcp
from tests.support.agents import wait_for
from tests.support.booted import BootedNode, booted, make_disk
from tests.support.dhcp_clients import a_switch
from tests.support.pods import a_pod

TIMEOUT_S = "300"  # systemd takes a minute for a unit in an emulator that others share
UNIT = "sriovbond-dhcp@eth1"
ETH1 = "interfaces: [{name: eth1, type: ethernet, ipv4: {enabled: true, dhcp: true}}]\n"
STATIC = """
interfaces:
- name: eth1
  type: ethernet
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
routes:
  config: [{destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1}]
"""
"""The lease's default route goes with it: without another one the change would be reverted."""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    return make_disk(tmp_path)


@contextmanager
def a_boot(disk: Path) -> Iterator[BootedNode]:
    """Boot the node with two NICs on a switch, and a server of DHCP behind it."""
    with a_pod("far") as far, a_pod("booted") as pod:
        pod.ip("link set lo up")
        a_switch(pod, far)
        with dhcp.server(far, "far1"), booted(disk, pod.path) as node:
            yield node


def apply(node: BootedNode, text: str) -> str:
    (node.disk / "etc/uplink.yml").write_text(text)
    done = node.host("apply", "/etc/uplink.yml", "--timeout", TIMEOUT_S)
    assert done.returncode == 0, done.stdout + done.stderr + log(node)
    return done.stdout


def address(node: BootedNode) -> str:
    words = node.run("ip", "-o", "-4", "address", "show", "dev", "eth1").stdout.split()
    return words[3] if len(words) > 3 else ""


def main_pid(node: BootedNode) -> str:
    return node.systemctl("show", "--property=MainPID", "--value", UNIT)


def log(node: BootedNode) -> str:
    return node.run("systemctl", "status", "--no-pager", UNIT).stdout


def test_a_unit_holds_the_lease_and_is_started_again(disk: Path) -> None:
    with a_boot(disk) as node:
        apply(node, ETH1)
        before, first = address(node), main_pid(node)

        node.run("kill", f"-{signal.SIGKILL}", first)
        wait_for(lambda: main_pid(node) not in {first, "0"}, 120)

        assert before.startswith("192.0.2.10")
        assert address(node) == before
        assert apply(node, ETH1) == "nothing to do\n"
        assert node.systemctl("is-active", UNIT) == "active"
        apply(node, STATIC)
        assert node.run("systemctl", "is-active", UNIT).stdout.strip() == "inactive"
        assert address(node) == "192.0.2.9/24"


def test_a_boot_has_the_leased_address_before_kubelet(disk: Path) -> None:
    with a_boot(disk) as node:
        apply(node, ETH1)
        before = address(node)

    with a_boot(disk) as node:
        assert before in node.at_kubelets_start, node.said
        assert address(node) == before
        assert apply(node, ETH1) == "nothing to do\n"
        removed = node.host("remove")
        assert f"eth1: its address {before} is not renewed" in removed.stdout
        assert node.run("systemctl", "is-active", UNIT).stdout.strip() == "inactive"
        assert not (node.disk / "etc/systemd/system/sriovbond-dhcp@.service").exists()
        assert address(node) == before
