"""Pings during failures, and the announcements received by the far side."""

import itertools
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from sriovbond.kernel import netns
from tests.support.agents import wait_for
from tests.support.pods import Pod
from tests.support.shims import WITHIN_S

EVERY_S = 0.05
_ANSWER = re.compile(r"^\[([0-9.]+)\] \d+ bytes", re.MULTILINE)
_SENT = re.compile(r"(\d+) packets transmitted, (\d+) received")

_ETH_P_ALL = 3
_ETH_P_ARP, _ETH_P_IPV6 = 0x0806, 0x86DD
_ICMPV6 = 58
_NEIGHBOUR_ADVERTISEMENT = 136
_SOLICITED = 0x40


@dataclass(slots=True)
class Pings:
    """The pings of one run: sent, lost, and the longest time between answers."""

    process: subprocess.Popen[bytes]
    output: Path
    times: list[float] = field(default_factory=list)
    sent: int = 0
    lost: int = 0

    @property
    def silence_s(self) -> float:
        return max((b - a for a, b in itertools.pairwise(self.times)), default=float("inf"))

    @property
    def last_s(self) -> float:
        """The time of the last answer, since the epoch."""
        return self.times[-1] if self.times else 0.0

    def await_answer(self, after_s: float = 0.0) -> None:
        """Wait for an answer after that time, in seconds since the epoch."""
        wait_for(lambda: any(came_s > after_s for came_s in self._answers()))

    def _answers(self) -> list[float]:
        return [float(came_s) for came_s in _ANSWER.findall(self.output.read_text())]

    def end(self) -> None:
        """Stop, and count."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(WITHIN_S)
        self.times = self._answers()
        counted = _SENT.search(self.output.read_text())
        assert counted, self.output.read_text()
        self.sent = int(counted[1])
        self.lost = self.sent - int(counted[2])

    def __str__(self) -> str:
        return f"{self.lost} of {self.sent} pings lost, silent for {self.silence_s:.2f} s"


@contextmanager
def pings(pod: Pod, target: str) -> Iterator[Pings]:
    """Ping the target every 50 ms for as long as the block runs."""
    command = ["ip", "netns", "exec", pod.name, "ping", "-n", "-D", "-i", str(EVERY_S), target]
    with (
        tempfile.NamedTemporaryFile() as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        running = Pings(process, Path(output.name))
        try:
            yield running
        finally:
            running.end()


@dataclass(frozen=True, slots=True)
class Announcement:
    """A gratuitous ARP or an unsolicited NA: an address, its MAC, and the time of receipt."""

    address: IPv4Address | IPv6Address
    mac: str
    heard_s: float


@contextmanager
def listening(pod: Pod, interface: str) -> Iterator[Callable[[], list[Announcement]]]:
    """Listen on an interface of a namespace; yields a function that returns all received so far."""
    heard: list[Announcement] = []
    with netns.opened(pod.path) as inside:
        packets = inside.run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
    with packets:
        packets.bind((interface, _ETH_P_ALL))
        packets.setblocking(False)  # noqa: FBT003 - the standard library's

        def collect() -> list[Announcement]:
            while True:
                try:
                    frame, origin = packets.recvfrom(2048)
                except BlockingIOError:
                    return list(heard)
                said = None if origin[2] == socket.PACKET_OUTGOING else _announcement(frame)
                heard.extend([said] if said else [])

        yield collect


def _announcement(frame: bytes) -> Announcement | None:
    (kind,) = struct.unpack_from("!H", frame, 12)
    if kind == _ETH_P_ARP:
        return _gratuitous(frame[14:])
    if kind == _ETH_P_IPV6 and frame[20] == _ICMPV6:
        return _unsolicited(frame[14:])
    return None


def _gratuitous(arp: bytes) -> Announcement | None:
    """Parse an ARP of RFC 5227: sender and target protocol address are the same."""
    sender, target = arp[14:18], arp[24:28]
    if sender != target:
        return None
    return Announcement(IPv4Address(sender), _mac(arp[8:14]), time.monotonic())


def _unsolicited(packet: bytes) -> Announcement | None:
    """Parse an NA of RFC 4861 section 4.4, without the flag S; its option 2 has the MAC."""
    message = packet[40:]
    if message[0] != _NEIGHBOUR_ADVERTISEMENT or message[4] & _SOLICITED:
        return None
    option = message[24:32]
    mac = _mac(option[2:8]) if option[:2] == b"\x02\x01" else ""
    return Announcement(IPv6Address(message[8:24]), mac, time.monotonic())


def _mac(octets: bytes) -> str:
    return octets.hex(":")


def of(heard: list[Announcement], address: str) -> list[Announcement]:
    """Return the announcements of one address."""
    return [one for one in heard if one.address == ip_address(address)]
