"""A virtual machine's side of a tap: it asks by ARP whether a host is there."""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sriovbond.kernel import netns
from tests.support import taps

_MAC = bytes.fromhex("525400000001")  # the prefix that libvirt gives its guests
_ARP = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_ETH_P_ARP = 0x0806


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest with an address; its tap is open."""

    device: int
    address: str

    def finds(self, address: str, within_s: float) -> bool:
        """Ask for an address by ARP, each half second, until it answers."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            os.write(self.device, self._request(address))
            if self._hears(address, 0.5):
                return True
        return False

    def _request(self, address: str) -> bytes:
        sender, target = socket.inet_aton(self.address), socket.inet_aton(address)
        head = (b"\xff" * 6, _MAC, _ETH_P_ARP, 1, 0x0800, 6, 4, 1)
        return _ARP.pack(*head, _MAC, sender, bytes(6), target)

    def _hears(self, address: str, within_s: float) -> bool:
        deadline, sender = time.monotonic() + within_s, socket.inet_aton(address)
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.device], [], [], left)[0]:
                frame = os.read(self.device, 2048)
                is_answer = frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2"
                if is_answer and frame[28:32] == sender:
                    return True
        return False


@contextmanager
def a_guest(namespace: str, tap: str, address: str) -> Iterator[Guest]:
    """Make the tap in a namespace, which is given by its path; it goes with the guest."""
    with netns.opened(namespace) as inside:
        device = inside.run(partial(taps.opened, tap))
    try:
        yield Guest(device, address)
    finally:
        os.close(device)
