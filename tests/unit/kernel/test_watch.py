"""The watch's sockets, with messages that are not the kernel's."""

import os
import socket
import struct

import pytest

from sriovbond.kernel.watch import LinkEvents

RTNLGRP_LINK = 1
NOOP = struct.pack("=IHHII", 16, 1, 0, 0, 0)

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="only root may listen to all namespaces, and send to their groups"
)


def test_messages_of_other_senders_are_received_no_longer_than_the_kernels() -> None:
    senders: list[int | None] = []

    def note(nsid: int | None) -> bool:
        senders.append(nsid)
        return True

    with (
        LinkEvents(8 << 20) as watch,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as stranger,
    ):
        stranger.bind((0, 0))
        for _ in range(5000):
            stranger.sendto(NOOP, (0, RTNLGRP_LINK))
        events = list(watch.events(note, float("inf")))
        was_emptied = watch.was_emptied

    assert events == []
    assert (len(senders), was_emptied) == (2000, False)
