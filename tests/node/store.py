"""The node's disk: containerd's store with the images in it, made natively in seconds, not minutes.

containerd runs for that in mount and network namespaces of its own, and asks no network.
"""

import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.node import node, processes

SIZE: Final = 6 << 30
_IMPORTS_S: Final = 600.0


def make_disk(programs: Path, archives: list[Path], disk: Path) -> None:
    """Write a sparse file with a file system that has the imported images in `containerd`."""
    with tempfile.TemporaryDirectory(prefix="sriovbond-store-", dir=disk.parent) as name:
        folder = Path(name)
        _import(programs, archives, folder)
        with disk.open("wb") as stream:
            stream.truncate(SIZE)
        tree = ["-d", str(folder / "disk")]
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "-m", "0", *tree, str(disk)], check=True)


def _import(programs: Path, archives: list[Path], folder: Path) -> None:
    """Have containerd import and unpack the images into `disk/containerd` of a folder."""
    (folder / "disk" / "containerd").mkdir(parents=True)
    socket, config = folder / "state" / "containerd.sock", folder / "containerd.toml"
    config.write_text(node.containerd_config(folder / "disk" / "containerd", folder / "state"))
    client = shlex.join([str(programs / "ctr"), f"--address={socket}", "--namespace=k8s.io"])
    imports = [f"{client} images import {shlex.quote(str(archive))}" for archive in archives]
    script = [
        f"export PATH={shlex.quote(str(programs))}:$PATH",
        f"containerd --config {config} & server=$!",
        "trap 'kill $server; wait $server' EXIT",  # also where an import fails
        f"for wait in $(seq 300); do {client} version && break; sleep 0.2; done",
        *imports,
    ]
    command = ["unshare", "--mount", "--net", "sh", "-euc", "\n".join(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_IMPORTS_S, check=False)
    if done.returncode:
        words = (done.stderr + done.stdout).splitlines()[-20:]
        raise processes.FailedError("\n".join(["cannot import the images:", *words]))
