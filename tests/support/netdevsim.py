"""NICs that netdevsim simulates: a PF and its VFs in switchdev mode, without a wire."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.pods import ip

BUS = Path("/sys/bus/netdevsim")


@dataclass(frozen=True, slots=True)
class Vf:
    """A VF: on the host, down; `port_name` such as pf0vf0 is unique on its NIC only."""

    name: str
    port_name: str
    index: int
    mac: str


@dataclass(frozen=True, slots=True)
class Nic:
    """A PF's netdev and its VFs, all with one parent device, such as netdevsim10."""

    parent: str
    pf: str
    vfs: tuple[Vf, ...]


@contextmanager
def a_nic(number: int = 10, vfs: int = 2) -> Iterator[Nic]:
    """Create the device netdevsim<number>; delete it at the end with its VFs, in any namespace."""
    assert BUS.exists(), "netdevsim is not loaded: make vm NETDEVSIM=1"
    parent = f"netdevsim{number}"
    (BUS / "new_device").write_text(f"{number} 1")
    try:
        (BUS / "devices" / parent / "sriov_numvfs").write_text(str(vfs))
        # VFs have netdevs only in this mode.
        command = ["devlink", "dev", "eswitch", "set", f"netdevsim/{parent}", "mode", "switchdev"]
        subprocess.run(command, check=True)
        yield _named(number, BUS / "devices" / parent)
    finally:
        (BUS / "del_device").write_text(str(number))


def delete_all() -> None:
    """Delete all devices of netdevsim, with their VFs."""
    for device in sorted((BUS / "devices").iterdir()):
        (BUS / "del_device").write_text(device.name.removeprefix("netdevsim"))


def link_pfs(one: Nic, other: Nic) -> None:
    """Have frames of each PF arrive at the other's (Linux 6.9 or newer)."""
    with Path("/proc/self/ns/net").open(encoding="ascii") as here:
        indices = (Path("/sys/class/net", nic.pf, "ifindex").read_text() for nic in (one, other))
        ends = (f"{here.fileno()}:{int(index)}" for index in indices)
        (BUS / "link_device").write_text(" ".join(ends))


def tell(nic: Nic, vf: Vf, words: str) -> None:
    """Configure a VF through its PF, such as "trust on"; netdevsim only stores it."""
    ip(f"link set {nic.pf} vf {vf.index} {words}")


def _named(number: int, device: Path) -> Nic:
    """Rename the netdevs as udev does: eni10np1 the PF, eni10npf0vf0 ... its VFs."""
    vfs = []
    for netdev in list((device / "net").iterdir()):
        port_name = (netdev / "phys_port_name").read_text().strip()
        mac = (netdev / "address").read_text().strip()
        name = f"eni{number}n{port_name}"
        ip(f"link set {netdev.name} name {name}")
        _, is_vf, index = port_name.partition("pf0vf")
        if is_vf:
            vfs.append(Vf(name, port_name, int(index), mac))
    return Nic(device.name, f"eni{number}np1", tuple(sorted(vfs, key=lambda vf: vf.index)))
