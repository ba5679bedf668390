"""A DHCP server (busybox udhcpd) and the dhcp plugin's daemon, which renews leases."""

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import programs
from tests.support.calls import plugin_path
from tests.support.pods import Pod

SOCKET = Path("/run/sriovbond-test-dhcp.sock")
IPAM = {"type": "dhcp", "daemonSocketPath": str(SOCKET)}
SOON = ("-timeout=1s", "-resendtimeout=4s")
"""Options of the daemon that gives a renewal up after 4 s: it does after 208 s by default."""
_READY_S = 60
_ARP_MS = "200"  # how long udhcpd waits whether another host has an address, 2 s by default
_SERVER = """\
interface {interface}
start 192.0.2.100
end 192.0.2.109
lease_file {folder}/leases
pidfile {folder}/pid
option subnet 255.255.255.0
option router 192.0.2.1
option lease {lease_s}
min_lease 5
{further}
"""


@contextmanager
def server(far: Pod, interface: str, *further: str, lease_s: int = 3600) -> Iterator[None]:
    """Serve 192.0.2.100 to .109 in the namespace `far`, which has 192.0.2.1 on the interface.

    `further` are lines of udhcpd.conf.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "udhcpd.conf")
        values = {"interface": interface, "folder": folder, "lease_s": lease_s}
        config.write_text(_SERVER.format(**values, further="\n".join(further)))
        Path(folder, "leases").touch()
        busybox = ["busybox", "udhcpd", "-f", "-a", _ARP_MS, str(config)]
        command = ["ip", "netns", "exec", far.name, *busybox]
        with _running(command):
            yield


@contextmanager
def dnsmasq(
    far: Pod, interface: str, *options: str, log: Path = Path("/dev/null")
) -> Iterator[None]:
    """Serve 192.0.2.100 to .149 by Debian's dnsmasq, which knows a client by its id."""
    program = [*programs.words("usr/sbin/dnsmasq"), "--keep-in-foreground"]
    files = ["--conf-file=/dev/null", "--leasefile-ro", "--pid-file=", "--log-facility=-"]
    service = ["--port=0", "--user=root", f"--interface={interface}", "--bind-interfaces"]
    leases = ["--dhcp-authoritative", "--dhcp-range=192.0.2.100,192.0.2.149,255.255.255.0,120"]
    command = ["ip", "netns", "exec", far.name, *program, *files, *service, *leases]
    with _running([*command, *(f"--dhcp-option={option}" for option in options)], log):
        yield


@contextmanager
def daemon(log: Path = Path("/dev/null"), *options: str) -> Iterator[None]:
    """Run the dhcp plugin's daemon with its log in a file; return once it accepts requests."""
    SOCKET.unlink(missing_ok=True)
    program = shutil.which("dhcp", path=plugin_path())
    assert program
    with _running([program, "daemon", "-socketpath", str(SOCKET), *options], log):
        deadline = time.monotonic() + _READY_S
        while not SOCKET.exists():
            assert time.monotonic() < deadline, "the dhcp daemon did not come up"
            time.sleep(0.05)
        yield
    SOCKET.unlink(missing_ok=True)


@contextmanager
def later(delay_s: float, work: Callable[[], None]) -> Iterator[None]:
    """Run the work after a delay, parallel to the block."""
    timer = threading.Timer(delay_s, work)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@contextmanager
def _running(command: list[str], log: Path = Path("/dev/null")) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=_READY_S)
