"""Where the VM's PFs and VFs are: written once by the boot, read by tests."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path("/run/sriovbond-rig.json")


@dataclass(frozen=True, slots=True)
class Vf:
    """A VF as the boot leaves it: on the host, down, bound to igbvf."""

    name: str
    pci: str
    index: int
    mac: str


@dataclass(frozen=True, slots=True)
class Pf:
    """A PF; its name is its device id in QEMU too."""

    name: str
    pci: str
    mac: str
    vfs: tuple[Vf, ...]


@dataclass(frozen=True, slots=True)
class Remote:
    """The far side of the wire: a namespace, its NICs, and the addresses of the first of them."""

    netns: str
    name: str
    names: tuple[str, ...]
    ipv4: str
    ipv6: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What the VM is made of."""

    kernel: str
    accel: str
    wiring: str
    pfs: tuple[Pf, ...]
    remote: Remote
    qmp: str

    @property
    def vfs(self) -> tuple[Vf, ...]:
        """All VFs, PF by PF."""
        return tuple(vf for pf in self.pfs for vf in pf.vfs)


def save(made: Layout) -> None:
    """Write the layout for `load`."""
    FILE.write_text(json.dumps(asdict(made), indent=2) + "\n")


def load() -> Layout:
    """Read the layout that the boot has left."""
    fields = json.loads(FILE.read_text())
    pfs = tuple(
        Pf(pf["name"], pf["pci"], pf["mac"], tuple(Vf(**vf) for vf in pf["vfs"]))
        for pf in fields.pop("pfs")
    )
    remote = fields.pop("remote")
    names = tuple(remote.pop("names"))
    return Layout(pfs=pfs, remote=Remote(names=names, **remote), **fields)
