"""A route over several ways (ECMP) is one of the kernel: ways come and go, the others stay."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node_with_wires

A, B, C = ("eth1", "192.0.2.1"), ("eth2", "198.51.100.1"), ("eth2", "198.51.100.2")
Ways = dict[tuple[str, str], int]


def way(destination: str, place: tuple[str, str], weight: int) -> str:
    interface, gateway = place
    return (
        f"{{destination: {destination}, next-hop-interface: {interface}, "
        f"next-hop-address: {gateway}, weight: {weight}}}"
    )


def absent(destination: str, gateway: str) -> str:
    return f"{{state: absent, destination: {destination}, next-hop-address: {gateway}}}"


CHANGES: dict[str, tuple[list[str], str, Ways]] = {
    "new": ([way("10.1.0.0/16", A, 1), way("10.1.0.0/16", B, 3)], "10.1.0.0/16", {A: 1, B: 3}),
    "one more": ([way("10.0.0.0/8", C, 2)], "10.0.0.0/8", {A: 1, B: 3, C: 2}),
    "another weight": ([way("10.0.0.0/8", B, 7)], "10.0.0.0/8", {A: 1, B: 7}),
    "the first less": ([absent("10.0.0.0/8", A[1])], "10.0.0.0/8", {B: 1}),
    "the last less": ([absent("10.0.0.0/8", B[1])], "10.0.0.0/8", {A: 1}),
    "all less": (["{state: absent, destination: 10.0.0.0/8}"], "10.0.0.0/8", {}),
    "one for another": (
        [absent("10.0.0.0/8", A[1]), way("10.0.0.0/8", C, 2)],
        "10.0.0.0/8",
        {B: 3, C: 2},
    ),
    "several for one": (
        [way("10.7.0.0/16", A, 1), way("10.7.0.0/16", C, 2)],
        "10.7.0.0/16",
        {A: 1, C: 2},
    ),
}


pytestmark = pytest.mark.usefixtures("without_watchdog")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        made.ip(
            "address add 192.0.2.9/24 dev eth1",
            "address add 198.51.100.9/24 dev eth2",
            f"route add 10.0.0.0/8 nexthop via {A[1]} weight 1 nexthop via {B[1]} weight 3",
            f"route add 10.7.0.0/16 via {A[1]}",
        )
        yield made


def ways(node: NodeUnderTest, destination: str) -> Ways:
    return {
        (hop["dev"], hop["gateway"]): hop.get("weight", 1)
        for row in node.pod.ip(f"-j route show {destination}")
        for hop in row.get("nexthops", [row])
    }


@pytest.mark.parametrize("name", CHANGES)
def test_ways_come_and_go_and_the_others_stay(node: NodeUnderTest, name: str) -> None:
    rows, destination, expected = CHANGES[name]
    text = f"routes: {{config: [{', '.join(rows)}]}}"
    changes, before = Changes(node, []), node.settle()

    changes.apply(text, is_waiting=True)
    forth = len(node.sent)
    assert ways(node, destination) == expected
    assert node.is_quiet_on_repeat(text)
    changes.rollback()
    node.assert_is(before)

    for number in range(1, forth + 1):
        assert changes.kill_at(text, number)
        changes.rollback()
        node.assert_is(before)


def test_routes_by_nexthop_objects_are_there_again_after_a_revert(node: NodeUnderTest) -> None:
    """A routing daemon's; the objects have ended with the link."""
    node.ip(
        "nexthop add id 7 via 192.0.2.1 dev eth1",
        "nexthop add id 8 via 192.0.2.2 dev eth1",
        "nexthop add id 9 group 7/8",
        "route add 10.2.0.0/16 proto bgp nhid 7",
        "route add 10.3.0.0/16 proto bgp nhid 9",
    )
    changes = Changes(node, [])
    changes.apply("interfaces: [{name: eth1, state: down}]", is_waiting=True)
    assert ways(node, "10.2.0.0/16") == ways(node, "10.3.0.0/16") == {}

    changes.rollback()

    assert ways(node, "10.2.0.0/16") == {A: 1}
    assert ways(node, "10.3.0.0/16") == {A: 1, ("eth1", "192.0.2.2"): 1}


@pytest.mark.parametrize("name", ["eth1", "eth2"])
def test_a_route_beside_another_of_its_metric_is_there_again_after_a_revert(
    node: NodeUnderTest, name: str
) -> None:
    """So systemd-networkd has the default routes of two interfaces with DHCP."""
    node.ip(
        f"route append default via {A[1]} dev eth1 proto dhcp metric 100",
        f"route append default via {B[1]} dev eth2 proto dhcp metric 100",
    )
    changes = Changes(node, [])
    changes.apply(f"interfaces: [{{name: {name}, state: down}}]", is_waiting=True)

    changes.rollback()

    assert {row["dev"] for row in node.pod.ip("-j route show default")} == {"eth1", "eth2"}
    assert len(node.pod.ip("-j route show default")) == 2
