"""Facts of a link in sysfs and SR-IOV CNI's cache; those from PFs are tested in the VM."""

import errno
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from deviceinfo import (
    Bus,
    Claim,
    DeviceId,
    DeviceKind,
    NetworkRequest,
    PodRef,
    Reading,
    Sandbox,
    Source,
    Statement,
    find_devices,
)
from sriovbond import candidates
from sriovbond.bond.links import Allocation, Link, Master, Member, Place, VfSettings
from sriovbond.candidates import Sources, choose, state_members, uses_beside
from sriovbond.errors import KernelError, RefusedError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.lending import Lender
from tests.support.builders import a_link, a_member, a_netconf, a_plan, seen
from tests.support.node import Node
from tests.support.sysfs import PF, VF, a_pf, a_vf

ADMIN, OWN = "02:aa:00:00:00:01", "02:00:00:00:00:01"
VF_ID = DeviceId(Bus.PCI, VF)
PF_LINK = a_link(
    "pf0", mtu=9000, has_carrier=True, device=PF, vfs=(VfSettings(0, OWN), VfSettings(1, ADMIN))
)


def sources_of(
    sysfs: Path, *statements: Statement, claims: tuple[Claim, ...] = (), pfs: tuple[Link, ...] = ()
) -> Sources:
    """Return sources with known host links, so that no netlink is needed."""
    places = replace(Node(sysfs / "none").places, sysfs=sysfs)
    reading = Reading(Source.KUBELET, statements, claims)
    found = find_devices(Sandbox(PodRef("default", "nf1")), places, reading)
    return Sources(cast("Netlink", None), found, pfs={pf.device: pf for pf in pfs})


def member_of(
    sysfs: Path, link: Link, *statements: Statement, pfs: tuple[Link, ...] = (PF_LINK,)
) -> Member:
    stands = state_members([link]).statements
    return sources_of(sysfs, *statements, *stands, pfs=pfs).as_member(link, Place.POD)


def test_a_vf_is_read_with_its_pf_and_the_pfs_settings_for_it(tmp_path: Path) -> None:
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


