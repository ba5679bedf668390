"""The PF's link among several: on a NIC whose representors have its address, as in no rig."""

import errno
import socket
import struct

import pytest

from sriovbond.bond.links import Link
from sriovbond.errors import KernelError
from sriovbond.kernel import bonding, links, messages, snapshots
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_ADDRESS,
    IFLA_EXT_MASK,
    IFLA_IFNAME,
    IFLA_INFO_KIND,
    IFLA_LINK,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_NUM_VF,
    IFLA_PARENT_DEV_BUS_NAME,
    IFLA_PARENT_DEV_NAME,
    IFLA_PHYS_PORT_NAME,
    IFLA_VFINFO_LIST,
    RTA_DST,
    RTA_MULTIPATH,
    RTA_OIF,
    RTEXT_FILTER_VF,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from tests.support.dumps import Dumps

PF = "0000:01:00.0"
RTPROT_RA = 9


class Told(Netlink):
    """A kernel that answers every request with these links."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)

    def get(self, request: NetlinkRequest) -> bytes:
        assert request.type == nl.RTM_GETLINK
        return self._bodies[0]

    def dump(self, request: NetlinkRequest) -> list[bytes]:
        assert request.type == nl.RTM_GETLINK
        return self._bodies


def a_link(index: int, name: str, *more: bytes) -> bytes:
    parent = messages.name(IFLA_PARENT_DEV_NAME, PF)
    return messages.link(index, messages.name(IFLA_IFNAME, name), parent, *more)


def a_vf(number: int) -> bytes:
    mac = messages.attribute(1, struct.pack("=I32s", number, bytes([2, 0, 0, 0, 0, number])))
    return messages.attribute(1, mac + messages.attribute(2, struct.pack("=III", number, 0, 0)))


def port(name: str) -> bytes:
    return messages.name(IFLA_PHYS_PORT_NAME, name)


LISTED = messages.attribute(IFLA_VFINFO_LIST, a_vf(0) + a_vf(1) + a_vf(2))
UPLINKS = {
    "with VFs": a_link(2, "p0", port("p0"), LISTED),
    "with sub-functions only": a_link(2, "p0", port("p0")),
}


@pytest.mark.parametrize("uplink", UPLINKS.values(), ids=UPLINKS)
@pytest.mark.parametrize("vfs", [set(), {1}], ids=str)
def test_no_representor_belongs_to_a_pf(uplink: bytes, vfs: set[int]) -> None:
    for place in range(3):
        told = [a_link(3, "eth3", port("pf0vf0")), a_link(4, "eth4", port("pf0sf1"))]
        told.insert(place, uplink)

        found = links.of_devices(Told(*told), {PF: ("p0", "eth3", "eth4")}, vfs)

        assert (found[PF].name, found[PF].has_representors) == ("p0", True)


def test_of_a_pf_only_the_vfs_that_matter_are_read() -> None:
    found = links.of_devices(Told(UPLINKS["with VFs"]), {PF: ("p0",)}, {1})

    assert [(one.number, one.mac) for one in found[PF].vfs] == [(1, "02:00:00:00:00:01")]


class Crowded(Netlink):
    """A kernel that cannot report VFs, or reports them torn, and works without them."""

    def __init__(self, with_vfs: bytes | None, without: bytes) -> None:
        self._with_vfs, self._without = with_vfs, without
        self.asked: list[bool] = []

    def get(self, request: NetlinkRequest) -> bytes:
        mask = messages.read_link(request.body).number(IFLA_EXT_MASK)
        self.asked.append(bool(mask & RTEXT_FILTER_VF))
        if not self.asked[-1]:
            return self._without
        if self._with_vfs is None:
            raise KernelError(f"cannot {request.doing}: EMSGSIZE", errno.EMSGSIZE)
        return self._with_vfs

    def dump(self, request: NetlinkRequest) -> list[bytes]:
        return [self.get(request)]


def wrapped(count: int) -> bytes:
    """Return a PF's message whose list of VFs is longer than its length field can hold."""
    before = b"".join((messages.name(IFLA_IFNAME, "p0"), messages.name(IFLA_PARENT_DEV_NAME, PF)))
    listed = b"".join(a_big_vf(number) for number in range(count))
    head = struct.pack("=HH", (4 + len(listed)) & 0xFFFF, IFLA_VFINFO_LIST)
    after = messages.attribute(IFLA_ADDRESS, bytes.fromhex("020000000099"))
    return messages.link(2, before, messages.word(IFLA_NUM_VF, count), head + listed, after)


