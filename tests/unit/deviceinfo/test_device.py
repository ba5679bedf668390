import re

import pytest

from deviceinfo import Bus, Device, DeviceId, DeviceInfoError, parse_address, parse_device_id
from deviceinfo.device import VF_ONLY_DRIVERS, netdevsim_vf, parse_dra_name


def a_device(driver: str | None) -> Device:
    return Device(id=DeviceId(Bus.PCI, "0000:01:10.0"), driver=driver)


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
def test_an_incomplete_pci_address_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(DeviceInfoError, match=re.escape(repr(text))):
        parse_address(text)


@pytest.mark.parametrize(
    "driver",
    [
        "vfio-pci",
        "mlx5_vfio_pci",
        "hisi-acc-vfio-pci",
        "uio_pci_generic",
        "uio_cif",
        "igb_uio",
        "pci-stub",
        "pciback",
    ],
)
def test_a_driver_that_serves_a_process_is_userspace(driver: str) -> None:
    assert a_device(driver).is_userspace


@pytest.mark.parametrize("driver", ["igbvf", "mlx5_core", "uio", None])
def test_a_driver_that_serves_the_kernel_is_not_userspace(driver: str | None) -> None:
    assert not a_device(driver).is_userspace


@pytest.mark.parametrize("driver", VF_ONLY_DRIVERS)
def test_a_driver_of_vfs_only_identifies_a_vf_without_physfn(driver: str) -> None:
    device = a_device(driver)

    assert device.is_vf_by_driver
    assert not device.is_vf


@pytest.mark.parametrize("driver", ["igb", "mlx5_core", "bnxt_en", "fm10k", "vfio-pci", None])
def test_a_driver_of_both_kinds_proves_nothing(driver: str | None) -> None:
    assert not a_device(driver).is_vf_by_driver


@pytest.mark.parametrize(
    ("text", "bus", "address"),
    [
        ("0000:AF:10.0", Bus.PCI, "0000:af:10.0"),
        ("mlx5_core.sf.4", Bus.AUXILIARY, "mlx5_core.sf.4"),
        ("netdevsim10/pf0vf1", Bus.NETDEVSIM, "netdevsim10/pf0vf1"),
        ("netdevsim10/p1", Bus.NETDEVSIM, "netdevsim10/p1"),
    ],
)
def test_a_device_plugins_id_is_known_by_its_form(text: str, bus: Bus, address: str) -> None:
    assert parse_device_id(text) == DeviceId(bus, address)


@pytest.mark.parametrize(
    "text", ["", "GPU-1234", "/dev/kvm", "../x.sf.4", "netdevsim10", "a/b.sf.1", "x.sf.4\n"]
)
def test_any_other_id_is_no_network_device(text: str) -> None:
    assert parse_device_id(text) is None


def test_the_name_of_a_dra_device_is_turned_back_into_its_address() -> None:
    assert parse_dra_name("0000-08-00-2") == DeviceId(Bus.PCI, "0000:08:00.2")
    assert parse_dra_name("gpu-0") is None
    assert parse_dra_name("0000-08-20-2") is None


def test_the_parts_of_a_simulated_port() -> None:
    assert netdevsim_vf("netdevsim10/pf0vf3") == ("netdevsim10", 3)
    assert netdevsim_vf("netdevsim10/p1") == ("netdevsim10", None)
    assert netdevsim_vf("netdevsim10") is None
