"""What a PCI network function is, and what the name of its driver tells about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, NewType

PciAddress = NewType("PciAddress", str)
"""domain:bus:device.function in lower-case hex, as sysfs spells it: `0000:01:10.0`."""

# The kernel prints the domain as %04x (pci_setup_device, drivers/pci/probe.c): Intel VMD counts
# from 10000 on, so a domain may have more than four digits.
_ADDRESS: Final = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]")

USERSPACE_DRIVERS: Final[Mapping[str, str]] = MappingProxyType(
    {  # pattern of the driver's name: where that driver is made
        "vfio-pci": "Linux, drivers/vfio/pci/vfio_pci.c",
        "*_vfio_pci": "Linux, drivers/vfio/pci/mlx5 and its like: KBUILD_MODNAME as the name",
        "*-vfio-pci": "Linux, drivers/vfio/pci: variant drivers that choose their name",
        "uio_*": "Linux, drivers/uio: uio_pci_generic.c and its like",
        "igb_uio": "dpdk-kmods, linux/igb_uio/igb_uio.c",
    }
)
"""Drivers that hand the device to a process and make no netdev."""

VF_ONLY_DRIVERS: Final[Mapping[str, str]] = MappingProxyType(
    {  # driver's name: the file of Linux whose PCI id table has virtual functions only
        "LiquidIO_VF": "drivers/net/ethernet/cavium/liquidio/lio_vf_main.c",
        "cxgb4vf": "drivers/net/ethernet/chelsio/cxgb4vf/cxgb4vf_main.c",
        "fsl_enetc_vf": "drivers/net/ethernet/freescale/enetc/enetc_vf.c",
        "i40evf": "drivers/net/ethernet/intel/i40evf/i40evf_main.c, called iavf since 4.20",
        "iavf": "drivers/net/ethernet/intel/iavf/iavf_main.c",
        "igbvf": "drivers/net/ethernet/intel/igbvf/netdev.c",
        "ixgbevf": "drivers/net/ethernet/intel/ixgbevf/ixgbevf_main.c",
        "nfp_netvf": "drivers/net/ethernet/netronome/nfp/nfp_netvf_main.c",
        "ngbevf": "drivers/net/ethernet/wangxun/ngbevf/ngbevf_main.c",
        "nicvf": "drivers/net/ethernet/cavium/thunder/nicvf_main.c",
        "octeon_ep_vf": "drivers/net/ethernet/marvell/octeon_ep_vf/octep_vf_main.c",
        "rvu_nicvf": "drivers/net/ethernet/marvell/octeontx2/nic/otx2_vf.c",
        "thunder-nicvf": "drivers/net/ethernet/cavium/thunder/nicvf_main.c, the name before nicvf",
        "txgbevf": "drivers/net/ethernet/wangxun/txgbevf/txgbevf_main.c",
    }
)
"""Drivers that never drive a PF. mlx5_core, mlx4_core, bnxt_en, ena, fm10k, hns3, idpf, qede, sfc
and the like are not here: one driver for both kinds of function."""


class DeviceInfoError(ValueError):
    """The question has no meaning: a PCI address or a container id of impossible form."""


@dataclass(frozen=True, slots=True)
class PciDevice:
    """One PCI function as sysfs showed it at one moment."""

    address: PciAddress
    driver: str | None
    pf_address: PciAddress | None
    vf_number: int | None
    numa_node: int | None
    iommu_group: int | None
    netdevs: tuple[str, ...]
    """Names under `net/`: only those in the network namespace that the sysfs mount belongs to."""
    vdpa: tuple[str, ...] = ()
    """The vDPA devices made on it (`vdpa0`), which a VM or a process uses in place of a netdev."""

    @property
    def is_vf(self) -> bool:
        """The kernel of this machine made it from a PF; false for a VF handed into a VM."""
        return self.pf_address is not None

    @property
    def is_vf_by_driver(self) -> bool:
        """Its driver never drives a PF: tells a VF inside a VM, where `physfn` is missing."""
        return self.driver in VF_ONLY_DRIVERS

    @property
    def is_userspace(self) -> bool:
        """Its driver hands it to a process, so it has no netdev and cannot be a bond's member."""
        if self.driver is None:
            return False
        return any(fnmatchcase(self.driver, pattern) for pattern in USERSPACE_DRIVERS)


def parse_address(text: str) -> PciAddress:
    """Spell a full PCI address as sysfs does.

    Raises DeviceInfoError for anything else, so what it returns is safe as a file name.
    """
    if not _ADDRESS.fullmatch(text):
        raise DeviceInfoError(
            f"cannot read {text!r} as a PCI address: it is not of the form 0000:01:10.0"
            " (domain:bus:device.function in hex); look at `ls /sys/bus/pci/devices`"
        )
    return PciAddress(text.lower())
