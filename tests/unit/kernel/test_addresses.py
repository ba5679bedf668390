"""The comparison of a result with thousands of routes, which must not burn the node's cores."""

import errno
import socket
from ipaddress import ip_address, ip_interface, ip_network

import pytest

from sriovbond.cni.result import CniResult, IpConfig, Route
from sriovbond.errors import KernelError
from sriovbond.kernel import addresses, carried, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    NEXT_HOP,
    RTA_DST,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PRIORITY,
    RTA_TABLE,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from tests.support.counting import counted_calls
from tests.support.dumps import Dumps

BOND, ANOTHER = 7, 8
MAIN = 254
BOOT = 3  # RTPROT_BOOT
GATEWAY = ip_address("192.0.2.1")
ZEROS = "0.0.0.0"  # noqa: S104 - no bind
ADDRESS = IpConfig(ip_interface("192.0.2.10/24"), GATEWAY)


def told(*routes: bytes) -> Netlink:
    """Return the socket of a namespace with these routes, and the tests' address on the bond."""
    local = messages.attribute(messages.IFA_LOCAL, ADDRESS.address.packed)
    address = messages.address(socket.AF_INET, 24, BOND, local)
    return Dumps({nl.RTM_GETROUTE: routes, nl.RTM_GETADDR: [address]})


def a_route(
    text: str, index: int = BOND, table: int = MAIN, metric: int = 0, protocol: int = BOOT
) -> bytes:
    network = ip_network(text)
    parts = [messages.word(RTA_OIF, index), messages.word(RTA_TABLE, table)]
    parts += [messages.word(RTA_PRIORITY, metric)] if metric else []
    if network.prefixlen:
        parts.append(messages.attribute(RTA_DST, network.network_address.packed))
    parts.append(messages.attribute(RTA_GATEWAY, GATEWAY.packed))
    return messages.route(socket.AF_INET, network.prefixlen, *parts, protocol=protocol, type=1)


def targets(count: int) -> list[str]:
    return [f"10.{number >> 8}.{number & 255}.0/24" for number in range(count)]


def result(*routes: Route) -> CniResult:
    return CniResult(ips=(ADDRESS,), routes=routes)


def calls_of(count: int, metric: int) -> int:
    """Return how many Python calls it takes to find as many routes."""
    texts = targets(count)
    namespace = told(*(a_route(text, metric=metric) for text in texts))
    expected = result(*(Route(ip_network(text), priority=metric or None) for text in texts))
    with counted_calls() as calls:
        found = addresses.differences(namespace, "bond0", BOND, expected)
    assert found == ()
    return calls["call"]


@pytest.mark.parametrize("metric", [0, 77])
def test_twice_as_many_routes_are_compared_in_twice_as_many_calls(metric: int) -> None:
    few, many = calls_of(100, metric), calls_of(200, metric)

    assert many < 2.2 * few


def test_each_missing_route_is_named() -> None:
    namespace = told(
        a_route("10.0.0.0/24"),
        a_route("10.0.1.0/24", ANOTHER),
        a_route("10.0.2.0/24", table=100),
        a_route("10.0.3.0/24", metric=7),
        a_route("10.0.3.0/24", metric=9),
    )
    expected = result(
        *(Route(ip_network(text)) for text in targets(3)),
        Route(ip_network("10.0.3.0/24"), priority=9),
        Route(ip_network("10.0.3.0/24"), priority=8),
        Route(ip_network("10.0.3.0/24"), gw=ip_address("192.0.2.9")),
    )

    found = addresses.differences(namespace, "bond0", BOND, expected)
    later = addresses.differences(namespace, "bond0", BOND, expected, may_change=True)

    assert found == tuple(
        f"bond0 is missing the route to {words}"
        for words in (
            "10.0.1.0/24 via 192.0.2.1",
            "10.0.2.0/24 via 192.0.2.1",
            "10.0.3.0/24 via 192.0.2.1 metric 8",
            "10.0.3.0/24 via 192.0.2.9",
        )
    )
    assert [words for words in found if words not in later] == [found[1]]  # of another table by now


def test_a_default_route_that_is_on_another_link_now_may_have_been_moved() -> None:
    namespace = told(a_route("0.0.0.0/0", ANOTHER))
    expected = result(Route(ip_network("0.0.0.0/0")), Route(ip_network("::/0")))

    found = addresses.differences(namespace, "bond0", BOND, expected, may_change=True)

    assert found == ("bond0 is missing the route to ::/0",)
    assert len(addresses.differences(namespace, "bond0", BOND, expected)) == 2


