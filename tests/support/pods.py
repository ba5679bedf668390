"""Pods for CNI: a network namespace and a container id."""

import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sriovbond.bond.links import Link
from sriovbond.bond.states import BondState
from sriovbond.cni.attachment import Attachment
from sriovbond.kernel import bonding, links, netns
from tests.support.agents import wait_for

VLAN_WITHIN_S = 60.0
_DEVICES = Path("/sys/bus/pci/devices")

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Pod:
    """A namespace in the role of a pod."""

    name: str
    container_id: str

    @property
    def path(self) -> str:
        return f"/run/netns/{self.name}"

    def key(self, ifname: str = "bond0") -> str:
        return Attachment(self.container_id, ifname).key

    def ip(self, arguments: str) -> Any:  # noqa: ANN401 - what ip's JSON holds
        """Run `ip` in the namespace; return its JSON if it prints any."""
        return ip(f"-n {self.name} {arguments}")

    def batch(self, *lines: str) -> None:
        """Run lines of `ip` in the namespace, in one process."""
        batch(*lines, netns=self.name)

    def put_vlan_on(self, below: str, number: int) -> None:
        """Create a VLAN on a VF, which its PF refuses (EINVAL) while the VF is still coming up."""
        line = f"-n {self.name} link add link {below} name {below}.{number} type vlan id {number}"
        deadline = time.monotonic() + VLAN_WITHIN_S
        while subprocess.run(["ip", *line.split()], check=False, capture_output=True).returncode:
            assert time.monotonic() < deadline, line
            time.sleep(0.2)

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401
        """Run a program in the namespace."""
        return subprocess.run(
            ["ip", "netns", "exec", self.name, *command],
            text=True,
            capture_output=True,
            check=False,
            **options,
        )

    def give(self, host_name: str, name: str, *, is_up: bool = True) -> None:
        """Move a host link into the pod under another name, as a mover does."""
        with netns.own() as home, netns.opened(self.path) as pod:
            link = links.find(home.netlink, host_name)
            assert link is not None, f"the host has no {host_name}"
            links.move(home.netlink, link, pod.descriptor, "pod")
            moved = links.find(pod.netlink, host_name)
            assert moved is not None
            if name != host_name:
                links.rename(pod.netlink, moved, name)
            if is_up:
                links.set_up(pod.netlink, moved)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep a process in the namespace."""
        command = ["ip", "netns", "exec", self.name, "sleep", "600"]
        with subprocess.Popen(command) as process:
            own = Path("/proc/self/ns/net").readlink()
            while Path(f"/proc/{process.pid}/ns/net").readlink() == own:
                time.sleep(0.01)
            try:
                yield
            finally:
                process.kill()

    def bond(self, name: str = "bond0") -> BondState | None:
        """Return the pod's bond as the kernel reports it."""
        with netns.opened(self.path) as pod:
            return bonding.observe(pod.netlink, name)

    def link(self, name: str) -> Link | None:
        """Return one of the pod's links."""
        with netns.opened(self.path) as pod:
            return links.find(pod.netlink, name)

    def the_bond(self, name: str = "bond0") -> BondState:
        """Return the pod's bond, which must exist."""
        found = self.bond(name)
        assert found is not None, f"{name} is not there, or is no bond"
        return found

    def the_link(self, name: str) -> Link:
        """Return the link, which must exist."""
        found = self.link(name)
        assert found is not None, f"{name} is not there"
        return found


@contextmanager
def a_pod(prefix: str = "pod") -> Iterator[Pod]:
    """Create a namespace; delete it at the end with its links."""
    pod = _named(prefix)
    ip(f"netns add {pod.name}")
    try:
        yield pod
    finally:
        ip(f"netns del {pod.name}", check=False)


@contextmanager
def some_pods(*prefixes: str) -> Iterator[list[Pod]]:
    """Create a namespace for each prefix; delete them at the end, where they still exist."""
    pods = [_named(prefix) for prefix in prefixes]
    batch(*(f"netns add {pod.name}" for pod in pods))
    try:
        yield pods
    finally:
        lines = [f"netns del {pod.name}" for pod in pods if Path(pod.path).exists()]
        batch(*lines)


@contextmanager
def many_pods(count: int, prefix: str = "many") -> Iterator[list[Pod]]:
    """Create namespaces with the dummies d1 and d2 in each, quickly; delete them at the end."""
    pods = [_named(prefix) for _ in range(count)]
    names = [pod.name for pod in pods]
    batch(*(f"netns add {name}" for name in names))
    try:
        batch(*(f"link add {d} netns {name} type dummy" for name in names for d in ("d1", "d2")))
        yield pods
    finally:
        batch(*(f"netns del {name}" for name in names))


def _named(prefix: str) -> Pod:
    number = next(_numbers)
    return Pod(f"{prefix}{os.getpid()}-{number}", f"{prefix}-{os.getpid()}-{number}")


def ip(arguments: str, *, check: bool = True) -> Any:  # noqa: ANN401 - what ip's JSON holds
    """Run `ip` on the host; return its JSON if it prints any (-j)."""
    done = subprocess.run(["ip", *arguments.split()], check=False, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"ip {arguments}: {done.stderr}"
    return json.loads(done.stdout) if done.stdout.startswith(("[", "{")) else done.stdout


def batch(*lines: str, netns: str = "") -> None:
    """Run lines of `ip` in one process, in a named namespace or in this one."""
    command = ["ip", *(["-netns", netns] if netns else []), "-batch", "-"]
    text = "\n".join(lines)
    done = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{text}: {done.stderr}"


def wire_up(pod: Pod, far: Pod) -> None:
    """Make two veth pairs between them, up: net1 and net2 of the pod, far1 and far2 opposite."""
    pod.batch(
        *(
            f"link add net{number} address 02:00:00:00:01:0{number} "
            f"type veth peer far{number} netns {far.name} address 02:00:00:00:02:0{number}"
            for number in (1, 2)
        ),
        "link set net1 up",
        "link set net2 up",
    )
    far.batch("link set far1 up", "link set far2 up")


def bridge_over(far: Pod, address: str) -> None:
    """Make far1 and far2 of the far side, see `wire_up`, ports of a bridge br0 with an address."""
    far.batch(
        "link add br0 type bridge",
        "link set far1 master br0",
        "link set far2 master br0",
        f"addr add {address} dev br0",
        "link set br0 up",
    )


def come_home(pci: str) -> str:
    """Wait until a VF is on the host; return its name there."""
    folder = _DEVICES / pci / "net"  # empty while it is in another namespace
    wait_for(lambda: folder.is_dir() and any(folder.iterdir()))
    return next(folder.iterdir()).name
