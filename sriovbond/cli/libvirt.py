"""`sriovbond host libvirt-network`: a bridge of the node as a network of libvirt, by virsh."""

import os
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final
from uuid import UUID, uuid5
from xml.sax.saxutils import escape, quoteattr

import click

from sriovbond.cli.files import NoAnswerError
from sriovbond.errors import SriovbondError
from sriovbond.kernel import links, netns
from sriovbond.kernel.netns import Namespace
from sriovbond.log import visible

_FOLDERS: Final = ("/usr/bin", "/bin", "/usr/local/bin")
_SYSTEM: Final = "qemu:///system"
_TIMEOUT_S: Final = 30.0
_MOST_BYTES: Final = 1 << 16
_MOST_LETTERS: Final = 500
_OURS: Final = UUID("5c3ba3a5-2f4e-4a43-b1e5-8a3a3f0d5f5e")
"""What the id of a network is made of, so that the same one is defined again, not another."""
_LOOK: Final = "see `systemctl status libvirtd virtqemud virtnetworkd`"
_CATCHES: Final = "bridge/bridge-nf-call-iptables"


@click.command("libvirt-network")
@click.argument("bridge")
@click.option(
    "--define", "is_to_define", is_flag=True, help="Have virsh define, start and autostart it."
)
@click.option(
    "--connect", "uri", default=_SYSTEM, show_default=True, help="The libvirt that virsh talks to."
)
def libvirt_network(bridge: str, uri: str, *, is_to_define: bool) -> None:
    """Print the network of libvirt that has its guests on BRIDGE.

    With --define virsh defines it, starts it, and has it start with libvirt; a network that this
    defined before is defined anew. The status is 2 where BRIDGE is no bridge of the node, or virsh
    refuses.
    """
    try:
        with netns.own() as own:
            _refuse_what_is_no_bridge(own, bridge)
            warnings = list(_warnings(own))
    except SriovbondError as error:
        raise NoAnswerError(visible(error.message)) from error
    xml = write(bridge)
    click.echo(xml, nl=False)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    if is_to_define:
        define(Virsh(find_virsh(), uri), bridge, xml)
        click.echo(visible(f"defined, started and set to autostart: {bridge}"), err=True)


def write(bridge: str) -> str:
    """Return the network: its name is the bridge's, and its id comes of that."""
    return (
        "<network>\n"
        f"  <name>{escape(bridge)}</name>\n"
        f"  <uuid>{uuid5(_OURS, bridge)}</uuid>\n"
        '  <forward mode="bridge"/>\n'
        f"  <bridge name={quoteattr(bridge)}/>\n"
        "</network>\n"
    )


def _refuse_what_is_no_bridge(own: Namespace, name: str) -> None:
    link = links.find(own.netlink, name)
    if link is None:
        raise NoAnswerError(visible(f"no interface {name} is on this node"))
    if link.kind != "bridge":
        raise NoAnswerError(visible(f"{name} is no bridge, it is {link.kind or 'a NIC'}"))


def _warnings(own: Namespace) -> Iterator[str]:
    """Yield what keeps guests' frames from the wire although the bridge is right."""
    if own.sysctl(_CATCHES) == "1":
        yield (
            "br_netfilter has iptables judge this bridge's frames (net.bridge.bridge-nf-call-"
            "iptables is 1): where FORWARD drops, guests are cut off. Kubernetes needs it: "
            "`iptables -I FORWARD -m physdev --physdev-is-bridged -j ACCEPT`; without it: "
            "`sysctl net.bridge.bridge-nf-call-iptables=0`"
        )


