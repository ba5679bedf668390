"""The node itself: containerd and kubelet, all of whose folders are in one folder of this machine.

Everything is in mount, network and process namespaces of its own: see tests/node/local.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.node import processes, provision
from tests.node.credentials import NODE, SERVICE
from tests.node.processes import Program, await_true

STATE: Final = Path("/var/lib")
CONFIGURATIONS: Final = Path("/etc/cni/net.d")
PLUGINS: Final = Path("/opt/cni/bin")
_ETC: Final = Path("/run/node")
STATIC_PODS: Final = _ETC / "static"
_SOCKET: Final = Path("/run/containerd/containerd.sock")
_STARTS_S: Final = 900.0
_IMPORTS_S: Final = 600.0
_FOLDERS: Final = ("kubelet/device-plugins", "kubelet/pod-resources", "cni", "containerd")
_EMPTY: Final = (Path("/run"), Path("/var/log"), Path("/etc/cni"), Path("/opt"))
TUNABLES: Final = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What kubelet would set for the whole machine; it is shown these values instead."""

_EVICTED_FOR: Final = (
    "memory.available",
    *(f"{kind}.{what}" for kind in ("nodefs", "imagefs") for what in ("available", "inodesFree")),
)
_KUBELET: Final = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "containerRuntimeEndpoint": f"unix://{_SOCKET}",
    "cgroupDriver": "cgroupfs",
    "failCgroupV1": False,
    # no cgroups of pods: on this machine they would be beside those of others
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "failSwapOn": False,
    # its API is reached from this network namespace only
    "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
    "authorization": {"mode": "AlwaysAllow"},
    "localStorageCapacityIsolation": False,
    # no look at each file system every ten seconds, which the emulated node feels
    "evictionHard": dict.fromkeys(_EVICTED_FOR, "0%"),
    "imageGCHighThresholdPercent": 100,
    "resolvConf": "",
    "makeIPTablesUtilChains": False,
    "staticPodPath": str(STATIC_PODS),
}
DEFAULT_NETWORK: Final = {
    "cniVersion": "1.0.0",
    "name": "default",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "isDefaultGateway": True,
            "ipam": {"type": "host-local", "subnet": "10.244.0.0/24"},
        }
    ],
}


def containerd_config(root: Path, state: Path) -> str:
    """Return containerd's configuration; its store is in `root`, its socket in `state`."""
    return f"""
version = 3
root = "{root}"
state = "{state}"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "{state}/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{provision.SMALL}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  # by default each second, of each container: half of what the emulated node can do
  stats_collect_period = "10m"
  stats_retention_period = "1h"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = false
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["{PLUGINS}"]
  conf_dir = "{CONFIGURATIONS}"
"""


@dataclass(slots=True)
class Node:
    """The node's programs; `folder` has the kubeconfigs, and takes the logs."""

    programs: Path
    folder: Path
    address: str = SERVICE
    running: dict[str, Program] = field(default_factory=dict)

    def start_containerd(self) -> None:
        self._start("containerd", "--config", str(_ETC / "containerd.toml"))
        await_true("containerd answers", self._answers, _STARTS_S, self.running["containerd"])

    def start_kubelet(self) -> None:
        self._start(
            "kubelet",
            f"--config={_ETC / 'kubelet.json'}",
            f"--kubeconfig={self.folder / 'node.kubeconfig'}",
            f"--hostname-override={NODE}",
            f"--node-ip={self.address}",
            "--v=2",
        )

    def import_image(self, archive: Path) -> None:
        """Import an image and unpack it."""
        self.ctr("images", "import", str(archive), within_s=_IMPORTS_S)

    def ctr(self, *arguments: str, within_s: float = _STARTS_S) -> str:
        """Return what containerd's client prints."""
        command = [str(self.programs / "ctr"), "--namespace=k8s.io", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=within_s, check=False
        )
        if done.returncode:
            raise processes.FailedError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def _start(self, name: str, *arguments: str) -> None:
        # containerd finds its shim, and the shim runc, by PATH
        environment = os.environ | {"PATH": f"{self.programs}:/usr/sbin:/usr/bin:/sbin:/bin"}
        command = [str(self.programs / name), *arguments]
        log = self.folder / f"{name}.log"
        self.running[name] = processes.start(command, log, environment)

    def _answers(self) -> bool:
        try:
            return _SOCKET.exists() and bool(self.ctr("version", within_s=200))
        except (processes.FailedError, subprocess.TimeoutExpired):
            return False


@contextmanager
def a_node(node: Node, archives: list[Path], say: Callable[[str], None]) -> Iterator[Node]:
    """Run containerd with these images, and kubelet, until the block ends."""
    try:
        node.start_containerd()
        for archive in archives:
            say(f"importing {archive.name}")
            node.import_image(archive)
        node.start_kubelet()
        yield node
    finally:
        for program in reversed(node.running.values()):
            program.end()


def make_machine(folder: Path, programs: Path, plugins: Path) -> None:
    """Make this process' own namespaces a machine: its mounts, its network, its configuration.

    State is kept in `folder`. Nothing is changed outside the namespaces, but that an empty /etc/cni
    is made where this machine has none.
    """
    _make_mounts(folder)
    for line in ("link set lo up", f"addr add {SERVICE}/32 dev lo"):
        subprocess.run(["ip", *line.split()], check=True)
    configure(programs, plugins)


def add_plugin(program: Path) -> None:
    """Put a program among the node's plugins; a runtime may run the one that was there."""
    with tempfile.TemporaryDirectory(dir=PLUGINS) as folder:
        made = shutil.copy(program, folder)
        Path(made).replace(PLUGINS / program.name)


def configure(programs: Path, plugins: Path) -> None:
    """Write the configuration of containerd, kubelet and the default network; install plugins."""
    for path in (STATIC_PODS, CONFIGURATIONS, PLUGINS, *(STATE / name for name in _FOLDERS)):
        path.mkdir(parents=True, exist_ok=True)
    config = containerd_config(STATE / "containerd", _SOCKET.parent)
    (_ETC / "containerd.toml").write_text(config)
    (_ETC / "kubelet.json").write_text(json.dumps(_KUBELET))
    (CONFIGURATIONS / "10-default.conflist").write_text(json.dumps(DEFAULT_NETWORK))
    for file in [programs / "loopback", *plugins.iterdir()]:
        if os.access(file, os.X_OK) and file.is_file():
            add_plugin(file)


def _make_mounts(folder: Path) -> None:
    """Mount empty folders where state is, and let mounts below / reach containers."""
    for path in _EMPTY:
        path.mkdir(exist_ok=True)
    mounts = [f"--bind {folder} {STATE}", *(f"-t tmpfs tmpfs {path}" for path in _EMPTY)]
    for mount in mounts:
        subprocess.run(["mount", *mount.split()], check=True)
    _ETC.mkdir()
    for number, (name, value) in enumerate(TUNABLES.items()):
        shown = _ETC / f"tunable-{number}"
        shown.write_text(f"{value}\n")
        subprocess.run(["mount", "--bind", str(shown), f"/proc/sys/{name}"], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
