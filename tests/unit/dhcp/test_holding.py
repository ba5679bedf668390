"""Which routes of a lease are taken: what the document says of default and other routes."""

from dataclasses import replace

import pytest

from sriovbond.dhcp import holding
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.kernel import carried, links, netns
from sriovbond.kernel.messages import RouteMessage
from sriovbond.kernel.netlink import Netlink
from tests.unit.dhcp.test_files import LEASE

GATEWAY = "192.0.2.1"


def test_without_a_gateway_a_default_route_in_parts_is_not_taken_either() -> None:
    networks = ("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8")
    lease = replace(LEASE, routes=tuple((network, GATEWAY) for network in networks))

    rows = holding.routes_of(DhcpWish("01aa", auto_gateway=False), lease)

    assert [row.network for row in rows if row.gateway == GATEWAY] == ["10.0.0.0/8"]


def test_of_a_nodes_routes_those_over_other_links_are_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node may have the Internet's, and a client has 128 MiB."""
    asked: list[list[int]] = []

    def note(_: Netlink, *, over: list[int]) -> list[RouteMessage]:
        asked.append(over)
        return []

    # its memory would show only with more routes than a test can make
    monkeypatch.setattr(carried, "unicast_routes", note)
    with netns.own() as own:
        link = links.read(own.netlink, "lo")
        assert link is not None
        assert not holding.is_whole(own.netlink, link, DhcpWish("01aa"), LEASE)

    assert asked == [[link.index]]
