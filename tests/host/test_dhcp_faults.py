"""A lease that a server no longer gives, or refuses, is taken off; another one is asked for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import dhcp
from tests.support.dhcp_clients import LeasedNode, a_leased_node


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def test_a_server_that_is_gone_takes_the_address_in_time_and_gives_one_when_it_is_back(
    leased: LeasedNode,
) -> None:
    with dhcp.server(leased.far, "far1", lease_s=10):
        leased.start()
        leased.await_lease()
        (first,) = leased.addresses()
    leased.await_status(lambda status: not status.is_holding)
    gone = leased.addresses(), leased.routes()
    with dhcp.server(leased.far, "far1", lease_s=10):
        leased.await_lease()

    assert gone == ([], {})
    assert leased.addresses() == [first]


def test_a_server_that_refuses_ends_the_lease_at_once(leased: LeasedNode) -> None:
    with dhcp.server(leased.far, "far1"):
        leased.start()
        leased.await_lease()
        (first,) = leased.addresses()
    leased.node.ip("link set wire1 down")
    leased.await_status(lambda status: not status.has_carrier)
    with dhcp.server(
        leased.far, "far1", "start 192.0.2.105", "static_lease 02:00:00:00:00:01 192.0.2.108"
    ):
        leased.node.ip("link set wire1 up")
        leased.await_status(lambda status: "192.0.2.108" in status.note)

    assert first != "192.0.2.108/24"
    assert leased.addresses() == ["192.0.2.108/24"]
