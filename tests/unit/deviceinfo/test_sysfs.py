from pathlib import Path

import pytest

from deviceinfo import Bus, Device, DeviceId, DeviceInfoError, read_device
from tests.support.sysfs import PF, VF, a_pf, a_sub_function, a_vf


def pci(address: str) -> DeviceId:
    return DeviceId(Bus.PCI, address)


def found(sysfs: Path, address: str = VF) -> Device:
    device = read_device(sysfs, pci(address))
    assert device is not None
    return device


def test_a_vf_is_read_with_its_place_on_the_pf(tmp_path: Path) -> None:
    a_vf(tmp_path, "0000:01:10.0", number=0)
    a_vf(tmp_path, "0000:01:10.4", number=11, netdevs=["b", "a"], numa_node=1, iommu_group=42)

    device = read_device(tmp_path, pci("0000:01:10.4"))

    assert device == Device(
        id=pci("0000:01:10.4"),
        driver="igbvf",
        pf=pci(PF),
        vf_number=11,
        numa_node=1,
        iommu_group=42,
        netdevs=("a", "b"),
        pf_netdevs=("pf0",),
        pci_class=0x020000,
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

    assert found(tmp_path, "0000:AF:00.0").id == pci("0000:af:00.0")


@pytest.mark.parametrize("address", ["../../../etc", "0000:01:10.0/../x", "", "01:10.0"])
def test_an_address_is_judged_before_it_becomes_a_path(tmp_path: Path, address: str) -> None:
    with pytest.raises(DeviceInfoError, match="PCI address"):
        read_device(tmp_path, pci(address))


def test_a_missing_device_has_no_entry(tmp_path: Path) -> None:
    a_pf(tmp_path)

    assert read_device(tmp_path, pci(VF)) is None
    assert read_device(tmp_path / "nowhere", pci(VF)) is None


def test_a_link_to_a_device_that_has_gone_is_none(tmp_path: Path) -> None:
    folder = a_pf(tmp_path)
    folder.rename(tmp_path / "gone")

    assert read_device(tmp_path, pci(PF)) is None


def test_a_vf_whose_pf_has_gone_still_names_it(tmp_path: Path) -> None:
    pf_folder = a_pf(tmp_path)
    a_vf(tmp_path)
    pf_folder.rename(tmp_path / "gone")

    device = found(tmp_path)

    assert (device.is_vf, device.pf, device.vf_number) == (True, pci(PF), None)


@pytest.mark.parametrize("part", ["driver", "physfn", "iommu_group", "numa_node", "net"])
def test_a_part_that_vanishes_is_missing_and_no_crash(tmp_path: Path, part: str) -> None:
    folder = a_vf(tmp_path, numa_node=1, iommu_group=7)
    (folder / part).rename(tmp_path / "gone")

    device = found(tmp_path)

    part_of = {
        "driver": device.driver,
        "physfn": device.pf,
        "iommu_group": device.iommu_group,
        "numa_node": device.numa_node,
        "net": device.netdevs or None,
    }
    assert [name for name, value in part_of.items() if value is None] == [part]


@pytest.mark.parametrize("part", ["driver", "physfn", "iommu_group"])
def test_a_file_in_place_of_a_link_counts_as_missing(tmp_path: Path, part: str) -> None:
    folder = a_pf(tmp_path, driver=None)
    (folder / part).write_bytes(b"\xff" * 5000)

    device = found(tmp_path, PF)

    assert (device.driver, device.pf, device.iommu_group) == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"x", b"\xff\xfe", b"1" * 5000, "٣".encode()])
def test_a_numa_node_that_is_no_number_never_crashes(tmp_path: Path, content: bytes) -> None:
    folder = a_pf(tmp_path)
    (folder / "numa_node").write_bytes(content)

    assert found(tmp_path, PF).id == pci(PF)


def test_links_that_do_not_point_to_pci_addresses_are_ignored(tmp_path: Path) -> None:
    folder = a_pf(tmp_path)
    (folder / "physfn").symlink_to("/")
    (folder / "iommu_group").symlink_to("../group-x")

    device = found(tmp_path, PF)

    assert (device.pf, device.iommu_group) == (None, None)


def test_an_accelerator_is_no_network_device(tmp_path: Path) -> None:
    folder = a_vf(tmp_path, driver="vfio-pci")
    assert found(tmp_path).is_network

    (folder / "class").write_text("0x120001\n")

    assert not found(tmp_path).is_network


def test_rdma_devices_are_read(tmp_path: Path) -> None:
    (a_vf(tmp_path) / "infiniband" / "mlx5_2").mkdir(parents=True)

    assert found(tmp_path).rdma == ("mlx5_2",)


def test_a_sub_function_is_found_with_the_pci_function_under_it(tmp_path: Path) -> None:
    wanted = DeviceId(Bus.AUXILIARY, "mlx5_core.sf.4")
    assert read_device(tmp_path, wanted) is None

    a_sub_function(tmp_path, wanted.address, pf=PF)

    assert read_device(tmp_path, wanted) == Device(
        id=wanted, driver="mlx5_core.sf", pf=pci(PF), numa_node=1, netdevs=("eth4",)
    )


@pytest.mark.parametrize(
    ("port", "pf", "vf_number"), [("pf0vf1", "netdevsim10/p1", 1), ("p1", None, None)]
)
def test_a_port_of_a_simulated_device_is_known_by_its_name(
    tmp_path: Path, port: str, pf: str | None, vf_number: int | None
) -> None:
    wanted = DeviceId(Bus.NETDEVSIM, f"netdevsim10/{port}")
    assert read_device(tmp_path, wanted) is None

    (tmp_path / "bus/netdevsim/devices/netdevsim10").mkdir(parents=True)

    expected_pf = None if pf is None else DeviceId(Bus.NETDEVSIM, pf)
    assert read_device(tmp_path, wanted) == Device(
        id=wanted, driver="netdevsim", pf=expected_pf, vf_number=vf_number
    )


@pytest.mark.parametrize("entry", ["virtfn0", "mlx5_core.sf.4"])
def test_a_function_that_others_were_made_of_is_known(tmp_path: Path, entry: str) -> None:
    folder = a_pf(tmp_path)
    before = read_device(tmp_path, DeviceId(Bus.PCI, PF))

    (folder / entry).mkdir()
    after = read_device(tmp_path, DeviceId(Bus.PCI, PF))

    assert before is not None
    assert after is not None
    assert (before.has_functions, after.has_functions) == (False, True)


@pytest.mark.parametrize(("count", "has"), [("0", False), ("2", True)])
def test_a_simulated_port_knows_of_its_vfs(
    tmp_path: Path,
    count: str,
    has: bool,  # noqa: FBT001 - a column of the table
) -> None:
    folder = tmp_path / "bus/netdevsim/devices/netdevsim10"
    folder.mkdir(parents=True)
    (folder / "sriov_numvfs").write_text(f"{count}\n")

    device = read_device(tmp_path, DeviceId(Bus.NETDEVSIM, "netdevsim10/p1"))

    assert device is not None
    assert device.has_functions == has
