"""Which routes of a lease are taken: what the document says of default and other routes."""

from dataclasses import replace

from sriovbond.dhcp import holding
from sriovbond.dhcp.wish import DhcpWish
from tests.unit.dhcp.test_files import LEASE

GATEWAY = "192.0.2.1"


def test_without_a_gateway_a_default_route_in_parts_is_not_taken_either() -> None:
    networks = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8")
    lease = replace(LEASE, routes=tuple((network, GATEWAY) for network in networks))

    rows = holding.routes_of(DhcpWish("01aa", auto_gateway=False), lease)

    assert [row.network for row in rows if row.gateway == GATEWAY] == ["10.0.0.0/8"]
