"""A node that a real systemd boots: in namespaces of its own, with an /etc and a disk that stay.

For the VM only: systemd needs cgroups. Another boot has another id, as the kernel gives it.
"""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support import cgroups
from tests.support.agents import wait_for
from tests.support.children import children
from tests.support.pods import a_pod
from tests.support.worlds import World, settled, world

_SYSTEMD: Final = "/lib/systemd/systemd"
_CGROUP: Final = Path("/sys/fs/cgroup/sriovbond-booted")
_WITHIN_S: Final = 180.0
_FROM_ETC: Final = ("passwd", "group", "nsswitch.conf", "ld.so.cache", "machine-id", "python3.11")
_CHECKOUT: Final = Path(__file__).parents[2]
_HIDE_PYTHON: Final = f"""
for place in /usr/lib/python3* "{_CHECKOUT}"; do mount -t tmpfs -o ro tmpfs "$place"; done
for file in /usr/bin/python3*; do mount --bind /dev/null "$file"; done
"""
_BOOT: Final = f"""
disk=$1; shift
echo $$ >{_CGROUP}/cgroup.procs
exec "$@" unshare --pid --mount --cgroup --fork --kill-child --propagation slave sh -ec '
    mount --make-rshared /; mount -t proc proc /proc; mount -t tmpfs tmpfs /run/systemd
    mount --bind "$1/boot_id" /proc/sys/kernel/random/boot_id
    umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup
    mkdir -p /var/lib/sriovbond; mount --bind "$1/lib" /var/lib/sriovbond
    mount --bind "$1/etc" /etc
    eval "$3"
    export container=test SYSTEMD_UNIT_PATH="$2"
    exec {_SYSTEMD} --unit=multi-user.target
' sh "$disk" "/run/systemd/transient:/etc/systemd/system:$disk/units" "$HIDE"
"""
_WIRE: Final = (
    "link add eth{0} address 02:00:00:00:00:0{0} type veth peer far{0} address 02:00:00:00:01:0{0}"
)
_TARGETS: Final = {
    "sysinit": "DefaultDependencies=no",
    "basic": "DefaultDependencies=no",
    "shutdown": "DefaultDependencies=no",
    "network-pre": "",
    "network": "",
    "network-online": "After=network.target",
    "multi-user": "Requires=basic.target\nAfter=basic.target\nWants=kubelet.service",
}
_KUBELET: Final = """\
[Unit]
Wants=network-online.target
After=network-online.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'ip -o address > {disk}/kubelet; cat /etc/resolv.conf >> {disk}/kubelet'
"""
_OUTPUT: Final = "[Service]\nStandardOutput=append:{disk}/log\nStandardError=append:{disk}/log\n"


