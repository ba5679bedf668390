"""A NIC's SR-IOV: how many VFs its device has (sysfs), and what the kernel says of each."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond.bond.links import VfSettings
from sriovbond.kernel import vfs
from sriovbond.kernel.messages import (
    IFLA_PARENT_DEV_BUS_NAME,
    IFLA_PARENT_DEV_NAME,
    IFLA_VFINFO_LIST,
    LinkMessage,
)
from sriovbond.nodenet.model import Ethernet, SrIov, VirtualFunction
from sriovbond.survey.fitting import fit

_MOST_BYTES: Final = 64
_PCI: Final = "pci"


def pci_address(message: LinkMessage) -> str | None:
    """Return the PCI address of a link's device, None for one without."""
    is_pci = message.text(IFLA_PARENT_DEV_BUS_NAME) == _PCI
    return message.text(IFLA_PARENT_DEV_NAME) if is_pci else None


def ethernet(message: LinkMessage, sysfs: Path) -> Ethernet | None:
    """Return the SR-IOV of a PF, None for any other NIC."""
    folder = folder_of(message, sysfs)
    count = None if folder is None else _number(folder / "sriov_numvfs")
    if folder is None or count is None:
        return None
    payload = message.attributes.get(IFLA_VFINFO_LIST, b"")
    functions = tuple(_function(row, folder) for row in vfs.read(payload, None))
    autoprobe = _number(folder / "sriov_drivers_autoprobe")
    sr_iov = fit(SrIov, drivers_autoprobe=autoprobe, total_vfs=count, vfs=functions)
    return Ethernet(sr_iov=sr_iov)


def folder_of(message: LinkMessage, sysfs: Path) -> Path | None:
    """Return the folder of the device that a link is a port of."""
    bus, name = message.text(IFLA_PARENT_DEV_BUS_NAME), message.text(IFLA_PARENT_DEV_NAME)
    is_safe = name not in {"", ".", ".."} and "/" not in name and bus in {_PCI, "netdevsim"}
    return sysfs / "bus" / bus / "devices" / name if is_safe else None


def _function(vf: VfSettings, folder: Path) -> VirtualFunction:
    return fit(
        VirtualFunction,
        id=vf.number,
        iface_name=_netdev(folder / f"virtfn{vf.number}" / "net"),
        mac_address=vf.mac,
        spoof_check=vf.spoofchk,
        trust=vf.trust,
        min_tx_rate=vf.min_tx_rate,
        max_tx_rate=vf.max_tx_rate,
        vlan_id=vf.vlan,
        qos=vf.qos,
        vlan_proto=vf.vlan_proto if vf.vlan or vf.qos else None,
    )


def _netdev(folder: Path) -> str | None:
    """Return the interface of a VF, None where it is in a pod or has no driver."""
    with suppress(OSError):
        return min(os.listdir(folder), default=None)  # noqa: PTH208 - names alone
    return None


def _number(path: Path) -> int | None:
    with suppress(OSError, UnreadableError, ValueError):
        return int(plainfile.read(path, _MOST_BYTES))
    return None
