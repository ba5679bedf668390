"""What sysfs knows of a PCI function; takes the sysfs root as an argument."""

import re
from pathlib import Path
from typing import Final

from deviceinfo.device import DeviceInfoError, PciAddress, PciDevice, parse_address

_NUMBER_BYTES: Final = 32
_VDPA: Final = re.compile(r"vdpa[0-9]+")  # vdpa_alloc_device, drivers/vdpa/vdpa.c
_VIRTFN: Final = re.compile(r"virtfn([0-9]{1,5})")


def read_device(sysfs: Path, address: str) -> PciDevice | None:
    """Read what sysfs says of the PCI function at `address`; None if there is none.

    A device that is unplugged meanwhile lacks what was gone when it was asked for.
    Raises DeviceInfoError if `address` is not a full PCI address.
    Source: Documentation/ABI/testing/sysfs-bus-pci of Linux.
    """
    wanted = parse_address(address)
    folder = _folder(sysfs, wanted)
    if not folder.is_dir():
        return None

    pf_address = _linked_address(folder / "physfn")
    return PciDevice(
        address=wanted,
        driver=_linked_name(folder / "driver"),
        pf_address=pf_address,
        vf_number=None if pf_address is None else _vf_number(_folder(sysfs, pf_address), wanted),
        numa_node=_numa_node(folder),
        iommu_group=_number(_linked_name(folder / "iommu_group")),
        netdevs=_names(folder / "net"),
        vdpa=tuple(name for name in _names(folder) if _VDPA.fullmatch(name)),
    )


def _folder(sysfs: Path, address: PciAddress) -> Path:
    return sysfs / "bus" / "pci" / "devices" / address


def _vf_number(pf_folder: Path, vf_address: PciAddress) -> int | None:
    for name in _names(pf_folder):
        match = _VIRTFN.fullmatch(name)
        if match and _linked_address(pf_folder / name) == vf_address:
            return int(match[1])
    return None


def _numa_node(folder: Path) -> int | None:
    """-1 is NUMA_NO_NODE: the firmware did not say, or the machine has one node only."""
    node = _number(_text(folder / "numa_node"))
    return None if node is None or node < 0 else node


def _linked_address(link: Path) -> PciAddress | None:
    name = _linked_name(link)
    try:
        return None if name is None else parse_address(name)
    except DeviceInfoError:
        return None


def _linked_name(link: Path) -> str | None:
    """Read where a link points without going there, so a link to nowhere still has a name."""
    try:
        return link.readlink().name or None
    except OSError:
        return None


def _names(folder: Path) -> tuple[str, ...]:
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir()))
    except OSError:
        return ()


def _text(file: Path) -> str | None:
    try:
        with file.open("rb") as stream:
            return stream.read(_NUMBER_BYTES).decode("ascii", "replace")
    except OSError:
        return None


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