def a_big_vf(number: int) -> bytes:
    """Return a VF's attributes with statistics: 296 bytes."""
    mac = messages.attribute(1, struct.pack("=I32s", number, bytes([6, 0, 0, 0, 0, number % 256])))
    vlan = messages.attribute(2, struct.pack("=III", number, 0, 0))
    return messages.attribute(1, mac + vlan + messages.attribute(8, bytes(232)))


SOUND = a_link(2, "p0", messages.attribute(1, bytes.fromhex("020000000099")))


@pytest.mark.parametrize("count", [None, *range(222, 255)], ids=str)
@pytest.mark.parametrize("is_dumped", [False, True], ids=["one", "all"])
def test_a_pf_with_a_torn_vf_list_reports_none(count: int | None, *, is_dumped: bool) -> None:
    kernel = Crowded(None if count is None else wrapped(count), SOUND)
    names = ("p0", "other") if is_dumped else ("p0",)

    found = links.of_devices(kernel, {PF: names}, {0, 1})

    assert (found[PF].name, found[PF].mac, found[PF].vfs) == ("p0", "02:00:00:00:00:99", ())
    assert kernel.asked[-2:] == [True, False]


@pytest.mark.parametrize("count", [1, 128, 221])
def test_a_pf_with_many_vfs_reports_each(count: int) -> None:
    found = links.of_devices(Crowded(wrapped(count), SOUND), {PF: ("p0",)}, {count - 1})

    assert [one.number for one in found[PF].vfs] == [count - 1]


def test_another_error_of_the_kernel_is_not_ignored() -> None:
    class Broken(Crowded):
        def get(self, request: NetlinkRequest) -> bytes:
            raise KernelError(f"cannot {request.doing}: EPERM", errno.EPERM)

    with pytest.raises(KernelError, match="EPERM"):
        links.of_devices(Broken(None, SOUND), {PF: ("p0",)}, {0})


CROWD = 5000


def of_kind(index: int, name: str, kind: str, *more: bytes) -> bytes:
    info = messages.attribute(IFLA_LINKINFO, messages.name(IFLA_INFO_KIND, kind))
    return messages.link(index, messages.name(IFLA_IFNAME, name), info, *more)


def a_crowd(*more: bytes) -> list[bytes]:
    """Return as many dummies of a pod, which their number does not distinguish from members."""
    return [of_kind(100 + number, f"x{number}", "dummy", *more) for number in range(CROWD)]


def test_of_a_pods_links_only_hardware_and_those_like_members_are_kept() -> None:
    renamed_vf, own_dummy = a_link(3, "other"), of_kind(9, "net2", "dummy")
    pod = Dumps({nl.RTM_GETLINK: [*a_crowd(), renamed_vf, own_dummy, of_kind(8, "net2", "veth")]})
    wanted = [
        Link(index=2, name="net1", mac="", mtu=0, device=PF),
        Link(index=4, name="net2", mac="", mtu=0, kind="dummy"),
        Link(index=101, name="gone", mac="", mtu=0, kind="dummy"),
    ]

    present = links.dump_like(pod, wanted)

    assert [link.name for link in present] == ["x1", "other", "net2"]
    found = [links.find_again(present, link) for link in wanted]
    assert [link and link.name for link in found] == ["other", "net2", None]


@pytest.mark.parametrize(
    ("kind", "bus", "uppers"),
    [("vlan", "", ("up",)), ("", "pci", ("up",)), ("", "netdevsim", ()), ("veth", "", ())],
)
def test_a_peer_is_no_link_on_top_of_the_other(
    kind: str, bus: str, uppers: tuple[str, ...]
) -> None:
    on_bus = messages.name(IFLA_PARENT_DEV_BUS_NAME, bus)
    upper = of_kind(3, "up", kind, messages.word(IFLA_LINK, 2), on_bus)

    lower, _ = links.read_related(Dumps({nl.RTM_GETLINK: [a_link(2, "p0"), upper]}))

    assert lower.uppers == uppers


