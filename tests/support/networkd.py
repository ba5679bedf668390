"""A node whose interfaces systemd-networkd manages: Debian's own, in namespaces of its own."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.agents import wait_for
from tests.support.children import running

_NETWORKD: Final = "/usr/lib/systemd/systemd-networkd"
_NODE: Final = """
mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /etc/systemd/network &&
mount -t sysfs -o ro sysfs /sys &&
mkdir -p /run/systemd/network /run/systemd/netif/links &&
chown -R systemd-network:systemd-network /run/systemd/netif &&
touch /run/ready && exec sleep 600
"""
"""A /sys that cannot be written tells networkd that there is no udev to wait for."""


@dataclass(frozen=True, slots=True)
class NetworkdNode:
    """The namespaces of a process."""

    pid: int

    @property
    def root(self) -> Path:
        """The node's files, as they are seen from outside."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def namespace(self) -> str:
        """The path of its network namespace."""
        return f"/proc/{self.pid}/ns/net"

    def run(self, script: str) -> str:
        """Run a script of the shell inside; return what it prints."""
        command = [*self._enter, "sh", "-ec", script]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @contextmanager
    def networkd(self, log: Path | None = None) -> Iterator[None]:
        """Run networkd inside; what it reports goes into the file `log`."""
        with ExitStack() as stack:
            stderr = stack.enter_context(log.open("wb")) if log else None
            stack.enter_context(running([*self._enter, _NETWORKD], stderr=stderr))
            yield

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", f"--target={self.pid}", "--mount", "--net"]


@contextmanager
def a_networkd_node() -> Iterator[NetworkdNode]:
    """Make the namespaces, and take them away."""
    with subprocess.Popen(["unshare", "--net", "--mount", "sh", "-ec", _NODE]) as process:
        node = NetworkdNode(process.pid)
        try:
            wait_for((node.root / "run/ready").exists)
            yield node
        finally:
            process.kill()
