from collections.abc import Iterator

import pytest

from sriovbond.kernel import ioctls, links
from sriovbond.kernel.messages import IFF_UP, IFLA_MTU
from sriovbond.kernel.netlink import Netlink

NOBODY = "no-such-link"


@pytest.fixture
def netlink() -> Iterator[Netlink]:
    with Netlink() as talk:
        yield talk


def test_an_ioctl_reports_the_same_as_rtnetlink(netlink: Netlink) -> None:
    told = links.read_all(netlink, "list the links")

    assert "lo" in [one.name for one in told]
    for one in told:
        assert ioctls.index(netlink, one.name) == one.index
        assert ioctls.name(netlink, one.index) == one.name
        assert ioctls.mtu(netlink, one.name) == one.number(IFLA_MTU)
        if len(one.mac) == len(ioctls.mac(netlink, one.name)):  # Ethernet, and the loopback
            assert ioctls.mac(netlink, one.name) == one.mac
        assert bool(ioctls.flags(netlink, one.name) & IFF_UP) == one.is_up


def test_nothing_is_reported_of_no_link(netlink: Netlink) -> None:
    assert ioctls.index(netlink, NOBODY) == 0
    assert ioctls.name(netlink, 2_000_000) == ""
    assert ioctls.flags(netlink, NOBODY) == 0
    assert ioctls.mtu(netlink, NOBODY) == 0
    assert ioctls.mac(netlink, NOBODY) == "00:00:00:00:00:00"
    assert (ioctls.driver(netlink, NOBODY), ioctls.bus_info(netlink, NOBODY)) == ("", "")
