import re

import pytest

from deviceinfo import DeviceInfoError, PciDevice, parse_address
from deviceinfo.device import VF_ONLY_DRIVERS


def a_device(driver: str | None) -> PciDevice:
    return PciDevice(
        address=parse_address("0000:01:10.0"),
        driver=driver,
        pf_address=None,
        vf_number=None,
        numa_node=None,
        iommu_group=None,
        netdevs=(),
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0000:01:10.0", "0000:01:10.0"),
        ("0000:AF:1F.7", "0000:af:1f.7"),
        ("10000:e1:00.0", "10000:e1:00.0"),
    ],
)
def test_an_address_is_spelled_as_sysfs_spells_it(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01:10.0",
        "0000:01:10.8",
        "0000:01:20.0",
        "0000:01:10.0\n",
        " 0000:01:10.0",
        "../0000:01:10.0",
        "0000:01:10.0/..",
        "0000:01:10.0\0",
        "\u0660000:01:10.0",
    ],
)
def test_what_is_no_full_address_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(DeviceInfoError, match=re.escape(repr(text))):
        parse_address(text)


@pytest.mark.parametrize(
    "driver",
    ["vfio-pci", "mlx5_vfio_pci", "hisi-acc-vfio-pci", "uio_pci_generic", "uio_cif", "igb_uio"],
)
def test_a_driver_that_serves_a_process_is_userspace(driver: str) -> None:
    assert a_device(driver).is_userspace


@pytest.mark.parametrize("driver", ["igbvf", "mlx5_core", "uio", "pci-stub", None])
def test_a_driver_that_serves_the_kernel_is_not_userspace(driver: str | None) -> None:
    assert not a_device(driver).is_userspace


@pytest.mark.parametrize("driver", VF_ONLY_DRIVERS)
def test_a_driver_of_vfs_only_tells_a_vf_without_physfn(driver: str) -> None:
    device = a_device(driver)

    assert device.is_vf_by_driver
    assert not device.is_vf


@pytest.mark.parametrize("driver", ["igb", "mlx5_core", "bnxt_en", "fm10k", "vfio-pci", None])
def test_a_driver_of_both_kinds_tells_nothing(driver: str | None) -> None:
    assert not a_device(driver).is_vf_by_driver