@dataclass(frozen=True, slots=True)
class BootedNode:
    """A node that is up; `init` is its systemd, as this PID namespace numbers it."""

    init: int
    disk: Path

    def run(self, *command: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program on the node."""
        return subprocess.run(
            self.words(*command), input=text, capture_output=True, text=True, check=False
        )

    def words(self, *command: str) -> list[str]:
        """Return the command that runs a program on the node."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--cgroup", "--net"]
        return [*enter, *command]

    def host(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run `sriovbond host`."""
        return self.run(*program(), *arguments, text=text)

    def from_container(self, *arguments: str) -> list[str]:
        """Return the words of `sriovbond host` in a privileged container of this node's.

        It has the root of this machine, with its Python, the node's PID namespace and network, and
        the node's state where the node has it: as the DaemonSet's.
        """
        lib = f'mount --bind "{self.disk}/lib" /var/lib/sriovbond'
        # the shell stays: with its last process a container's mounts would go
        inside = f'mount -t proc proc /proc; {lib}; "$@"; exit $?'
        enter = ["nsenter", f"--target={self.init}", "--pid", "--net", "--cgroup"]
        contained = [*enter, "unshare", "--mount", "sh", "-ec", inside, "sh"]
        return [*contained, "env", "SRIOVBOND_AGENT_HOST_ROOT=/host", *program(), *arguments]

    def systemctl(self, *arguments: str) -> str:
        """Ask systemd; return what it prints."""
        done = self.run("systemctl", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def said(self) -> str:
        """What the unit has printed, at all boots."""
        return _read(self.disk / "log")

    @property
    def at_kubelets_start(self) -> str:
        """The addresses of the node when kubelet was started, and resolv.conf."""
        return _read(self.disk / "kubelet")

    @property
    def change(self) -> Path:
        """The file of a change in progress."""
        return self.disk / "lib/host/change.json"


def program() -> list[str]:
    """Return the words of `sriovbond host`."""
    return [sys.executable, "-m", "sriovbond", "host"]


def make_disk(folder: Path) -> Path:
    """Make what outlives a boot: /etc with units, /var/lib/sriovbond."""
    for name in ("lib", "units", "etc/systemd/system"):
        (folder / name).mkdir(parents=True)
    (folder / "lib").chmod(0o700)
    for name in _FROM_ETC:
        source = Path("/etc", name)
        if source.is_file():
            shutil.copy(source, folder / "etc" / name)
    (folder / "etc/resolv.conf").write_text("# by hand\n")
    for name, text in _TARGETS.items():
        (folder / f"units/{name}.target").write_text(f"[Unit]\n{text}\n")
    (folder / "units/kubelet.service").write_text(_KUBELET.format(disk=folder))
    drop_in = folder / "units/sriovbond-host.service.d"
    drop_in.mkdir()
    (drop_in / "output.conf").write_text(_OUTPUT.format(disk=folder))
    return folder


@contextmanager
def booted(disk: Path, namespace: str | None, *, has_python: bool = True) -> Iterator[BootedNode]:
    """Boot a node in a network namespace, None for this one; its power is cut at the end."""
    (disk / "boot_id").write_text(f"{uuid.uuid4()}\n")
    (disk / "kubelet").unlink(missing_ok=True)
    _CGROUP.mkdir(exist_ok=True)
    Path("/run/systemd").mkdir(exist_ok=True)
    enter = [f"nsenter --net={namespace}"] if namespace else []
    words = ["sh", "-ec", _BOOT, "sh", str(disk), *" ".join(enter).split()]
    environment = {**os.environ, "HIDE": "" if has_python else _HIDE_PYTHON}
    with subprocess.Popen(words, env=environment) as process:
        try:
            wait_for(lambda: _init(process.pid) or process.poll() is not None, _WITHIN_S)
            node = BootedNode(_init(process.pid), disk)
            wait_for(lambda: _is_up(node) or process.poll() is not None, _WITHIN_S)
            assert process.poll() is None
            yield node
        finally:
            process.kill()
    cgroups.remove(_CGROUP)


@contextmanager
def booted_with_nics(disk: Path, *, has_python: bool = True) -> Iterator[BootedNode]:
    """Boot a node with the NICs eth1 and eth2, as the kernel finds them."""
    with a_pod("booted") as pod:
        pod.batch(
            "link set lo up",
            *map(_WIRE.format, (1, 2)),
            *(f"link set far{n} up" for n in (1, 2)),
        )
        with booted(disk, pod.path, has_python=has_python) as node:
            yield node


def look(node: BootedNode) -> World:
    """Return links, addresses, routes and resolv.conf, when they have come to rest."""
    wait_for(lambda: "tentative" not in node.run("ip", "address").stdout)
    facts = settled(world({"node": f"/proc/{node.init}/ns/net"}))
    return {**facts, "resolv.conf": (node.disk / "etc/resolv.conf").read_text()}


def _init(pid: int) -> int:
    """Return systemd, 0 before it is one."""
    (init,) = children(pid)[:1] or (0,)
    return init if _read(Path(f"/proc/{init}/comm")) == "systemd\n" else 0


def _is_up(node: BootedNode) -> bool:
    state = node.run("systemctl", "is-active", "multi-user.target").stdout.strip()
    return state == "active" and bool(node.at_kubelets_start)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
