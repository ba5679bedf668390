"""What documents are refused for is what the kernel refuses: each rule beside its answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.nodenet import gateways, monitoring, stacking
from tests.support.sites import NodeUnderTest, a_node_with_wires

BOND = "link add bond0 type bond mode active-backup miimon 100"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("lines", "refused", "links"),
    [
        (
            ["link add br0 type bridge", "link add br1 type bridge"],
            "link set br0 master br1",
            "{name: br1, bridge: {port: [{name: br0}]}}",
        ),
        (
            [BOND, "link add bond0.7 link bond0 type vlan id 7"],
            "link set bond0.7 master bond0",
            "{name: bond0, bond: {port: [bond0.7]}}",
        ),
        (
            ["link add v7 link eth1 type vlan id 7"],
            "link add w7 link eth1 type vlan id 7",
            "{name: w7, type: vlan, vlan: {base-iface: eth1, id: 7}}",
        ),
        (
            ["link set eth1 down", "link add v7 link eth1 type vlan id 7"],
            "link set v7 up",
            "{name: v7, type: vlan, vlan: {base-iface: eth1, id: 7}}, {name: eth1, state: down}",
        ),
        (
            [BOND, "link set eth1 down", "link set eth1 master bond0"],
            "link add mv link eth1 type macvlan",
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: eth1, mode: vepa}}",
        ),
        (
            [BOND, "link add mv link eth1 type macvlan", "link set eth1 down"],
            "link set eth1 master bond0",
            "{name: bond0, bond: {port: [eth1]}}",
        ),
        (
            [],
            "link add mv mtu 9000 link eth1 type macvlan",
            "{name: mv, type: mac-vlan, mtu: 9000, mac-vlan: {base-iface: eth1, mode: vepa}}",
        ),
        (
            [],
            "link add v7 mtu 9000 link eth1 type vlan id 7",
            "{name: v7, type: vlan, mtu: 9000, vlan: {base-iface: eth1, id: 7}}",
        ),
        (
            [],
            "link add va type veth peer name eth1",
            "{name: va, type: veth, veth: {peer: eth1}}",
        ),
        (
            [BOND],
            "link set bond0 type bond lacp_rate fast",
            "{name: bond0, bond: {options: {lacp_rate: fast}}}",
        ),
        (
            ["link add br0 type bridge stp_state 1"],
            "link set br0 type bridge forward_delay 0",
            "{name: br0, bridge: {options: {stp: {forward-delay: 0}}}}",
        ),
        (
            ["link add br0 type bridge"],
            "address add ::1/128 dev br0",
            "{name: br0, ipv6: {enabled: true, address: [{ip: '::1', prefix-length: 128}]}}",
        ),
        (
            ["link add br0 type bridge"],
            "link add a-name-of-17-byte type bridge",
            "{name: a-name-of-17-byte, type: linux-bridge}",
        ),
        (
            ["link add bond0 type bond mode active-backup miimon 0"],
            "link set bond0 type bond updelay 100",
            "{name: bond0, bond: {options: {updelay: 100}}}",
        ),
        (
            ["link add bond0 type bond mode 802.3ad miimon 0"],
            "link set bond0 type bond updelay 100",
            "{name: bond0, bond: {options: {updelay: 100}}}",
        ),
        (
            [
                "link add bond0 type bond mode 802.3ad",
                "link set eth1 down",
                "link set eth1 master bond0",
            ],
            "link set eth1 type bond_slave prio 3",
            "{name: bond0, bond: {ports-config: [{name: eth1, priority: 3}]}}",
        ),
    ],
)
def test_the_kernel_refuses_it_as_the_document_is_refused(
    node: NodeUnderTest, lines: list[str], refused: str, links: str
) -> None:
    node.ip(*lines)

    assert _complaints(node, f"interfaces: [{links}]")

    assert node.pod.run("ip", *refused.split()).returncode != 0


@pytest.mark.parametrize(
    ("line", "links"),
    [
        (
            "link property add dev eth1 altname wan",
            (
                "{name: br0, type: linux-bridge, alt-names: [{name: wan}]},"
                " {name: eth1, alt-names: [{name: wan, state: absent}]}"
            ),
        ),
        (
            "link property add dev eth1 altname an-altname-of-28-bytes-is-one",
            (
                "{name: an-altname-of-28-bytes-is-one, mtu: 1400}, {name: br0, type: linux-bridge,"
                " bridge: {options: {stp: {enabled: false, forward-delay: 0}},"
                " port: [{name: an-altname-of-28-bytes-is-one}]}}"
            ),
        ),
        (
            "link add mv link eth1 type macvlan",
            (
                "{name: mv, type: mac-vlan, state: absent},"
                " {name: br0, type: linux-bridge, bridge: {port: [{name: eth1}]}}"
            ),
        ),
    ],
)
def test_it_is_applied_as_the_document_is_taken(node: NodeUnderTest, line: str, links: str) -> None:
    node.ip(line)

    assert node.apply(f"interfaces: [{links}]") == []


@pytest.mark.parametrize(
    "route",
    [
        "{destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 10.9.9.9}",
        "{destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 172.16.0.1}",
        (
            "{destination: '2001:db8:5::/48', next-hop-interface: eth1,"
            " next-hop-address: '2001:db8:78::1'}"
        ),
        "{destination: 10.0.0.0/8, next-hop-interface: eth2, next-hop-address: 203.0.113.1}",
        (
            "{destination: '2001:db8:5::/48', next-hop-interface: eth1,"
            " next-hop-address: '2001:db8:9::1'}"
        ),
        (
            "{destination: '2001:db8:5::/48', next-hop-interface: eth1,"
            " next-hop-address: '2001:db8::9'}"
        ),
    ],
)
def test_the_kernel_refuses_a_route_that_is_refused(node: NodeUnderTest, route: str) -> None:
    node.ip(
        "address add 192.0.2.9/24 dev eth1",
        "address add 2001:db8::9/64 dev eth1 nodad",
        "address add 203.0.113.9/24 dev eth2",
        "link set eth2 down",
        "route add 172.16.0.0/16 dev eth1 table 78",
        "route add 2001:db8:78::/64 dev eth1 table 78",
    )
    node.site.node.set_sysctls({f"ipv6/conf/eth1/{key}": "0" for key in ("accept_ra", "autoconf")})
    text = f"routes: {{config: [{route}]}}"

    assert _complaints(node, text)

    entry = {
        key.strip(): value.strip().strip("'")
        for key, _, value in (part.partition(": ") for part in route.strip("{}").split(","))
    }
    words = ["via", entry["next-hop-address"], "dev", entry["next-hop-interface"]]
    answer = node.pod.run("ip", "route", "add", entry["destination"], *words)
    assert answer.returncode != 0


def _complaints(node: NodeUnderTest, text: str) -> list[str]:
    joined = node.join(text)
    rules = (stacking, monitoring, gateways)
    return [
        row.text for rows in (joined.complaints, *(r.judge(joined) for r in rules)) for row in rows
    ]
