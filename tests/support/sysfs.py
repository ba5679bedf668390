"""Builds sysfs trees in a folder of the test: PFs with VFs, and VFs alone as in a VM."""

from collections.abc import Sequence
from pathlib import Path

PF = "0000:01:00.0"
VF = "0000:01:10.0"


def a_pf(  # noqa: PLR0913 - a builder: each argument is one fact, and all have defaults
    sysfs: Path,
    address: str = PF,
    *,
    driver: str | None = "igb",
    netdevs: Sequence[str] = ("pf0",),
    numa_node: int = -1,
    iommu_group: int | None = None,
) -> Path:
    """Create a PCI function that is no VF; return its folder under devices/."""
    folder = sysfs / "devices" / "pci0000:00" / address
    folder.mkdir(parents=True)
    _link(sysfs / "bus" / "pci" / "devices" / address, folder)
    (folder / "numa_node").write_text(f"{numa_node}\n")
    (folder / "class").write_text("0x020000\n")
    for name in netdevs:
        (folder / "net" / name).mkdir(parents=True)
    if driver is not None:
        _link(folder / "driver", sysfs / "bus" / "pci" / "drivers" / driver, make=True)
    if iommu_group is not None:
        group = sysfs / "kernel" / "iommu_groups" / str(iommu_group)
        _link(folder / "iommu_group", group, make=True)
    return folder


def a_vf(  # noqa: PLR0913 - as above
    sysfs: Path,
    address: str = VF,
    *,
    pf: str | None = PF,
    number: int = 0,
    driver: str | None = "igbvf",
    netdevs: Sequence[str] = ("vf0",),
    numa_node: int = -1,
    iommu_group: int | None = None,
) -> Path:
    """Create a VF, and its PF if missing; `pf=None` is a VF passed into a VM."""
    folder = a_pf(
        sysfs,
        address,
        driver=driver,
        netdevs=netdevs,
        numa_node=numa_node,
        iommu_group=iommu_group,
    )
    if pf is not None:
        pf_folder = folder.parent / pf
        if not pf_folder.exists():
            a_pf(sysfs, pf)
        _link(folder / "physfn", pf_folder)
        _link(pf_folder / f"virtfn{number}", folder)
        for before in range(number):  # a PF's VFs are numbered without gaps
            if not (pf_folder / f"virtfn{before}").is_symlink():
                _link(pf_folder / f"virtfn{before}", folder.parent / f"{pf}.{before}")
    return folder


def a_sub_function(sysfs: Path, name: str, *, pf: str = PF) -> Path:
    """Create a sub-function as mlx5 has them, in the folder of its PCI function on node 1."""
    pf_folder = a_pf(sysfs, pf, numa_node=1)
    folder = pf_folder / name
    (folder / "net" / "eth4").mkdir(parents=True)
    _link(sysfs / "bus" / "auxiliary" / "devices" / name, folder)
    _link(folder / "driver", sysfs / "bus" / "auxiliary" / "drivers" / "mlx5_core.sf", make=True)
    return folder


def _link(link: Path, target: Path, *, make: bool = False) -> None:
    if make:
        target.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