def test_a_vf_whose_pf_cannot_be_read_is_a_vf_still(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_vf(tmp_path)
    sources = sources_of(tmp_path, *state_members([a_link("net1", device=VF)]).statements)
    sources.pfs, sources.host_netlink = None, Deaf()

    member = sources.as_member(a_link("net1", device=VF), Place.POD)

    assert member.is_vf
    assert member.pf is not None
    assert (member.pf.device, member.pf.name, member.settings) == (PF, None, None)
    assert "nothing is known of the PFs: cannot look at pf0: EIO" in capsys.readouterr().err


def test_networks_on_top_of_the_bond_are_known_by_their_master() -> None:
    networks = (
        a_network("default/sriov-a@net1", type="sriov"),
        a_network("default/vlan@net3", type="vlan", master="bond0", linkInContainer=True),
        a_network("default/other@net4", type="macvlan", master="bond1"),
        a_network("default/list@net5", plugins=[{"type": "macvlan", "master": "bond0"}, {}]),
    )

    upon = candidates._upon(networks, "bond0")  # noqa: SLF001 - what gather hands on

    assert upon == ("default/vlan@net3 (vlan)", "default/list@net5 (macvlan)")


def a_network(name: str, **config: object) -> NetworkRequest:
    network, _, interface = name.partition("@")
    return NetworkRequest(network, interface, str(config.get("type")), None, None, config)


class Deaf(Netlink):
    """A netlink socket whose kernel answers every request with an error."""

    def __init__(self) -> None: ...

    def get(self, request: NetlinkRequest) -> bytes:
        raise KernelError(f"cannot {request.doing}: EIO", errno.EIO)

    def dump(self, request: NetlinkRequest) -> list[bytes]:
        raise KernelError(f"cannot {request.doing}: EIO", errno.EIO)


def test_a_vf_inside_a_vm_is_known_by_its_driver(tmp_path: Path) -> None:
    a_vf(tmp_path, pf=None)

    member = member_of(tmp_path, a_link("net1", device=VF))

    assert (member.is_vf, member.pf, member.settings) == (True, None, None)


def test_the_pfs_master_and_numa_node_are_known(tmp_path: Path) -> None:
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


def test_a_member_knows_how_the_pod_was_given_it(tmp_path: Path) -> None:
    a_vf(tmp_path)
    said = (
        Statement(Source.KUBELET, VF_ID, resource="rig.io/pf0", container="app"),
        Statement(Source.MULTUS, VF_ID, network="default/sriov-a", interface="net1"),
        Statement(Source.SRIOV_CNI, VF_ID, administrative_mac=ADMIN),
    )

    member = member_of(tmp_path, a_link("net1", device=VF), *said)

    assert member.administrative_mac == ADMIN
    assert member.allocation == Allocation(
        "rig.io/pf0", "default/sriov-a", "app", (Source.KUBELET, Source.SRIOV_CNI, Source.MULTUS)
    )


def test_a_vf_of_another_pod_is_known_by_its_claim(tmp_path: Path) -> None:
    a_vf(tmp_path)
    sources = sources_of(
        tmp_path,
        Statement(Source.NAMESPACE, VF_ID, interface="net1"),
        Statement(Source.KUBELET, DeviceId(Bus.PCI, "0000:09:10.0")),
        claims=(Claim(Source.KUBELET, VF_ID, "default/nf2"),),
        pfs=(PF_LINK,),
    )

    member = sources.as_member(a_link("net1", device=VF), Place.POD)

    assert member.allocation == Allocation(other_pods=("default/nf2 (kubelet)",), is_foreign=True)


def given(**facts: Any) -> Statement:  # noqa: ANN401 - Statement's fields
    return Statement(Source.KUBELET, **{"device": VF_ID, "interface": "net1", **facts})


def test_a_device_without_a_link_is_reported_with_its_state(tmp_path: Path) -> None:
    """No vDPA device can exist in the VM, so sysfs is a tree of files here."""
    folder = a_vf(tmp_path, VF, driver="mlx5_core", netdevs=())

    (device,) = sources_of(tmp_path, given(), pfs=(PF_LINK,)).unlinked()
    assert (device.rule.id, device.pf and device.pf.name) == ("not-in-pod", "pf0")

    (folder / "vdpa0").mkdir()
    (device,) = sources_of(tmp_path, given(), pfs=(PF_LINK,)).unlinked()
    assert device.rule.id == "vdpa-device"
    assert str(device).startswith(f"{VF} (asked for as net1) is used as vdpa0 by mlx5_core")


@pytest.mark.parametrize(
    ("driver", "rule"),
    [("vfio-pci", "userspace-driver"), (None, "no-driver"), ("igbvf", "not-in-pod")],
)
def test_the_driver_explains_why_a_device_has_no_link(
    tmp_path: Path, driver: str | None, rule: str
) -> None:
    a_vf(tmp_path, VF, driver=driver, netdevs=())

    (device,) = sources_of(tmp_path, given(), pfs=(PF_LINK,)).unlinked()

    assert device.rule.id == rule


def test_a_device_that_is_gone_from_the_bus_is_only_not_there(tmp_path: Path) -> None:
    (device,) = sources_of(tmp_path, given()).unlinked()

    assert device.rule.id == "not-in-pod"
    assert "no such device" in str(device)


def test_an_accelerator_on_vfio_is_no_concern_of_a_bond(tmp_path: Path) -> None:
    (a_vf(tmp_path, VF, driver="vfio-pci", netdevs=()) / "class").write_text("0x120000\n")

    assert list(sources_of(tmp_path, given(), pfs=(PF_LINK,)).unlinked()) == []


def test_a_socket_is_reported_by_its_network(tmp_path: Path) -> None:
    said = Statement(
        Source.DEVICE_INFO, kind=DeviceKind.MEMIF, network="default/fast", interface="net9"
    )

    (device,) = sources_of(tmp_path, said).unlinked()

    assert device.rule.id == "socket-device"
    assert str(device).startswith("memif (network default/fast, asked for as net9) is a socket")


def test_the_links_of_the_namespace_state_their_devices() -> None:
    reading = state_members(
        [a_link("eth0"), a_link("net1", device=VF), a_link("v", device="virtio0")]
    )

    assert [(one.device, one.interface) for one in reading.statements] == [(VF_ID, "net1")]


def named_with(**keys: object) -> NetworkRequest:
    config: dict[str, object] = {"type": "sriov", **keys}
    return NetworkRequest("default/sriov-a", "net1", "sriov", "rig.io/pf0", VF_ID, config)


@pytest.mark.parametrize(
    ("keys", "with_ipam"),
    [
        ({"ipam": {"type": "host-local"}}, {"default/sriov-a"}),
        ({"plugins": [{"type": "sriov", "ipam": {"type": "dhcp"}}]}, {"default/sriov-a"}),
        ({"type": "sriovbond", "ipam": {"type": "static"}}, set()),
        ({"ipam": {}}, set()),
        ({"ipam": "host-local"}, set()),
        ({}, set()),
    ],
    ids=str,
)
def test_networks_that_ask_for_addresses_are_known(
    tmp_path: Path, keys: dict[str, object], with_ipam: set[str]
) -> None:
    sources = sources_of(tmp_path)
    sources.devices = replace(sources.devices, networks=(named_with(**keys),))

    assert sources.seen([], [], "sriovbond").with_ipam == with_ipam


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"rdma": "mlx5_2"}, "was given with the RDMA device mlx5_2: a process"),
        ({"details": "vhost-net /dev/vhost-net"}, "was given with vhost-net /dev/vhost-net: a"),
        ({"details": "representor-device pf0vf1"}, ""),
    ],
    ids=str,
)
def test_a_member_that_a_process_may_use_past_the_kernel_is_reported(
    tmp_path: Path, facts: dict[str, str], words: str
) -> None:
    a_vf(tmp_path, number=1)
    said = Statement(Source.DEVICE_INFO, device=VF_ID, **facts)  # type: ignore[arg-type]
    sources = sources_of(tmp_path, said, pfs=(PF_LINK,))
    member = sources.as_member(a_link("net1", device=VF), Place.POD)

    uses = uses_beside(sources.devices, a_plan([member]))

    start = f"net1 (VF 1 of pf0, {VF}) {words}"
    assert [use.text.startswith(start) for use in uses] == [True] * bool(words)
    plain = replace(member, link=a_link("net2"))
    assert uses_beside(sources.devices, a_plan([plain])) == []
    assert uses_beside(sources.devices, a_plan([member], policy="warn")) == []


