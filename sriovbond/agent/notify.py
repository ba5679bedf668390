"""Tells systemd how the agent is: sd_notify(3), one datagram."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send `state`, such as READY=1, where systemd asked for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
