"""A network device: its bus, its address, and what its driver's name implies."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final, NewType

PciAddress = NewType("PciAddress", str)
"""domain:bus:device.function in lower-case hex, as sysfs spells it: `0000:01:10.0`."""

# The kernel prints the domain as %04x (pci_setup_device, drivers/pci/probe.c): Intel VMD counts
# from 10000 on, so a domain may have more than four digits.
_ADDRESS: Final = re.compile(r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]")

# dev_set_name() of __auxiliary_device_add, drivers/base/auxiliary.c: MODULE.DEVICE.ID
_AUXILIARY: Final = re.compile(r"[A-Za-z0-9_\-]{1,64}\.[A-Za-z0-9_\-]{1,64}\.[0-9]{1,10}")
# drivers/net/netdevsim: the device's name, and phys_port_name of nsim_get_phys_port_name / devlink
_NETDEVSIM: Final = re.compile(
    r"(netdevsim[0-9]{1,10})/(?:p[0-9]{1,10}|pf[0-9]{1,5}vf([0-9]{1,5}))"
)
# A DRA driver's form of a PCI address: device names there cannot have ":" nor ".".
_DRA_NAME: Final = re.compile(
    r"([0-9a-f]{4,8})-([0-9a-f]{2})-([01][0-9a-f])-([0-7])",
)
_NETWORK_CLASS: Final = 0x02  # PCI_BASE_CLASS_NETWORK, include/linux/pci_ids.h

USERSPACE_DRIVERS: Final[Mapping[str, str]] = MappingProxyType(
    {  # pattern of the driver's name: where that driver is made
        "vfio-pci": "Linux, drivers/vfio/pci/vfio_pci.c",
        "*_vfio_pci": "Linux, drivers/vfio/pci/mlx5 and its like: KBUILD_MODNAME as the name",
        "*-vfio-pci": "Linux, drivers/vfio/pci: variant drivers that choose their name",
        "uio_*": "Linux, drivers/uio: uio_pci_generic.c and its like",
        "igb_uio": "dpdk-kmods, linux/igb_uio/igb_uio.c",
        "pci-stub": "Linux, drivers/pci/pci-stub.c: keeps others away from it",
        "pciback": "Linux, drivers/xen/xen-pciback: hands it to a guest",
    }
)
"""Drivers that pass the device to a process or a guest and create no netdev."""

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
"""Drivers that never bind a PF. mlx5_core, mlx4_core, bnxt_en, ena, fm10k, hns3, idpf, qede, sfc
and the like are not here: one driver for both kinds of function.
"""


class DeviceInfoError(ValueError):
    """A malformed PCI address or container id."""


class Bus(StrEnum):
    """The kernel's name of a device's bus (IFLA_PARENT_DEV_BUS_NAME)."""

    PCI = "pci"
    AUXILIARY = "auxiliary"
    NETDEVSIM = "netdevsim"


@dataclass(frozen=True, slots=True, order=True)
class DeviceId:
    """Bus and address of a device: `0000:01:10.0` on pci, `mlx5_core.sf.4` on auxiliary.

    All ports of a simulated device have one parent, so their address is parent and port name:
    `netdevsim10/pf0vf1` for a VF, `netdevsim10/p1` for the PF's own port.
    """

    bus: Bus
    address: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class Device:
    """A snapshot of one device in sysfs."""

    id: DeviceId
    driver: str | None = None
    pf: DeviceId | None = None
    """The PF of a VF, the PCI function of a sub-function."""
    vf_number: int | None = None
    numa_node: int | None = None
    iommu_group: int | None = None
    netdevs: tuple[str, ...] = ()
    """Names under `net/`: only those in the network namespace of the sysfs mount."""
    pf_netdevs: tuple[str, ...] = ()
    """Those of the PF, in the same namespace: its own, and representors of its VFs."""
    vdpa: tuple[str, ...] = ()
    """Its vDPA devices (`vdpa0`), which a VM or a process uses in place of a netdev."""
    rdma: tuple[str, ...] = ()
    """Its RDMA devices (`mlx5_2`)."""
    pci_class: int | None = None
    """Class code of a PCI function: base class, sub-class and interface, a byte each."""
    has_functions: bool = False
    """It has VFs or sub-functions, whose traffic passes through it."""

    @property
    def is_vf(self) -> bool:
        """Whether this machine's kernel created it from a PF; false for a VF passed into a VM."""
        return self.pf is not None

    @property
    def is_vf_by_driver(self) -> bool:
        """Whether its driver never binds a PF: so for a VF inside a VM, without `physfn`."""
        return self.driver in VF_ONLY_DRIVERS

    @property
    def is_userspace(self) -> bool:
        """Whether its driver passes it to a process, so that it has no netdev to be a member."""
        if self.driver is None:
            return False
        return any(fnmatchcase(self.driver, pattern) for pattern in USERSPACE_DRIVERS)

    @property
    def is_network(self) -> bool:
        """False for accelerators, GPUs and disks, which are allocated to pods in the same way."""
        return self.pci_class is None or self.pci_class >> 16 == _NETWORK_CLASS


def parse_address(text: str) -> PciAddress:
    """Return a full PCI address as sysfs spells it.

    Raises DeviceInfoError for anything else, so the returned text is safe as a file name.
    """
    if not _ADDRESS.fullmatch(text):
        raise DeviceInfoError(
            f"cannot read {text!r} as a PCI address: it is not of the form 0000:01:10.0"
            " (domain:bus:device.function in hex); look at `ls /sys/bus/pci/devices`"
        )
    return PciAddress(text.lower())


def parse_device_id(text: str) -> DeviceId | None:
    """Return the device named by a device plugin's id; None when the id is of another form."""
    if _ADDRESS.fullmatch(text):
        return DeviceId(Bus.PCI, text.lower())
    if _NETDEVSIM.fullmatch(text):
        return DeviceId(Bus.NETDEVSIM, text)
    if _AUXILIARY.fullmatch(text):
        return DeviceId(Bus.AUXILIARY, text)
    return None


def parse_dra_name(text: str) -> DeviceId | None:
    """Return the PCI function named by a DRA driver's device name: `0000-01-10-0`.

    Source: k8snetworkplumbingwg/dra-driver-sriov, pkg/devicestate/discovery.go.
    """
    match = _DRA_NAME.fullmatch(text)
    if match is None:
        return None
    domain, bus, device, function = match.groups()
    return DeviceId(Bus.PCI, f"{domain}:{bus}:{device}.{function}")


def netdevsim_vf(address: str) -> tuple[str, int | None] | None:
    """Split `netdevsim10/pf0vf1` into its parent and VF number, None for the PF's own port.

    Returns None where the address is not one of a netdevsim port.
    """
    match = _NETDEVSIM.fullmatch(address)
    return match and (match[1], None if match[2] is None else int(match[2]))
