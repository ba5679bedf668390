"""The DaemonSet's container without a container runtime: its mounts, its root, its command.

For the VM only: it serves the VM's own /run/sriovbond and /var/lib/sriovbond.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from sriovbond.shim import build
from sriovbond.shim.install import NAME
from tests.support.agents import wait_for

CHECKOUT: Final = Path(__file__).resolve().parents[2]
MANIFEST: Final = CHECKOUT / "manifests/daemonset.yaml"
_LEFT: Final = ("/run/sriovbond", "/var/lib/sriovbond")
# As a runtime mounts for a privileged container on the host's network.
_KERNEL: Final = ("mount -t proc proc proc", "mount -t sysfs sysfs sys", "mount --rbind /dev dev")


@dataclass(frozen=True, slots=True)
class Mount:
    """One volume of the manifest, which kubelet has the runtime mount."""

    source: Path
    target: Path
    propagation: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A running container; `log` has its agent's output."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


def pod_spec() -> dict[str, Any]:
    """Return the specification of the DaemonSet's pods."""
    spec: dict[str, Any] = yaml.safe_load(MANIFEST.read_text())["spec"]["template"]["spec"]
    return spec


def mounts() -> list[Mount]:
    """Return the container's mounts of host paths."""
    spec = pod_spec()
    paths = {
        volume["name"]: volume["hostPath"]["path"]
        for volume in spec["volumes"]
        if "hostPath" in volume
    }
    (container,) = spec["containers"]
    return [
        Mount(
            Path(paths[mount["name"]]),
            Path(mount["mountPath"]),
            mount.get("mountPropagation", "None"),
            mount.get("readOnly", False),
        )
        for mount in container["volumeMounts"]
        if mount["name"] in paths
    ]


def _empty_folders() -> list[str]:
    """Return the container's own folders (emptyDir)."""
    spec = pod_spec()
    names = {volume["name"] for volume in spec["volumes"] if "emptyDir" in volume}
    (container,) = spec["containers"]
    return [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] in names]


@contextmanager
def a_container(folder: Path) -> Iterator[Container]:
    """Run the DaemonSet's container until the block ends, with this checkout as its image."""
    root = folder / "root"
    image = make_image(folder / "image")
    script = "\n".join(["set -e", *_root(root, image), *_volumes(root), *_enter(root)])
    log = folder / "container.log"
    own_pids = () if pod_spec().get("hostPID") else ("--pid", "--fork", "--kill-child")
    command = ["unshare", "--mount", "--propagation", "slave", *own_pids, "sh", "-c", script]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    container = Container(process, log)
    with process:
        try:
            wait_for(lambda: "the agent is ready" in container.said or process.poll() is not None)
            yield container
        finally:
            process.kill()
    for path in _LEFT:
        shutil.rmtree(path, ignore_errors=True)


def make_image(image: Path) -> Path:
    """Create the image's copy of this project: as in a wheel, with the shim."""
    ignored = shutil.ignore_patterns("*.c")  # including compiled bytecode
    for name in ("sriovbond", "deviceinfo"):
        shutil.copytree(CHECKOUT / name, image / name, ignore=ignored)
    build.build(image / "sriovbond/shim/bin" / NAME)
    return image


def _root(root: Path, image: Path) -> Iterator[str]:
    """Yield the commands that create the container's root: only programs and this project."""
    yield f"mkdir {root} && mount -t tmpfs tmpfs {root} && cd {root}"
    yield "mkdir proc sys dev tmp etc usr host opt run var var/lib old"
    yield "ln -s ../run var/run"
    for folder in _empty_folders():  # before the tests' own mounts below them
        yield f"mkdir -p .{folder} && mount -t tmpfs tmpfs .{folder}"
    for name in ("bin", "lib", "lib64", "sbin"):
        yield f"ln -s usr/{name} {name}"
    yield "mount --bind /usr usr && mount --bind /lib/modules usr/lib/modules"
    python = [] if sys.base_prefix == "/usr" else [Path(sys.base_prefix)]
    for path in (CHECKOUT, image, *python):
        yield f"mkdir -p .{path} && mount --rbind {path} .{path}"
    yield from _KERNEL


def _volumes(root: Path) -> Iterator[str]:
    for mount in mounts():
        source, target = str(mount.source), f"{root}{mount.target}"
        change = "rslave" if mount.propagation == "HostToContainer" else "rprivate"
        yield f"mkdir -p {source} {target}"
        yield f"mount --rbind {source} {target} && mount --make-{change} {target}"
        if mount.is_read_only:
            yield f"mount -o remount,bind,ro {target}"


def _enter(root: Path) -> Iterator[str]:
    (container,) = pod_spec()["containers"]
    variables = {
        variable["name"]: variable["value"] for variable in container["env"] if "value" in variable
    }
    variables |= {"PATH": os.defpath, "PYTHONPATH": f"{root.parent}/image"}
    pairs = " ".join(shlex.quote(f"{name}={text}") for name, text in variables.items())
    yield "pivot_root . old && umount -l /old"
    if container["securityContext"].get("readOnlyRootFilesystem"):
        yield "mount -o remount,ro /"
    python, arguments = CHECKOUT / ".venv/bin/python", shlex.join(container["args"])
    yield f"exec env -i {pairs} {python} -m sriovbond {arguments}"