def test_a_bond_is_read_among_any_number_of_links_but_not_with_any_number_of_members() -> None:
    bond = of_kind(7, "bond0", "bond")
    member = a_link(2, "net1", messages.word(IFLA_MASTER, 7))
    stolen = a_crowd(messages.word(IFLA_MASTER, 7))

    state = bonding.observe(Dumps({nl.RTM_GETLINK: [*a_crowd(), member, bond]}), "bond0")

    assert state is not None
    assert [one.name for one in state.members] == ["net1"]
    with pytest.raises(KernelError, match="cannot look at bond0: there are more than 4096"):
        bonding.observe(Dumps({nl.RTM_GETLINK: [*stolen, bond]}), "bond0")


def test_a_pod_with_more_links_than_a_pod_needs_is_refused_and_a_host_is_read() -> None:
    bodies = {nl.RTM_GETLINK: a_crowd() + a_crowd(), nl.RTM_GETADDR: [], nl.RTM_GETROUTE: []}

    with pytest.raises(KernelError, match="cannot list the links: there are more than 8192"):
        snapshots.take(Dumps(bodies), is_bounded=True)
    assert len(snapshots.take(Dumps(bodies))) == 2 * CROWD


def test_of_a_hosts_routes_only_those_over_meant_links_are_kept() -> None:
    """A node that routes the Internet has a million; a network may name one of its interfaces."""
    hop = messages.word(RTA_OIF, 2)
    both = messages.attribute(RTA_MULTIPATH, next_hop(2) + next_hop(3))
    bodies = {
        nl.RTM_GETLINK: [a_link(2, "uplink"), a_link(3, "spare")],
        nl.RTM_GETADDR: [],
        nl.RTM_GETROUTE: [*[a_route(number, hop) for number in range(CROWD)], a_route(7, both)],
    }

    present = snapshots.take(Dumps(bodies), is_meant=lambda link: link.name == "spare")

    assert [(link.name, len(link.routes)) for link in present] == [("uplink", 1), ("spare", 1)]


def test_of_default_routes_by_a_router_only_those_of_the_host_count() -> None:
    by_router = messages.route(
        socket.AF_INET6, 0, messages.word(RTA_OIF, 2), type=1, protocol=RTPROT_RA
    )
    configured = messages.route(socket.AF_INET, 0, messages.word(RTA_OIF, 3), type=1, protocol=3)
    bodies = {
        nl.RTM_GETLINK: [a_link(2, "net1"), a_link(3, "net2")],
        nl.RTM_GETADDR: [],
        nl.RTM_GETROUTE: [by_router, configured],
    }

    in_pod = snapshots.take(Dumps(bodies), is_bounded=True)
    on_host = snapshots.take(Dumps(bodies), is_meant=lambda _: True)

    assert [link.has_default_route for link in in_pod] == [False, True]
    assert [link.has_default_route for link in on_host] == [True, True]


def test_a_meant_link_with_more_routes_than_can_be_put_back_is_refused() -> None:
    hop = messages.word(RTA_OIF, 2)
    routes = [a_route(number, hop) for number in range((1 << 16) + CROWD)]
    bodies = {nl.RTM_GETLINK: [a_link(2, "uplink")], nl.RTM_GETADDR: [], nl.RTM_GETROUTE: routes}

    with pytest.raises(KernelError, match="cannot list the routes: there are more than 65536"):
        snapshots.take(Dumps(bodies), is_meant=lambda _: True)


def next_hop(index: int) -> bytes:
    return struct.pack("=HBBI", 8, 0, 0, index)


def a_route(number: int, *parts: bytes) -> bytes:
    target = messages.attribute(RTA_DST, bytes([10, number >> 16, number >> 8 & 255, number & 255]))
    return messages.route(socket.AF_INET, 32, target, *parts, type=1, protocol=3)
