"""A document's route to the network of an address, beside the one that the kernel makes itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.nodenet import difference
from sriovbond.nodenet.acts import AddRoute
from sriovbond.nodenet.routing import NodeRoute
from sriovbond.nodenet.writer import to_yaml
from sriovbond.reshape import acting
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node_with_wires

EMPTY = "interfaces: [{name: eth1, state: up}]\n"
ADDRESS = """interfaces:
- name: eth1
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6:
    enabled: true
    dhcp: false
    autoconf: false
    addr-gen-mode: none
    address: [{ip: '2001:db8::9', prefix-length: 64}]
"""
ON_A_BRIDGE = f"""{ADDRESS.replace("name: eth1", "name: br0", 1)}  type: linux-bridge
  bridge: {{options: {{stp: {{enabled: false}}}}, port: [{{name: eth1}}]}}
"""
FOUR = "destination: 192.0.2.0/24, next-hop-interface: eth1"
SIX = "destination: '2001:db8::/64', next-hop-interface: eth1"
EQUAL = [
    FOUR,
    SIX,
    f"{FOUR}, metric: 0, table-id: 254",
    f"{FOUR}, next-hop-address: 0.0.0.0",
    f"{FOUR}, source: 192.0.2.9",
    f"{SIX}, metric: 256",
]
DIFFERING = [
    f"{FOUR}, metric: 50",
    f"{FOUR}, table-id: 77",
    f"{FOUR}, source: 192.0.2.10",
    f"{FOUR}, next-hop-address: 192.0.2.1",
    f"{FOUR}, advmss: 1200",
    FOUR.replace("eth1", "eth2"),
    "destination: 192.0.2.0/24, route-type: blackhole",
    f"{SIX}, metric: 1024",
    f"{SIX}, table-id: 77",
    f"{SIX}, metric: 256, source: '2001:db8::9'",
    f"{SIX}, metric: 256, next-hop-address: '2001:db8::1'",
    f"{SIX.replace('eth1', 'eth2')}, metric: 256",
]


pytestmark = pytest.mark.usefixtures("without_watchdog")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


def with_addresses(node: NodeUnderTest) -> None:
    node.ip(
        "address add 192.0.2.9/24 dev eth1",
        "address add 192.0.2.10/24 dev eth1",
        "address add 2001:db8::9/64 dev eth1 nodad",
    )


def with_route(row: str, interfaces: str = EMPTY) -> str:
    return f"{interfaces}routes: {{config: [{{{row}}}]}}\n"


@pytest.mark.parametrize("row", EQUAL)
def test_a_route_that_the_kernel_has_made_of_an_address_is_there(
    node: NodeUnderTest, row: str
) -> None:
    with_addresses(node)

    assert node.left(with_route(row)) == []


@pytest.mark.parametrize("row", EQUAL)
def test_a_route_that_comes_with_an_address_is_no_step_of_its_own(
    node: NodeUnderTest, row: str
) -> None:
    text = with_route(row, ADDRESS)

    assert not [line for line in node.left(text) if "route" in line]
    Changes(node, []).assert_reverted_whole(text)


@pytest.mark.parametrize("is_address_new", [False, True])
@pytest.mark.parametrize("row", DIFFERING)
def test_a_route_that_differs_from_the_kernels_is_made_and_reverted(
    node: NodeUnderTest, row: str, *, is_address_new: bool
) -> None:
    address = ADDRESS.replace("24}]", "24}, {ip: 192.0.2.10, prefix-length: 24}]")
    if not is_address_new:
        with_addresses(node)
    text = with_route(row, address if is_address_new else EMPTY)
    before, changes = node.settle(), Changes(node, [])

    changes.apply(text, is_waiting=True)
    forth = len(node.sent)
    assert node.is_quiet_on_repeat(text)
    changes.rollback()
    node.assert_is(before)

    for number in range(1, 1 if is_address_new else forth + 1):
        assert changes.kill_at(text, number)
        changes.rollback()
        node.assert_is(before)


@pytest.mark.parametrize(
    ("present", "row"),
    [
        ("default via 192.0.2.1 proto dhcp", "destination: 0.0.0.0/0, next-hop-address: 192.0.2.2"),
        (
            "default via fe80::1 dev eth1 proto ra",
            "destination: '::/0', next-hop-address: 'fe80::2'",
        ),
    ],
)
def test_a_route_takes_the_place_of_an_unconfigured_one(
    node: NodeUnderTest, present: str, row: str
) -> None:
    with_addresses(node)
    node.ip(f"route add {present}")
    text = with_route(f"{row}, next-hop-interface: eth1")

    Changes(node, []).assert_reverted_whole(text)


@pytest.mark.parametrize(("row", "gone"), [(FOUR, "ipv4"), (SIX, "ipv6")])
def test_a_route_whose_address_goes_is_made(node: NodeUnderTest, row: str, gone: str) -> None:
    with_addresses(node)
    other = "203.0.113.5" if gone == "ipv4" else "2001:db8:5::5"
    address = f"{{enabled: true, dhcp: false, address: [{{ip: '{other}', prefix-length: 24}}]}}"
    text = with_route(row, f"interfaces: [{{name: eth1, {gone}: {address}}}]\n")

    Changes(node, []).assert_reverted_whole(text)


def test_the_kernels_route_moves_with_its_address(node: NodeUnderTest) -> None:
    with_addresses(node)
    text = with_route(FOUR.replace("eth1", "br0"), ON_A_BRIDGE)

    Changes(node, []).assert_reverted_whole(text)


@pytest.mark.parametrize(
    "line",
    [
        "route replace 192.0.2.0/24 dev eth1 advmss 1000 proto static",
        "route replace 192.0.2.0/24 via 192.0.2.1 dev eth1 proto static",
        "route replace 2001:db8::/64 via fe80::5 dev eth1 proto static metric 256",
        "route del 192.0.2.0/24 dev eth1",
        "route del 2001:db8::/64 dev eth1",
    ],
)
@pytest.mark.parametrize("interfaces", ["interfaces: [{name: eth1, state: down}]", ON_A_BRIDGE])
def test_a_route_of_the_kernel_that_was_not_there_is_none_after_a_revert(
    node: NodeUnderTest, line: str, interfaces: str
) -> None:
    """It comes with the address, and another one may have been in its place."""
    with_addresses(node)
    node.ip(line)
    before, changes = node.settle(), Changes(node, [])
    changes.apply(interfaces, is_waiting=True)

    changes.rollback()

    node.assert_is(before)


def test_a_route_that_the_kernel_makes_meanwhile_is_there(node: NodeUnderTest) -> None:
    """As it does of the address of a lease, which no plan knows."""
    with_addresses(node)
    node.sent.clear()
    route = NodeRoute(destination="192.0.2.0/24", next_hop_interface="eth1")

    acting.carry_out(node.site, AddRoute(route))

    assert node.left(with_route(FOUR)) == []


IN_ITS_PLACE = [
    f"{FOUR}, source: 192.0.2.10",
    f"{FOUR}, next-hop-address: 192.0.2.1",
    FOUR.replace("eth1", "eth2"),
    f"{SIX}, metric: 256, next-hop-address: '2001:db8::1'",
]


@pytest.mark.parametrize("row", IN_ITS_PLACE)
def test_the_kernels_route_is_there_again_when_a_later_document_removes_the_one_in_its_place(
    node: NodeUnderTest, row: str
) -> None:
    with_addresses(node)
    text, absent = with_route(row), with_route(f"{row}, state: absent")
    before, changes = node.settle(), Changes(node, [])
    changes.apply(text)
    replaced = node.settle()

    changes.apply(absent, is_waiting=True)
    node.assert_is(before)
    assert node.is_quiet_on_repeat(absent)
    changes.rollback()

    node.assert_is(replaced)


@pytest.mark.parametrize("row", IN_ITS_PLACE)
def test_the_document_of_a_revert_brings_the_kernels_route_back(
    node: NodeUnderTest, row: str
) -> None:
    with_addresses(node)
    text = with_route(row)
    before, changes = node.settle(), Changes(node, [])
    back = to_yaml(difference.revert(node.join(text)))
    changes.apply(text)

    changes.apply(back)

    node.assert_is(before)
