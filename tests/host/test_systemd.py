"""Under a real systemd: its timer reverts what nobody keeps, its unit brings a boot's network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.agents import wait_for
from tests.support.booted import BootedNode, booted_with_nics, look, program
from tests.support.children import kill_with_descendants
from tests.support.uplinks import DEFAULT_ROUTE, STACK, UPLINK
from tests.support.worlds import differences

SOON_S = 120
"""What a change may take: in an emulator that others share the commands alone take 30 s."""
ROUTED = UPLINK + DEFAULT_ROUTE
STACKED = ("192.0.2.9/24 brd 192.0.2.255 scope global bond0", "198.51.100.9/24")


def timers(node: BootedNode) -> list[str]:
    text = node.systemctl("list-units", "--all", "--plain", "--no-legend", "sriovbond-host-*")
    return [line.split()[0] for line in text.splitlines()]


def apply(node: BootedNode, text: str, *options: str) -> str:
    """Apply a document that is known as `uplink`; return what was printed."""
    (node.disk / "etc/uplink.yml").write_text(text)
    done = node.host("apply", "/etc/uplink.yml", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(node: BootedNode, text: str, *options: str) -> subprocess.Popen[bytes]:
    (node.disk / "etc/uplink.yml").write_text(text)
    words = node.words(*program(), "apply", "/etc/uplink.yml", *options)
    return subprocess.Popen(words, stdout=subprocess.DEVNULL)


def test_the_timer_reverts_a_change_that_is_not_committed_and_is_gone(disk: Path) -> None:
    with booted_with_nics(disk) as node:
        apply(node, ROUTED)
        before = look(node)

        printed = apply(node, STACK, "--no-commit", "--timeout", str(SOON_S))
        wait_for(lambda: not node.change.exists(), SOON_S + 60)
        wait_for(lambda: not timers(node), SOON_S)

        assert re.search(r"the timer \S+\.timer reverts the change", printed)
        assert differences(before, look(node)) == []
        assert node.systemctl("list-units", "--failed", "--no-legend") == ""


def test_the_timer_reverts_the_change_of_a_killed_process(disk: Path) -> None:
    with booted_with_nics(disk) as node:
        apply(node, ROUTED)
        before = look(node)

        with start(node, STACK, "--timeout", str(SOON_S)) as process:
            wait_for(lambda: node.run("ip", "link", "show", "bond0").returncode == 0, SOON_S)
            kill_with_descendants(process.pid)
        assert node.change.exists()
        wait_for(lambda: not node.change.exists(), SOON_S + 60)

        assert differences(before, look(node)) == []


def test_a_commit_leaves_no_timer(disk: Path) -> None:
    with booted_with_nics(disk) as node:
        apply(node, STACK, "--no-commit")
        assert timers(node)

        assert node.host("commit").returncode == 0

        assert timers(node) == []


def test_a_boot_has_the_network_before_kubelet_and_does_nothing_twice(disk: Path) -> None:
    with booted_with_nics(disk) as node:
        apply(node, ROUTED)
        apply(node, STACK)
        before = look(node)
        assert node.systemctl("is-enabled", "sriovbond-host") == "enabled"

    with booted_with_nics(disk) as node:
        assert differences(before, look(node)) == []
        assert all(address in node.at_kubelets_start for address in STACKED)
        assert node.systemctl("show", "--property=Result", "sriovbond-host") == "Result=success"
        assert apply(node, STACK) == "nothing to do\n"
        assert node.host("remove").returncode == 0

    with booted_with_nics(disk) as node:
        assert "192.0.2.9" not in node.at_kubelets_start
        assert not list((disk / "etc/systemd/system").rglob("sriovbond*"))


@pytest.mark.parametrize("committed", [(), (ROUTED,)], ids=["the first change", "a later one"])
def test_after_a_boot_in_the_middle_of_a_change_all_is_as_before_it(
    disk: Path, committed: tuple[str, ...]
) -> None:
    with booted_with_nics(disk) as node:
        for text in committed:
            apply(node, text)
        before = look(node)
        apply(node, STACK, "--no-commit", "--timeout", "600")
        assert "192.0.2.53" in str(look(node)["resolv.conf"])

    with booted_with_nics(disk) as node:
        wait_for(lambda: not node.change.exists())
        assert differences(before, look(node)) == []
        assert "192.0.2.53" not in node.at_kubelets_start


def test_a_document_that_fails_at_boot_is_reported_and_kubelet_starts(disk: Path) -> None:
    with booted_with_nics(disk) as node:
        apply(node, ROUTED)
        (disk / "lib/host.d/0000-torn.yml").write_text("interfaces: [")

    with booted_with_nics(disk) as node:
        assert "192.0.2.9" in node.at_kubelets_start
        assert "0000-torn.yml" in node.said
        assert node.systemctl("is-failed", "sriovbond-host") == "failed"


def test_a_boot_is_not_held_up(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with booted_with_nics(disk) as node:
        apply(node, STACK)

    with booted_with_nics(disk) as node:
        names = ("InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
        began, ended = (
            int(node.systemctl("show", "--value", f"--property={name}", "sriovbond-host"))
            for name in names
        )
    seconds = (ended - began) / 1e6
    with capsys.disabled():
        sys.stdout.write(f"the boot's unit took {seconds:.1f} s for bond, VLAN and bridge\n")
    # 26 s on two emulated CPUs, 66 s on one beside another VM; waiting in vain takes minutes more
    assert seconds < 180
