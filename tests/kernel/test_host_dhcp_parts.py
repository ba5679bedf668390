"""What of a lease cannot be done is left out by itself; others' addresses stay."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sriovbond.dhcp import files, holding
from sriovbond.dhcp.client import DhcpClient
from sriovbond.dhcp.files import ClientFiles
from sriovbond.dhcp.lease import DEFAULT, ON_LINK, DhcpLease
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import KernelError
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import NetlinkRequest
from tests.support import dhcp
from tests.support.dhcp_clients import LeasedNode, a_leased_node
from tests.support.sites import NodeUnderTest, a_node_with_wires, wait_until

WISH = DhcpWish("01aa")
LEASE = DhcpLease("192.0.2.100", 24, "192.0.2.1", 3600, 1800, 3000, 0.0, "boot", 0.0)
ROUTES = (("10.0.0.0/8", "192.0.2.7"), (DEFAULT, "192.0.2.9"))
LEFT_S = 3000
PROMOTING = "ipv4/conf/eth1/promote_secondaries"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def put(node: NodeUnderTest, lease: DhcpLease, wish: DhcpWish = WISH) -> dict[str, str]:
    link = node.site.link("eth1")
    holding.put_address(node.site.netlink, link, wish, lease, LEFT_S)
    refused = holding.put_routes(node.site.netlink, link, wish, lease)
    return {row.network: text for row, text in refused.items()}


def addresses(node: NodeUnderTest) -> list[str]:
    rows = node.pod.ip("-j -4 address show dev eth1")[0]["addr_info"]
    return [f"{row['local']}/{row['prefixlen']}" for row in rows]


def routes(node: NodeUnderTest, which: str = "table main proto dhcp") -> list[tuple[str, int]]:
    rows = node.pod.ip(f"-j -4 route show dev eth1 {which}")
    return sorted((row["dst"], row.get("metric", 0)) for row in rows)


def test_a_route_that_the_kernel_refuses_keeps_no_other_part_out(node: NodeUnderTest) -> None:
    put(node, replace(LEASE, address="192.0.2.50"))
    node.ip("route add default via 192.0.2.9 dev eth1 metric 30")
    bad = ("172.16.0.0/12", "192.0.2.255")

    refused = put(node, replace(LEASE, routes=(bad, *ROUTES)), replace(WISH, auto_route_metric=30))

    assert refused.keys() == {"172.16.0.0/12", DEFAULT}
    assert "add the leased route to 172.16.0.0/12 over eth1" in refused["172.16.0.0/12"]
    assert addresses(node) == ["192.0.2.100/24"]
    assert routes(node) == [("10.0.0.0/8", 30)]


def test_another_metric_is_that_of_all_routes(node: NodeUnderTest) -> None:
    lease = replace(LEASE, routes=ROUTES)
    put(node, lease)
    before = routes(node)
    put(node, lease, replace(WISH, auto_route_metric=7))
    after = routes(node)
    node.sent.clear()
    put(node, lease, replace(WISH, auto_route_metric=7))

    assert before == [("10.0.0.0/8", 100), ("default", 100)]
    assert after == [("10.0.0.0/8", 7), ("default", 7)]
    assert node.sent == ["RTM_NEWADDR: put the leased address 192.0.2.100/24 on eth1"]


def test_another_table_has_the_network_of_an_address_that_is_there(node: NodeUnderTest) -> None:
    elsewhere = replace(WISH, auto_route_table_id=77)
    put(node, LEASE)
    put(node, LEASE, elsewhere)
    moved = routes(node, "table main"), routes(node, "table 77")
    put(node, LEASE)

    assert moved == ([], [("192.0.2.0/24", 100)])
    assert routes(node, "table main") == [("192.0.2.0/24", 0)]
    assert routes(node, "table 77") == []


def test_the_port_of_a_vrf_has_its_routes_in_the_table_of_the_vrf(node: NodeUnderTest) -> None:
    lease = replace(LEASE, routes=ROUTES)
    put(node, lease)
    node.ip("link add red type vrf table 66")
    node.ip("link set red up")
    node.ip("link set eth1 master red")

    put(node, lease)

    link = node.site.link("eth1")
    assert routes(node, "table main") == []
    assert [name for name, _ in routes(node, "table 66 proto dhcp")] == [
        "10.0.0.0/8",
        "192.0.2.0/24",
        "default",
    ]
    assert holding.is_whole(node.site.netlink, link, WISH, lease)


def test_addresses_of_others_stay_when_a_lease_gives_another_one(node: NodeUnderTest) -> None:
    node.site.node.set_sysctls({PROMOTING: "0"})
    put(node, replace(LEASE, address="192.0.2.50"))
    node.ip("address add 192.0.2.60/24 dev eth1")

    put(node, LEASE)
    changed = addresses(node)
    holding.take_off(node.site.netlink, node.site.link("eth1"))

    assert sorted(changed) == ["192.0.2.100/24", "192.0.2.60/24"]
    assert addresses(node) == ["192.0.2.60/24"]
    assert node.site.node.sysctl(PROMOTING) == "0"


@contextmanager
def at_work(leased: LeasedNode) -> Iterator[threading.Thread]:
    """Have a client at work in this process, on eth1."""
    files.write(leased.node.host, ClientFiles("eth1", WISH))
    stop, pen = socket.socketpair()
    client = DhcpClient(leased.node.host, "eth1", leased.node.site.netlink)

    def work() -> None:
        with ExitStack() as stack:
            leased.node.site.node.run(lambda: client.work(stop, stack))

    worker = threading.Thread(target=work)
    with stop, pen:
        worker.start()
        yield worker
        pen.send(b"\0")
        worker.join()


def test_a_kernel_that_does_not_answer_for_a_while_ends_no_client(leased: LeasedNode) -> None:
    refusals = ["a", "b"]

    def refuse(request: NetlinkRequest) -> None:
        if request.type == nl.RTM_GETLINK and refusals:
            refusals.pop()
            raise KernelError(f"cannot {request.doing}: EAGAIN", errno.EAGAIN)

    nl.taps.append(refuse)
    try:
        with dhcp.server(leased.far, "far1"), at_work(leased) as worker:
            wait_until(lambda: leased.status().is_leased or not worker.is_alive())
            is_leased = leased.status().is_leased
    finally:
        nl.taps.remove(refuse)

    assert (refusals, is_leased) == ([], True)
    assert ON_LINK not in leased.routes().values()
