from pathlib import Path

import pytest

from deviceinfo import DeviceInfoError, PciAddress, PciDevice, read_device
from tests.support.sysfs import PF, VF, a_pf, a_vf


def found(sysfs: Path, address: str = VF) -> PciDevice:
    device = read_device(sysfs, address)
    assert device is not None
    return device


def test_a_vf_is_read_with_its_place_on_the_pf(tmp_path: Path) -> None:
    a_vf(tmp_path, "0000:01:10.0", number=0)
    a_vf(tmp_path, "0000:01:10.4", number=11, netdevs=["b", "a"], numa_node=1, iommu_group=42)

    device = read_device(tmp_path, "0000:01:10.4")

    assert device == PciDevice(
        address=PciAddress("0000:01:10.4"),
        driver="igbvf",
        pf_address=PciAddress(PF),
        vf_number=11,
        numa_node=1,
        iommu_group=42,
        netdevs=("a", "b"),
    )
    assert device.is_vf


def test_a_pf_is_no_vf(tmp_path: Path) -> None:
    a_vf(tmp_path)

    device = found(tmp_path, PF)

    assert not device.is_vf
    assert (device.driver, device.vf_number, device.netdevs) == ("igb", None, ("pf0",))


def test_a_vf_inside_a_vm_is_known_by_its_driver(tmp_path: Path) -> None:
    a_vf(tmp_path, pf=None)

    device = found(tmp_path)

    assert (device.is_vf, device.is_vf_by_driver) == (False, True)


def test_an_unbound_device_in_no_group_and_on_no_node_has_none_of_these(tmp_path: Path) -> None:
    a_pf(tmp_path, driver=None, netdevs=[])

    device = found(tmp_path, PF)

    assert (device.driver, device.iommu_group, device.numa_node) == (None, None, None)
    assert device.netdevs == ()


def test_an_address_in_capitals_finds_the_device(tmp_path: Path) -> None:
    a_pf(tmp_path, "0000:af:00.0")

    assert found(tmp_path, "0000:AF:00.0").address == "0000:af:00.0"


@pytest.mark.parametrize("address", ["../../../etc", "0000:01:10.0/../x", "", "01:10.0"])
def test_an_address_is_judged_before_it_becomes_a_path(tmp_path: Path, address: str) -> None:
    with pytest.raises(DeviceInfoError, match="PCI address"):
        read_device(tmp_path, address)


def test_a_device_that_is_not_there_is_none(tmp_path: Path) -> None:
    a_pf(tmp_path)

    assert read_device(tmp_path, VF) is None
    assert read_device(tmp_path / "nowhere", VF) is None


def test_a_link_to_a_device_that_has_gone_is_none(tmp_path: Path) -> None:
    folder = a_pf(tmp_path)
    folder.rename(tmp_path / "gone")

    assert read_device(tmp_path, PF) is None


def test_a_vf_whose_pf_has_gone_still_names_it(tmp_path: Path) -> None:
    pf_folder = a_pf(tmp_path)
    a_vf(tmp_path)
    pf_folder.rename(tmp_path / "gone")

    device = found(tmp_path)

    assert (device.is_vf, device.pf_address, device.vf_number) == (True, PF, None)


@pytest.mark.parametrize("part", ["driver", "physfn", "iommu_group", "numa_node", "net"])
def test_a_part_that_vanishes_is_missing_and_no_crash(tmp_path: Path, part: str) -> None:
    folder = a_vf(tmp_path, numa_node=1, iommu_group=7)
    (folder / part).rename(tmp_path / "gone")

    device = found(tmp_path)

    part_of = {
        "driver": device.driver,
        "physfn": device.pf_address,
        "iommu_group": device.iommu_group,
        "numa_node": device.numa_node,
        "net": device.netdevs or None,
    }
    assert [name for name, value in part_of.items() if value is None] == [part]


@pytest.mark.parametrize("part", ["driver", "physfn", "iommu_group"])
def test_what_should_be_a_link_but_is_a_file_is_missing(tmp_path: Path, part: str) -> None:
    folder = a_pf(tmp_path, driver=None)
    (folder / part).write_bytes(b"\xff" * 5000)

    device = found(tmp_path, PF)

    assert (device.driver, device.pf_address, device.iommu_group) == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe", b"1" * 5000, "٣".encode()])
def test_a_numa_node_that_is_no_number_never_crashes(tmp_path: Path, content: bytes) -> None:
    folder = a_pf(tmp_path)
    (folder / "numa_node").write_bytes(content)

    assert found(tmp_path, PF).address == PF


def test_links_that_do_not_point_to_pci_addresses_tell_nothing(tmp_path: Path) -> None:
    folder = a_pf(tmp_path)
    (folder / "physfn").symlink_to("/")
    (folder / "iommu_group").symlink_to("../group-x")

    device = found(tmp_path, PF)

    assert (device.pf_address, device.iommu_group) == (None, None)