def test_a_default_route_by_another_gateway_may_be_that_of_the_annotation() -> None:
    """Multus' default-route for the bond's own network: netutils.SetDefaultGW."""
    other = ip_address("192.0.2.254")
    expected = result(Route(ip_network("0.0.0.0/0"), gw=other))
    with_mtu = result(Route(ip_network("0.0.0.0/0"), mtu=1400))
    by_annotation = told(a_route("0.0.0.0/0"))
    by_router = told(a_route("0.0.0.0/0", protocol=carried.OF_ROUTER))

    assert addresses.differences(by_annotation, "bond0", BOND, expected, may_change=True) == ()
    for namespace, requested in ((by_annotation, with_mtu), (by_router, expected)):
        assert addresses.differences(namespace, "bond0", BOND, requested, may_change=True)
    assert addresses.differences(by_annotation, "bond0", BOND, expected)


class Taking(Dumps):
    """A namespace that takes each route, and reports it as the kernel does."""

    def __init__(self) -> None:
        super().__init__({nl.RTM_GETROUTE: []})
        self.routes: list[messages.RouteMessage] = []

    def send(self, request: NetlinkRequest) -> None:
        if request.type == nl.RTM_NEWROUTE:
            self.routes.append(messages.read_route(request.body))


@pytest.mark.parametrize(
    ("by_address", "by_route"), [("192.0.2.1", ZEROS), (ZEROS, None), (ZEROS, ZEROS)]
)
def test_a_gateway_of_zeros_is_none(by_address: str, by_route: str | None) -> None:
    address = IpConfig(ip_interface("192.0.2.10/24"), ip_address(by_address))
    route = Route(ip_network("10.0.0.0/8"), gw=ip_address(by_route) if by_route else None)
    namespace = Taking()

    addresses.apply(namespace, "bond0", BOND, CniResult(ips=(address,), routes=(route,)))

    assert [taken.address(RTA_GATEWAY) for taken in namespace.routes] == [None]
    reported = told(*(taken.body for taken in namespace.routes))
    assert addresses.differences(reported, "bond0", BOND, CniResult((), (address,), (route,))) == ()


def a_joined_route(*hops: tuple[int, str]) -> bytes:
    """Return the kernel's answer for IPv6 default routes of one metric: without the later MTUs."""
    parts = b""
    for index, gateway in hops:
        by = messages.attribute(RTA_GATEWAY, ip_address(gateway).packed)
        parts += NEXT_HOP.pack(NEXT_HOP.size + len(by), 0, 0, index) + by
    multipath = messages.attribute(RTA_MULTIPATH, parts)
    table, metric = messages.word(RTA_TABLE, MAIN), messages.word(RTA_PRIORITY, 1024)
    return messages.route(socket.AF_INET6, 0, table, metric, multipath, type=1)


def test_the_mtu_of_a_route_that_the_kernel_has_joined_with_another_links_is_not_missing() -> None:
    namespace = told(a_joined_route((ANOTHER, "fd00:a::1"), (BOND, "fd00::1")))
    default = Route(ip_network("::/0"), gw=ip_address("fd00::1"), mtu=1400, advmss=1300)
    by_another = Route(ip_network("::/0"), gw=ip_address("fd00:a::1"))

    missing = addresses.differences(namespace, "bond0", BOND, result(default, by_another))

    assert missing == ("bond0 is missing the route to ::/0 via fd00:a::1",)


def test_routes_of_others_are_not_counted_and_too_many_to_one_target_are_an_error() -> None:
    others = [a_route(text, ANOTHER) for text in targets(6000)]
    alike = [a_route("10.0.0.0/24", metric=number) for number in range(6000)]
    expected = result(Route(ip_network("10.0.0.0/24")))

    assert addresses.differences(told(*others, alike[0]), "bond0", BOND, expected) == ()
    with pytest.raises(KernelError, match="more than"):
        addresses.differences(told(*alike), "bond0", BOND, expected)


class Advertised(Dumps):
    """A namespace where a router has given the bond the route that IPAM wants, by `protocol`."""

    def __init__(self, protocol: int) -> None:
        super().__init__({})
        self.protocol: int | None = protocol

    def send(self, request: NetlinkRequest) -> None:
        if request.type == nl.RTM_DELROUTE:
            if messages.read_route(request.body).protocol != self.protocol:
                raise KernelError("cannot", errno.ESRCH)
            self.protocol = None
        elif request.type == nl.RTM_NEWROUTE:
            if self.protocol is not None:
                raise KernelError("cannot: EEXIST", errno.EEXIST)
            self.protocol = messages.read_route(request.body).protocol


def test_a_route_that_a_router_has_advertised_meanwhile_makes_room_for_that_of_ipam() -> None:
    address = IpConfig(ip_interface("fd00::2/64"), ip_address("fe80::1"))
    leased = CniResult(ips=(address,), routes=(Route(ip_network("::/0")),))
    by_router, by_somebody = Advertised(carried.OF_ROUTER), Advertised(BOOT)

    addresses.apply(by_router, "bond0", BOND, leased)
    with pytest.raises(KernelError, match="EEXIST"):
        addresses.apply(by_somebody, "bond0", BOND, leased)

    assert by_router.protocol == BOOT
