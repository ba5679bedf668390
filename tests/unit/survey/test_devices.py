"""A PF by its folder in sysfs and the kernel's message about it."""

from pathlib import Path

import pytest

from sriovbond.kernel import messages
from sriovbond.kernel.messages import IFLA_PARENT_DEV_BUS_NAME, IFLA_PARENT_DEV_NAME, LinkMessage
from sriovbond.survey import devices
from tests.docs_tables import CHECKOUT

PF = "0000:01:00.0"
IGB = bytes.fromhex((CHECKOUT / "tests/data/kernel/igb-pf.hex").read_text(encoding="ascii"))


def _message(bus: str = "pci", name: str = PF, body: bytes = b"") -> LinkMessage:
    parent = messages.name(IFLA_PARENT_DEV_BUS_NAME, bus) + messages.name(
        IFLA_PARENT_DEV_NAME, name
    )
    return messages.read_link((body or messages.link(2)) + parent)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    folder = tmp_path / "bus/pci/devices" / PF
    (folder / "virtfn0/net/eth7").mkdir(parents=True)
    (folder / "sriov_numvfs").write_text("2\n", encoding="ascii")
    (folder / "sriov_drivers_autoprobe").write_text("1\n", encoding="ascii")
    return tmp_path


def test_a_pf_has_the_vfs_that_the_kernel_reports(sysfs: Path) -> None:
    section = devices.ethernet(_message(body=IGB), sysfs)

    assert section
    assert section.sr_iov
    assert (section.sr_iov.total_vfs, section.sr_iov.drivers_autoprobe) == (2, True)
    assert section.sr_iov.vfs
    first = section.sr_iov.vfs[0]
    assert (first.id, first.iface_name, first.spoof_check) == (0, "eth7", True)
    assert section.sr_iov.vfs[1].iface_name is None


@pytest.mark.parametrize(
    ("bus", "name"),
    [("pci", "0000:02:00.0"), ("usb", "1-1"), ("pci", ".."), ("pci", "a/b"), ("", ""), ("..", PF)],
)
def test_any_other_link_has_no_section(sysfs: Path, bus: str, name: str) -> None:
    assert devices.ethernet(_message(bus, name), sysfs) is None


def test_a_number_that_cannot_be_read_is_none(sysfs: Path) -> None:
    (sysfs / "bus/pci/devices" / PF / "sriov_numvfs").write_text("many", encoding="ascii")

    assert devices.ethernet(_message(), sysfs) is None


def test_only_a_pci_device_has_a_pci_address() -> None:
    assert devices.pci_address(_message()) == PF
    assert devices.pci_address(_message("netdevsim", "netdevsim10")) is None
