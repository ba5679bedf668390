"""Reads a device's facts from sysfs; takes the sysfs root as an argument.

Paths are strings here: a Path costs more than the reading, and an ADD makes dozens.
"""

import itertools
import os
import re
from pathlib import Path
from typing import Final

from deviceinfo.device import (
    Bus,
    Device,
    DeviceId,
    DeviceInfoError,
    PciAddress,
    netdevsim_vf,
    parse_address,
)

_NUMBER_BYTES: Final = 32
_SUB_FUNCTION: Final = re.compile(r"[A-Za-z0-9_\-]+\.sf\.[0-9]+")  # drivers/net/ethernet/mellanox
_VDPA: Final = re.compile(r"vdpa[0-9]+")  # vdpa_alloc_device, drivers/vdpa/vdpa.c


def read_device(sysfs: Path, device_id: DeviceId) -> Device | None:
    """Read a device from sysfs; None if it does not exist.

    Attributes of a device that is unplugged meanwhile are missing.
    Source: Documentation/ABI/testing/sysfs-bus-pci and Documentation/driver-api/auxiliary_bus.rst
    of Linux.
    """
    match device_id.bus:
        case Bus.PCI:
            return _read_pci(sysfs, parse_address(device_id.address))
        case Bus.AUXILIARY:
            return _read_auxiliary(sysfs, device_id)
        case Bus.NETDEVSIM:
            return _read_netdevsim(sysfs, device_id)


def _read_pci(sysfs: Path, address: PciAddress) -> Device | None:
    folder = f"{sysfs}/bus/pci/devices/{address}"
    names = _names(folder)
    if not names:
        return None
    pf = _read_linked_address(f"{folder}/physfn") if "physfn" in names else None
    return Device(
        id=DeviceId(Bus.PCI, address),
        driver=_read_linked_name(f"{folder}/driver") if "driver" in names else None,
        pf=None if pf is None else DeviceId(Bus.PCI, pf),
        pf_netdevs=() if pf is None else _names(f"{folder}/physfn/net"),
        vf_number=None if pf is None else _vf_number(f"{folder}/physfn", address),
        numa_node=_numa_node(folder),
        iommu_group=_number(_read_linked_name(f"{folder}/iommu_group")),
        netdevs=_names(f"{folder}/net") if "net" in names else (),
        vdpa=tuple(name for name in names if _VDPA.fullmatch(name)),
        rdma=_names(f"{folder}/infiniband") if "infiniband" in names else (),
        pci_class=_number(_text(f"{folder}/class"), base=16),
        has_functions=pf is None and _has_functions(names),
    )


def _has_functions(names: tuple[str, ...]) -> bool:
    return "virtfn0" in names or any(_SUB_FUNCTION.fullmatch(name) for name in names)


def _read_auxiliary(sysfs: Path, device_id: DeviceId) -> Device | None:
    """Read a sub-function: its folder is in that of its parent PCI function."""
    link = sysfs / "bus" / "auxiliary" / "devices" / device_id.address
    try:
        folder = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    parent = _as_address(folder.parent.name)
    return Device(
        id=device_id,
        driver=_read_linked_name(f"{folder}/driver"),
        pf=None if parent is None else DeviceId(Bus.PCI, parent),
        numa_node=_numa_node(str(folder.parent)),
        netdevs=_names(f"{folder}/net"),
        vdpa=tuple(name for name in _names(str(folder)) if _VDPA.fullmatch(name)),
        rdma=_names(f"{folder}/infiniband"),
    )


def _read_netdevsim(sysfs: Path, device_id: DeviceId) -> Device | None:
    """Read a port of a simulated device: only the device itself is in sysfs."""
    port = netdevsim_vf(device_id.address)
    if port is None or not (sysfs / "bus" / "netdevsim" / "devices" / port[0]).is_dir():
        return None
    parent, vf_number = port
    if vf_number is not None:
        pf = DeviceId(Bus.NETDEVSIM, f"{parent}/p1")
        return Device(id=device_id, driver="netdevsim", pf=pf, vf_number=vf_number)
    vf_count = _number(_text(f"{sysfs}/bus/netdevsim/devices/{parent}/sriov_numvfs"))
    return Device(id=device_id, driver="netdevsim", has_functions=bool(vf_count))


def _vf_number(pf_folder: str, vf_address: PciAddress) -> int | None:
    """Return the VF's number: the PF has a link for each, numbered without gaps."""
    for number in itertools.count():
        linked = _read_linked_name(f"{pf_folder}/virtfn{number}")
        if linked is None or linked == vf_address:
            return number if linked else None
    return None


def _numa_node(folder: str) -> int | None:
    """Return the NUMA node, None for -1: NUMA_NO_NODE, unknown to the firmware or a single node."""
    node = _number(_text(f"{folder}/numa_node"))
    return None if node is None or node < 0 else node


def _read_linked_address(link: str) -> PciAddress | None:
    name = _read_linked_name(link)
    return None if name is None else _as_address(name)


def _as_address(name: str) -> PciAddress | None:
    try:
        return parse_address(name)
    except DeviceInfoError:
        return None


def _read_linked_name(link: str) -> str | None:
    """Return the name that a link points to, without following it: the target may be missing."""
    try:
        return os.path.basename(os.readlink(link)) or None  # noqa: PTH115, PTH119 - a Path costs more
    except OSError:
        return None


def _names(folder: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - likewise
    except OSError:
        return ()


def _text(file: str) -> str | None:
    try:
        with open(file, "rb", buffering=0) as stream:  # noqa: PTH123 - likewise
            return stream.read(_NUMBER_BYTES).decode("ascii", "replace")
    except OSError:
        return None


def _number(text: str | None, base: int = 10) -> int | None:
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None