@dataclass(frozen=True, slots=True)
class Virsh:
    """The program virsh, and the libvirt that it talks to."""

    path: Path
    uri: str
    timeout_s: float = _TIMEOUT_S

    def run(self, command: str, *arguments: str, stdin: str = "") -> str:
        """Run a command of virsh's; return what it prints. Raises NoAnswerError, in its words."""
        with TemporaryFile() as source, TemporaryFile() as answer, TemporaryFile() as complaint:
            source.write(stdin.encode())
            source.seek(0)
            status = self._wait([command, *arguments], source, answer, complaint)
            if status:
                words = _content(complaint) or _content(answer)
                raise NoAnswerError(visible(f"cannot {_doing(command)}: {_in_plain_words(words)}"))
            return _content(answer)

    def _wait(
        self, words: list[str], source: IO[bytes], answer: IO[bytes], complaint: IO[bytes]
    ) -> int:
        arguments = [str(self.path), "--quiet", "--connect", self.uri, *words]
        environment = {"PATH": ":".join(_FOLDERS), "LC_ALL": "C.UTF-8", "HOME": "/root"}
        try:
            done = subprocess.run(  # noqa: S603 - a file of root's, words of ours
                arguments, stdin=source, stdout=answer, stderr=complaint, env=environment,
                timeout=self.timeout_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            text = f"virsh has not answered in {self.timeout_s:g} s"
            raise NoAnswerError(f"cannot {_doing(words[0])}: {text}; {_LOOK}") from error
        except OSError as error:
            raise NoAnswerError(f"cannot start {self.path}: {error.strerror}") from error
        return done.returncode


def find_virsh(folders: tuple[str, ...] = _FOLDERS) -> Path:
    """Return virsh's path: a file that root alone may write, below folders that it alone may."""
    for folder in folders:
        path = Path(folder, "virsh")
        if path.exists():
            _refuse_what_others_may_write(path)
            return path
    text = f"virsh is in none of {', '.join(folders)}; install libvirt-clients"
    raise NoAnswerError(f"cannot define the network: {text}")


def _refuse_what_others_may_write(path: Path) -> None:
    real = path.resolve()
    for place in (real, *real.parents):
        facts = place.stat()
        is_sticky = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX
        may_others = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not is_sticky
        if facts.st_uid not in (0, os.geteuid()) or may_others:
            raise NoAnswerError(f"cannot run {path}: others than root may write {place}")


def define(virsh: Virsh, name: str, xml: str) -> None:
    """Define a network, start it, and have it started with libvirt.

    Where one of these fails, a network that is new is removed again. Idempotent.
    Raises NoAnswerError.
    """
    was_there = name in virsh.run("net-list", "--all", "--name").split("\n")
    virsh.run("net-define", "/dev/stdin", stdin=xml)
    try:
        if name not in virsh.run("net-list", "--name").split("\n"):
            virsh.run("net-start", "--network", name)
        virsh.run("net-autostart", "--network", name)
    except NoAnswerError as error:
        if not was_there:
            _take_back(virsh, name, error)
        raise


def _take_back(virsh: Virsh, name: str, error: NoAnswerError) -> None:
    try:
        if name in virsh.run("net-list", "--name").split("\n"):
            virsh.run("net-destroy", "--network", name)
        virsh.run("net-undefine", "--network", name)
    except NoAnswerError as second:
        raise NoAnswerError(f"{error.message}; and then: {second.message}") from error


_DOING: Final = {
    "net-list": "list libvirt's networks",
    "net-define": "define the network",
    "net-start": "start the network",
    "net-autostart": "set the network to autostart",
    "net-destroy": "stop the network again",
    "net-undefine": "remove the network again",
}


def _doing(command: str) -> str:
    return f"{_DOING[command]} (virsh {command})"


def _in_plain_words(words: str) -> str:
    """Return virsh's lines as one, without its own word for an error."""
    lines = [line.removeprefix("error:").strip() for line in words.splitlines()]
    text = "; ".join(line for line in lines if line) or "virsh gave no reason"
    hint = ""
    if "Failed to connect" in text or "connect socket" in text:
        hint = f"; is libvirtd running? {_LOOK}"
    if "already exists with uuid" in text:
        hint = "; it is not of sriovbond's making: `virsh net-dumpxml` shows it"
    return f"{text[:_MOST_LETTERS]}{hint}"


def _content(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_BYTES).decode("utf-8", "replace")
