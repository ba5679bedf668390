"""A pod with NET_ADMIN that changes its links at full speed."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sriovbond.kernel import links, netns
from tests.support.pods import Pod

# sets links down and up in a loop, fifty changes per call
_PROGRAM = """
import socket, struct, sys
s = socket.socket(fileno=int(sys.argv[1]))
changes = [struct.pack("=BxHiII", 0, 0, int(one), up, 1) for up in (0, 1) for one in sys.argv[2:]]
changes = (changes * 50)[:50 // len(changes) * len(changes)]
data = b"".join(struct.pack("=IHHII", 32, 16, 1, 0, 0) + one for one in changes)
while True:
    s.send(data)
"""


@contextmanager
def flooding(pod: Pod, names: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program that sets these links of the pod down and up in a loop, during the block."""
    with netns.opened(pod.path) as opened:
        flooded = [links.find(opened.netlink, name) for name in names]
        indices = [str(link.index) for link in flooded if link]
        descriptor = opened.netlink.fileno()
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(descriptor), *indices]
        process = subprocess.Popen(command, pass_fds=[descriptor])
    try:
        yield process
        assert process.poll() is None, "the flood has ended by itself"
    finally:
        process.kill()
        process.wait()


@contextmanager
def seen_from_inside(pod: Pod, bond: str = "bond0") -> Iterator[Callable[[], str]]:
    """Yield a function that reads a bond's active member without a lock that a flood may hold."""
    with subprocess.Popen(["ip", "netns", "exec", pod.name, "sleep", "inf"]) as process:
        file = Path(f"/proc/{process.pid}/net/bonding/{bond}")
        try:
            while not file.exists():
                time.sleep(0.01)
            yield lambda: _active(file.read_text())
        finally:
            process.kill()


def _active(text: str) -> str:
    match = re.search(r"Currently Active Slave: (\w+)", text)
    return match[1] if match and match[1] != "None" else ""
