"""Notifies systemd of the agent's state: sd_notify(3), one datagram, and sd_watchdog_enabled(3)."""

import os
import socket
from contextlib import suppress


def notify(state: str) -> None:
    """Send `state`, such as READY=1, if NOTIFY_SOCKET is set."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)


def watchdog_s() -> float | None:
    """Return the interval of WATCHDOG=1 in seconds; None when systemd has no watchdog for us.

    Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) recommends.
    """
    patience_us = os.environ.get("WATCHDOG_USEC", "")
    is_ours = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(patience_us) / 2e6 if is_ours and patience_us.isdecimal() else None
