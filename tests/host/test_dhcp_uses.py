"""What of a lease is used on a link: what is wished, all that the kernel takes, and it stays."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.dhcp.wish import DhcpWish
from tests.support import dhcp
from tests.support.dhcp_clients import MAC, OPTIONS, LeasedNode, a_leased_node
from tests.support.sites import wait_until

ID = "01" + MAC.hex()


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def test_parts_of_a_lease_that_are_not_wished_are_not_used(leased: LeasedNode) -> None:
    wish = DhcpWish(ID, auto_dns=False, auto_gateway=False, takes_mtu=False)
    further = replace(wish, auto_route_table_id=77, auto_route_metric=7)

    with dhcp.server(leased.far, "far1", *OPTIONS):
        leased.start(wish)
        leased.await_lease()
        routes, resolv_conf = leased.routes(), leased.resolv_conf
        leased.start(further)
        leased.await_lease()

    assert routes == {"10.0.0.0/8": "192.0.2.7"}
    assert resolv_conf == "# by hand\n"
    assert leased.routes() == {}
    assert leased.routes("77") == {"10.0.0.0/8": "192.0.2.7", "192.0.2.0/24": ""}
    assert leased.node.site.link("eth1").number(4) == 1500


@pytest.mark.parametrize("line", ["address flush dev eth1", "link set eth1 down"])
def test_a_part_of_a_lease_lost_for_a_moment_is_there_again(leased: LeasedNode, line: str) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS):
        leased.start()
        leased.await_lease()
        before = leased.addresses(), leased.routes()
        leased.node.ip(line, "link set eth1 up")
        wait_until(lambda: (leased.addresses(), leased.routes()) == before)

    assert (leased.addresses(), leased.routes()) == before


def test_a_route_that_the_kernel_refuses_is_named_and_hinders_no_other(leased: LeasedNode) -> None:
    leased.node.ip("route add 10.0.0.0/8 via 192.0.2.7 dev eth2 metric 5 onlink")
    wish = DhcpWish(ID, auto_route_metric=5)

    with dhcp.server(leased.far, "far1", *OPTIONS):
        leased.start(wish)
        status = leased.await_lease()

    assert "leased route to 10.0.0.0/8" in status.note
    assert leased.routes() == {"default": "192.0.2.9"}
    assert len(leased.addresses()) == 1