def test_links_that_the_node_keeps_are_not_taken_and_reported_with_alternatives(
    tmp_path: Path,
) -> None:
    (tmp_path / "node.toml").write_text("host_links = []")
    found = find_devices(Sandbox(PodRef("default", "nf1")), Node(tmp_path / "none").places)
    there = seen(pod=[a_member("eth0")], host=[a_member("ens1f0v0"), a_member("ens2f0v0")])

    with netns.own() as home:
        lender = Lender(Host(node_file=tmp_path / "node.toml"), home, found)
        with pytest.raises(RefusedError) as by_place:
            choose(a_netconf(links=[{"name": "ens*"}], linksInContainer=False), there, lender)
        with pytest.raises(RefusedError) as by_name:
            choose(a_netconf(links=[{"name": "ens1f0v0"}], minMembers=1), there, lender)
        members = choose(a_netconf(links=[{"name": "eth0"}], minMembers=1), there, lender)

    assert by_place.value.rule == by_name.value.rule == "host-links-not-allowed"
    assert "if interfaces of the pod are meant, it has eth0" in by_name.value.message
    assert "are meant" not in by_place.value.message
    assert [member.name for member in members] == ["eth0"]


def test_a_link_of_the_host_that_is_kept_is_refused_for_that_whatever_else_is_wrong_with_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "node.toml").write_text("host_links = []")
    found = find_devices(Sandbox(PodRef("default", "nf1")), Node(tmp_path / "none").places)
    foreign = Allocation(other_pods=("default/nf2 (kubelet)",), is_foreign=True)
    there = seen(host=[replace(a_member("ens1f0v0"), allocation=foreign)])

    with netns.own() as home:
        lender = Lender(Host(node_file=tmp_path / "node.toml"), home, found)
        with pytest.raises(RefusedError) as caught:
            choose(a_netconf(links=[{"name": "ens1f0v0"}], minMembers=1), there, lender)

    assert caught.value.rule == "host-links-not-allowed"
