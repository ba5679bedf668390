"""What sysfs and SR-IOV CNI's cache say of a link; what PFs say is proved against the kernel."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from deviceinfo import PciAddress, SriovCniEntry
from sriovbond.bond.links import Link, Master, Member, Place, VfSettings
from sriovbond.candidates import Sources
from sriovbond.host import Host
from sriovbond.kernel.netlink import Netlink
from tests.support.builders import a_link
from tests.support.sysfs import PF, VF, a_pf, a_vf

ADMIN, OWN, NONE = "02:aa:00:00:00:01", "02:00:00:00:00:01", "00:00:00:00:00:00"
ENTRY = SriovCniEntry(
    ifname="net1",
    device_id=PciAddress(VF),
    pf_name="pf0",
    vf_number=0,
    administrative_mac=None,
    vlan=None,
    trust=None,
    spoofchk=None,
    link_state=None,
    original_admin_mac=NONE,
    original_effective_mac=OWN,
    host_ifname="vf0",
    netns=None,
)
PF_LINK = a_link(
    "pf0", mtu=9000, has_carrier=True, device=PF, vfs=(VfSettings(0, OWN), VfSettings(1, ADMIN))
)


def member_of(
    sysfs: Path, link: Link, *entries: SriovCniEntry, pfs: tuple[Link, ...] = (PF_LINK,)
) -> Member:
    """Ask for a member where the links of the host are known, so that no netlink is needed."""
    by_address = {pf.device: pf for pf in pfs}
    cache = {str(entry.device_id): entry for entry in entries}
    sources = Sources(Host(sysfs=sysfs), cast("Netlink", None), cache, pfs=by_address)
    return sources.as_member(link, Place.POD)


def test_a_vf_is_known_with_its_pf_and_what_that_says_of_it(tmp_path: Path) -> None:
    a_vf(tmp_path, number=1)

    member = member_of(tmp_path, a_link("net1", device=VF))

    assert (member.device, member.driver, member.is_vf, member.vf_number) == (VF, "igbvf", True, 1)
    assert member.pf is not None
    assert (member.pf.device, member.pf.name, member.pf.mtu, member.pf.has_carrier) == (
        PF,
        "pf0",
        9000,
        True,
    )
    assert member.settings == VfSettings(1, ADMIN)
    assert str(member) == f"net1 (VF 1 of pf0, {VF})"


def test_a_vf_whose_pf_shows_no_netdev_is_a_vf_still(tmp_path: Path) -> None:
    a_vf(tmp_path)

    member = member_of(tmp_path, a_link("net1", device=VF), pfs=())

    assert member.is_vf
    assert member.pf is not None
    assert (member.pf.name, member.settings) == (None, None)


def test_a_vf_inside_a_vm_is_known_by_its_driver(tmp_path: Path) -> None:
    a_vf(tmp_path, pf=None)

    member = member_of(tmp_path, a_link("net1", device=VF))

    assert (member.is_vf, member.pf, member.settings) == (True, None, None)


def test_what_the_pf_is_in_and_its_numa_node_are_known(tmp_path: Path) -> None:
    a_vf(tmp_path, numa_node=1)
    master = Master("lag0", "bond", "802.3ad", ("pf0", "pf1"))
    link = replace(PF_LINK, within=master, has_representors=True)

    member = member_of(tmp_path, a_link("net1", device=VF), pfs=(link,))

    assert member.pf is not None
    assert (member.pf.master, member.pf.has_representors, member.pf.numa_node) == (master, True, 1)


def test_a_simulated_vf_has_the_settings_of_its_devices_own_port(tmp_path: Path) -> None:
    (tmp_path / "bus" / "netdevsim" / "devices" / "netdevsim10").mkdir(parents=True)
    pf = replace(PF_LINK, name="eni10np1", device="netdevsim10/p1")
    other = replace(PF_LINK, name="eni11np1", device="netdevsim11/p1", vfs=())

    member = member_of(tmp_path, a_link("net1", device="netdevsim10/pf0vf1"), pfs=(pf, other))

    assert str(member) == "net1 (VF 1 of eni10np1, netdevsim10/pf0vf1)"
    assert (member.is_vf, member.driver) == (True, "netdevsim")
    assert member.settings == VfSettings(1, ADMIN)


def test_a_pf_is_no_vf(tmp_path: Path) -> None:
    a_pf(tmp_path)

    member = member_of(tmp_path, a_link("net1", device=PF))

    assert (member.is_vf, member.driver, member.pf) == (False, "igb", None)


@pytest.mark.parametrize("parent", ["", "virtio0", "0000:09:00.0"])
def test_a_link_of_no_pci_device_is_a_member_without_device(tmp_path: Path, parent: str) -> None:
    link = a_link("net1", device=parent)

    assert member_of(tmp_path, link) == Member(link, Place.POD)


@pytest.mark.parametrize(
    ("facts", "administrative"),
    [
        ({}, None),
        ({"administrative_mac": ADMIN.upper()}, ADMIN),
        ({"original_admin_mac": ADMIN.upper()}, ADMIN),
        ({"administrative_mac": OWN, "original_admin_mac": ADMIN}, OWN),
        ({"original_admin_mac": OWN}, None),  # some drivers keep the VF's own request there
        ({"original_admin_mac": OWN.upper()}, None),
        ({"original_admin_mac": None}, None),
    ],
)
def test_a_mac_is_administrative_where_the_cache_says_so(
    tmp_path: Path, facts: dict[str, Any], administrative: str | None
) -> None:
    a_vf(tmp_path)

    member = member_of(tmp_path, a_link("net1", device=VF), replace(ENTRY, **facts))

    assert member.administrative_mac == administrative


def test_a_vf_used_as_a_vdpa_device_is_told_with_its_driver(tmp_path: Path) -> None:
    """No vDPA device can exist in the VM, so sysfs is a tree of files here."""
    (a_vf(tmp_path, VF, driver="mlx5_core", netdevs=()) / "vdpa0").mkdir()
    sources = Sources(Host(sysfs=tmp_path), cast("Netlink", None), {VF: ENTRY})

    (device,) = sources.without_netdev()

    assert device.rule == "vdpa-device"
    assert str(device).startswith(f"{VF} (asked for as net1) is used as vdpa0 by mlx5_core")
