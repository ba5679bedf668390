"""Which link stands for a PF: what no rig has, a NIC whose representors have its address."""

import struct

import pytest

from sriovbond.kernel import links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_IFNAME,
    IFLA_PARENT_DEV_NAME,
    IFLA_PHYS_PORT_NAME,
    IFLA_VFINFO_LIST,
)
from sriovbond.kernel.netlink import Netlink, Request

PF = "0000:01:00.0"


class Told(Netlink):
    """A kernel that tells of these links, whatever it is asked."""

    def __init__(self, *bodies: bytes) -> None:
        self._bodies = list(bodies)

    def get(self, request: Request) -> bytes:
        assert request.type == nl.RTM_GETLINK
        return self._bodies[0]

    def dump(self, request: Request) -> list[bytes]:
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
def test_no_representor_stands_for_a_pf(uplink: bytes, vfs: set[int]) -> None:
    for place in range(3):
        told = [a_link(3, "eth3", port("pf0vf0")), a_link(4, "eth4", port("pf0sf1"))]
        told.insert(place, uplink)

        found = links.of_devices(Told(*told), {PF: ("p0", "eth3", "eth4")}, vfs)

        assert (found[PF].name, found[PF].has_representors) == ("p0", True)


def test_of_a_pf_only_the_vfs_that_matter_are_read() -> None:
    found = links.of_devices(Told(UPLINKS["with VFs"]), {PF: ("p0",)}, {1})

    assert [(one.number, one.mac) for one in found[PF].vfs] == [(1, "02:00:00:00:00:01")]
