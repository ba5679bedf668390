"""`sriovbond host apply` as a person calls it, on a node with folders of its own."""

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fcntl import ioctl
from functools import partial
from pathlib import Path

import pytest
import yaml

from tests.support import taps
from tests.support.agents import wait_for
from tests.support.pods import Pod
from tests.support.sites import a_node

MTU = "interfaces: [{name: eth1, mtu: %s}]\n"
WITHIN_S = 600.0
PATIENCE = ("--timeout", "600")
"""For `apply` where processes take a minute to start, as in an emulator with much else to do."""
# `ip netns exec` has a mount namespace of its own: the node's folders are seen only there
SHELL = """
mount --bind {folder}/lib /var/lib && mount --bind {folder}/systemd /run/systemd &&
mount --bind {folder}/etc /etc/network && exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Command:
    """`sriovbond host` on a node; `folder` has its /var/lib and /run/systemd."""

    pod: Pod
    folder: Path

    def words(self, *arguments: str) -> list[str]:
        shell = SHELL.format(folder=self.folder)
        patience = PATIENCE if arguments[0] == "apply" else ()
        program = [sys.executable, "-m", "sriovbond", "host", *arguments, *patience]
        return ["ip", "netns", "exec", self.pod.name, "sh", "-c", shell, "sh", *program]

    def run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.words(*arguments),
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )

    def mtu(self) -> int:
        return self.pod.the_link("eth1").mtu


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    for name in ("lib", "systemd", "etc"):
        (tmp_path / name).mkdir()
    with a_node(tmp_path) as node:
        node.ip("link add eth1 type veth peer far1", "link set eth1 up", "link set far1 up")
        yield Command(node.pod, tmp_path)


def test_a_change_is_reported_and_kept_for_a_boot(command: Command) -> None:
    first = command.run("apply", "-", text=MTU % 1400)
    again = command.run("apply", "-", "--memory-only", text=MTU % 1400)

    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines()[1:] == [
        "1. eth1: set mtu 1400, now 1500",
        "committed",
        "systemd does not run here: no boot applies the document",
    ]
    assert (again.returncode, again.stdout) == (0, "nothing to do\n")
    kept = command.folder / "lib/sriovbond/host.d/0001-stdin.yml"
    assert "mtu: 1400" in kept.read_text()
    assert command.run("remove").stdout.startswith("removed 1 documents")


def test_documents_of_standard_input_are_kept_by_the_names_that_they_are_given(
    command: Command,
) -> None:
    runs = [
        command.run("apply", "-", "--name", name, text=MTU % mtu)
        for name, mtu in (("uplink", 1400), ("storage.v2", 1300), ("uplink", 1350))
    ]
    refused = command.run("apply", "-", "--name", "../uplink", text=MTU % 1200)
    unclear = command.run("apply", "-", "--name", "uplink", "--memory-only", text=MTU % 1200)

    assert [run.returncode for run in runs] == [0, 0, 0]
    kept = command.folder / "lib/sriovbond/host.d"
    assert {path.name for path in kept.iterdir()} == {"0002-storage.v2.yml", "0003-uplink.yml"}
    assert (refused.returncode, unclear.returncode) == (2, 2)
    assert "'../uplink' has to have 1 to 63 letters, digits and -_. alone" in refused.stderr
    assert "--memory-only keeps none" in unclear.stderr
    assert command.mtu() == 1350


def test_a_change_waits_for_a_person(command: Command) -> None:
    waiting = command.run("apply", "-", "--no-commit", text=MTU % 1400)
    busy = command.run("apply", "-", text=MTU % 1300)
    back = command.run("rollback")
    nothing = command.run("commit")

    assert waiting.returncode == 0
    assert "the change waits" in waiting.stdout
    assert (busy.returncode, "a change waits for" in busy.stderr) == (2, True)
    assert (back.returncode, back.stdout) == (0, "all is as it was before\n")
    assert (nothing.returncode, "no change waits" in nothing.stderr) == (2, True)
    assert command.mtu() == 1500


def test_an_interface_of_another_program_is_refused_and_not_changed(command: Command) -> None:
    index = command.pod.the_link("eth1").index
    links = command.folder / "systemd/netif/links"
    links.mkdir(parents=True)
    state = "ADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/50-uplink.network\n"
    (links / str(index)).write_text(state)

    refused = command.run("apply", "-", text=MTU % 1400)

    assert refused.returncode == 2
    assert "eth1 is managed by systemd-networkd" in refused.stderr
    assert command.mtu() == 1500
    assert not (command.folder / "lib/sriovbond/host/change.json").exists()
    enacted = (command.folder / "lib/sriovbond/enactments/stdin.yml").read_text()
    (failing,) = [
        row["message"]
        for row in yaml.safe_load(enacted)["status"]["conditions"]
        if (row["type"], row["status"]) == ("Failing", "True")
    ]
    assert "standard input: line 1, column 14: eth1 is managed by systemd-networkd" in failing


def test_a_bridge_of_virtual_machines_is_changed_only_when_forced(command: Command) -> None:
    taps.add(command.pod.name, "vnet0")
    command.pod.batch("link add br0 type bridge", "link set vnet0 master br0", "link set br0 up")
    text = "interfaces: [{name: br0, type: linux-bridge, ipv6: {enabled: false}, mtu: 1400}]\n"

    planned = command.run("plan", "-", text=text)
    refused = command.run("apply", "-", text=text)
    mtu_before = command.pod.the_link("br0").mtu
    shown = command.run("plan", "-", "--force", text=text)
    forced = command.run("apply", "-", "--force", text=text)

    words = "br0: virtual machines are on it, by vnet0"
    assert (planned.returncode, refused.returncode) == (2, 2)
    assert f"{words}; --force changes it all the same" in planned.stderr
    assert f"{words}; --force changes it all the same" in refused.stderr
    assert mtu_before == 1500
    assert (shown.returncode, f"warning: {words}" in shown.stdout) == (1, True)
    assert (forced.returncode, forced.stderr) == (0, "")
    assert f"warning: {words}" in forced.stdout
    assert command.pod.the_link("br0").mtu == 1400
    assert command.pod.the_link("vnet0").mtu == 1500


def test_standard_input_that_takes_its_time_holds_no_lock(command: Command) -> None:
    with subprocess.Popen(
        command.words("apply", "-"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as slow:
        assert slow.stdin is not None
        slow.stdin.write("# more is to come\n")
        slow.stdin.flush()
        wait_for(partial(_is_read, slow.stdin.fileno()), WITHIN_S)
        other = command.run("apply", "-", text=MTU % 1400)
        slow.stdin.write(MTU % 1300)
        slow.stdin.close()

        assert slow.wait(WITHIN_S) == 0

    assert other.returncode == 0
    assert command.mtu() == 1300


@pytest.mark.parametrize(("answer", "status", "mtu"), [("y", 0, 1400), ("n", 1, 1500)])
def test_on_a_terminal_a_person_keeps_a_change_that_may_cut_them_off(
    command: Command, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, mtu: int
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 5 192.0.2.9 22")
    file = command.folder / "mtu.yml"
    file.write_text(MTU % 1400)
    ours, theirs = pty.openpty()

    with subprocess.Popen(
        command.words("apply", str(file)), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        printed = _read_until(ours, "[y/N]")
        os.write(ours, f"{answer}\n".encode())
        assert process.wait(WITHIN_S) == status
    os.close(ours)

    assert "It is reverted in " in printed
    assert command.mtu() == mtu


def _is_read(descriptor: int) -> bool:
    """Return whether a pipe has nothing any more that was written to it."""
    return ioctl(descriptor, termios.FIONREAD, bytes(4)) == bytes(4)


def _read_until(descriptor: int, words: str) -> str:
    text, deadline = "", time.monotonic() + WITHIN_S
    while words not in text and time.monotonic() < deadline:
        text += os.read(descriptor, 1024).decode()
    return text
