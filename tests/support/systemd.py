"""The shipped unit under a real systemd: a node in PID, mount and cgroup namespaces of its own.

For the VM only: it serves the VM's own /run/sriovbond and /var/lib/sriovbond.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sriovbond.shim import build
from tests.support import cgroups
from tests.support.agents import wait_for
from tests.support.children import children
from tests.support.shims import Shim

CHECKOUT: Final = Path(__file__).resolve().parents[2]
UNIT: Final = "sriovbond-agent.service"
SHIPPED: Final = CHECKOUT / "manifests" / UNIT
_SYSTEMD: Final = "/lib/systemd/systemd"
_CGROUP: Final = Path("/sys/fs/cgroup/sriovbond-test")
# As on a node, where all mounts are shared: all services see later mounts of `ip netns`.
_BOOT: Final = f"""
echo $$ >{_CGROUP}/cgroup.procs
exec unshare --pid --mount --cgroup --fork --kill-child --propagation slave sh -c '
    mount --make-rshared / && mount -t proc proc /proc && mount -t tmpfs tmpfs /run/systemd &&
    umount /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
    mount --bind "$2" {CHECKOUT}/sriovbond/shim &&
    exec env -i container=test PATH="$PATH" SYSTEMD_UNIT_PATH="$1" {_SYSTEMD} --unit={UNIT}
' sh "$1" "$2"
"""
_SHIPPED_PROGRAM: Final = "/opt/sriovbond/bin/sriovbond"
CNI_BIN: Final = Path("/opt/cni/bin")
# Only the project's path on this machine; the rest is as shipped.
_HERE: Final = """[Service]
ExecStart=
{start}
StandardError=append:{log}
"""


@dataclass(frozen=True, slots=True)
class Installed(Shim):
    """The shim with the paths of the release."""

    @property
    def state(self) -> Path:
        return Path("/var/lib/sriovbond")


@dataclass(frozen=True, slots=True)
class Service:
    """The agent as a service; `log` has its output."""

    init: int
    log: Path
    drop_ins: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8") if self.log.exists() else ""

    @property
    def pid(self) -> int:
        """Its main process, as numbered in this PID namespace."""
        (process,) = self._cgroup().read_text(encoding="ascii").split()
        return int(process)

    def stop(self) -> None:
        self.systemctl("stop", UNIT)

    def start(self) -> None:
        self.systemctl("start", UNIT)

    def state(self) -> dict[str, str]:
        """Return systemd's state of it: its last result, its number of restarts."""
        shown = self.systemctl("show", "--property=ActiveState,Result,NRestarts", UNIT)
        return dict(line.split("=", 1) for line in shown.splitlines())

    @contextmanager
    def overridden(self, text: str) -> Iterator[None]:
        """Run it with another drop-in until the block ends; then as shipped again."""
        drop_in = self.drop_ins / "test.conf"
        drop_in.write_text(text)
        try:
            self.systemctl("daemon-reload")
            self.systemctl("restart", "--no-block", UNIT)
            yield
        finally:
            drop_in.unlink()
            self.systemctl("daemon-reload")
            self.systemctl("restart", UNIT)

    def systemctl(self, *arguments: str) -> str:
        enter = ["nsenter", "--target", str(self.init), "--mount", "--pid", "--cgroup"]
        done = subprocess.run(
            [*enter, "systemctl", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr + self.said
        return done.stdout

    def _cgroup(self) -> Path:
        return _CGROUP / "system.slice" / UNIT / "cgroup.procs"


@contextmanager
def a_service(folder: Path) -> Iterator[Service]:
    """Run the shipped unit from its start until the block ends."""
    log = folder / "agent.log"
    units = folder / "units"
    _make_units(units, log)
    installed = _installed(folder / "shim")
    CNI_BIN.mkdir(parents=True, exist_ok=True)
    _CGROUP.mkdir()
    Path("/run/systemd").mkdir(exist_ok=True)
    with subprocess.Popen(["sh", "-c", _BOOT, "sh", units, installed]) as process:
        try:
            wait_for(lambda: "the agent is ready" in _read(log) or process.poll() is not None)
            yield Service(children(process.pid)[0], log, units / f"{UNIT}.d")
        finally:
            process.kill()
    cgroups.remove(_CGROUP)
    for path in ("/run/sriovbond", "/var/lib/sriovbond"):
        shutil.rmtree(path, ignore_errors=True)


def _make_units(units: Path, log: Path) -> None:
    drop_in = units / f"{UNIT}.d"
    drop_in.mkdir(parents=True)
    shutil.copy(SHIPPED, units)
    (shipped,) = [line for line in SHIPPED.read_text().splitlines() if line.startswith("ExecStart")]
    start = shipped.replace(_SHIPPED_PROGRAM, f"{CHECKOUT}/.venv/bin/sriovbond")
    (drop_in / "here.conf").write_text(_HERE.format(start=start, log=log))
    for target in ("sysinit", "basic", "shutdown"):
        (units / f"{target}.target").write_text("[Unit]\nDefaultDependencies=no\n")


def _installed(folder: Path) -> Path:
    """Create the shim's package as in a wheel: with the program."""
    shutil.copytree(CHECKOUT / "sriovbond" / "shim", folder)
    build.build(folder / "bin" / "sriovbond")
    return folder


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
