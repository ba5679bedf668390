"""Links of the host that do not come home."""

from dataclasses import replace

from sriovbond import homecoming
from sriovbond.bond.links import Carried, Place
from sriovbond.errors import SriovbondError
from tests.support.builders import a_link, a_member, a_plan


def test_a_link_that_is_missing_on_the_host_is_a_loss_that_is_named() -> None:
    nic = a_member("ens3f2", Place.HOST, device="0000:fe:1f.7")
    veth = a_member("nosuchveth", Place.HOST, kind="veth")
    losses: list[SriovbondError] = []
    missing = "is missing on the host, and cannot be restored"

    homecoming.restore(a_plan([nic, veth, a_member("net1")]), losses.extend)

    assert [loss.message for loss in losses] == [
        f"ens3f2 (0000:fe:1f.7) {missing}: the kernel may return it later",
        f"nosuchveth {missing}: it went with the pod's namespace",
    ]


def test_a_route_by_router_advertisement_is_left_to_the_router() -> None:
    by_router = Carried("route default", "0a000000fe090001")
    own = Carried("route 2001:db8::/32", "0a200000fe030001")
    ipv4 = Carried("route default", "02000000fe090001")  # of a program that uses that protocol
    was = a_link("ens3f2", routes=(by_router, own, ipv4), addresses=(own,))

    left = homecoming.without_advertised(was)

    assert left.routes == (own, ipv4)
    assert replace(left, routes=was.routes) == was
