"""The VM as a machine for a node: its disk, its wire to the API server, its mounts."""

import subprocess
from pathlib import Path
from typing import Final

from tests.node import machine, node

_MODULES: Final = ("virtio_blk", "virtio_net", "ext4", "overlay")


def make_machine(programs: Path, plugins: Path) -> None:
    """Mount the disk and what is kept on it, give the wire its address, configure the node."""
    subprocess.run(["modprobe", "-a", *_MODULES], check=True)
    subprocess.run(["mount", str(machine.DISK), str(node.STATE)], check=True)
    places = (node.CONFIGURATIONS.parent, node.PLUGINS.parent)
    for place, name in zip(places, ("etc-cni", "opt-cni"), strict=True):
        kept = node.STATE / "node" / name
        for path in (kept, place):
            path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(kept), str(place)], check=True)
    subprocess.run(["mount", "--make-rshared", "/"], check=True)
    _make_network()
    node.configure(programs, plugins)


def _make_network() -> None:
    """Give the wire to the API server its address; it has no gateway, it leads nowhere else."""
    macs = {
        (path / "address").read_text().strip(): path.name
        for path in Path("/sys/class/net").iterdir()
        if (path / "address").exists()
    }
    wire = macs[machine.MAC]
    for line in (f"addr add {machine.ADDRESS}/24 dev {wire}", f"link set {wire} up"):
        subprocess.run(["ip", *line.split()], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
