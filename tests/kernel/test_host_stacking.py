"""What documents are refused for is what the kernel refuses: each rule beside its answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.nodenet import document, gateways, monitoring, stacking
from sriovbond.nodenet.document import DocumentError
from tests.support.sites import NodeUnderTest, a_node_with_wires

BOND = "link add bond0 type bond mode active-backup miimon 100"
_NO_PRIO = "drops a port's priority without a word"
_CRASHES_AT_ITS_END = "crashes at the end of a namespace with a bond that has refused a VRF"


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
        pytest.param(
            [
                "link add bond0 type bond mode 802.3ad",
                "link set eth1 down",
                "link set eth1 master bond0",
            ],
            "link set eth1 type bond_slave prio 3",
            "{name: bond0, bond: {ports-config: [{name: eth1, priority: 3}]}}",
            marks=pytest.mark.kernel_from("6.0", _NO_PRIO),
        ),
        (
            ["link add red type vrf table 7"],
            "link set lo master red",
            "{name: red, type: vrf, vrf: {port: [lo]}}",
        ),
        (
            ["link add red type vrf table 7", "link add blue type vrf table 8"],
            "link set red master blue",
            "{name: blue, type: vrf, vrf: {port: [red]}}",
        ),
        (
            ["link add red type vrf table 7", "link add br0 type bridge"],
            "link set red master br0",
            "{name: br0, type: linux-bridge, bridge: {port: [{name: red}]}}",
        ),
        pytest.param(
            ["link add red type vrf table 7", BOND],
            "link set red master bond0",
            "{name: bond0, bond: {port: [red]}}",
            marks=pytest.mark.kernel_from("6.1", _CRASHES_AT_ITS_END),
        ),
        (
            ["link add red type vrf table 7"],
            "link add v7 link red type vlan id 7",
            "{name: v7, type: vlan, vlan: {base-iface: red, id: 7}}",
        ),
        (
            ["link add red type vrf table 7"],
            "link add mv link red type macvlan",
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: red, mode: vepa}}",
        ),
        (
            [],
            "link add v7 link lo type vlan id 7",
            "{name: v7, type: vlan, vlan: {base-iface: lo, id: 7}}",
        ),
        (
            [],
            "link add mv link lo type macvlan",
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: lo, mode: vepa}}",
        ),
        (
            ["link add m1 link eth1 type macvlan mode vepa"],
            "link add mv link eth1 type macvlan mode passthru",
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: eth1, mode: passthru}}",
        ),
        (
            ["link add m1 link eth1 type macvlan mode passthru"],
            "link add mv link eth1 type macvlan mode vepa",
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: eth1, mode: vepa}}",
        ),
        (
            ["link property add dev eth1 altname lan"],
            "link add lan type dummy",
            "{name: lan, type: dummy}",
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
    ("refused", "bridge"),
    [
        ("link set eth1 type bridge_slave priority 64", "port: [{name: eth1, stp-priority: 64}]"),
        (
            "link set eth1 type bridge_slave cost 65536",
            "port: [{name: eth1, stp-path-cost: 65536}]",
        ),
        ("link set br0 type bridge group_fwd_mask 4", "options: {group-forward-mask: 4}"),
        ("link set br0 type bridge vlan_default_pvid 4095", "options: {vlan-default-pvid: 4095}"),
    ],
)
def test_the_kernel_refuses_a_value_that_is_refused_of_a_bridge(
    node: NodeUnderTest, refused: str, bridge: str
) -> None:
    node.ip("link add br0 type bridge", "link set eth1 master br0")

    with pytest.raises(DocumentError):
        document.read(f"interfaces: [{{name: br0, type: linux-bridge, bridge: {{{bridge}}}}}]")

    assert node.pod.run("ip", *refused.split()).returncode != 0


def test_the_kernel_puts_a_macvlan_elsewhere_than_on_a_macvlan(node: NodeUnderTest) -> None:
    node.ip("link add m1 link eth1 type macvlan", "link add m2 link m1 type macvlan")
    wish = "{name: m3, type: mac-vlan, mac-vlan: {base-iface: m1, mode: vepa}}"

    assert {link.label: link.base for link in node.read().interfaces or ()}["m2"] == "eth1"
    assert _complaints(node, f"interfaces: [{wish}]")


@pytest.mark.parametrize(
    ("upper", "stays"),
    [
        ("type gre local 192.0.2.9 remote 192.0.2.8 dev bond0", "x0"),
        ("type ipip local 192.0.2.9 remote 192.0.2.8 dev bond0", "x0"),
        ("type sit local 192.0.2.9 remote 192.0.2.8 dev bond0", "x0"),
        ("type vti local 192.0.2.9 remote 192.0.2.8 dev bond0 key 1", "x0"),
        ("type ip6tnl local 2001:db8::9 remote 2001:db8::8 dev bond0", "x0"),
        ("type ip6gre local 2001:db8::9 remote 2001:db8::8 dev bond0", "x0"),
        ("type gretap local 192.0.2.9 remote 192.0.2.8 dev bond0", "x0"),
        ("type ip6gretap local 2001:db8::9 remote 2001:db8::8 dev bond0", "x0"),
        ("type vti6 local 2001:db8::9 remote 2001:db8::8 dev bond0 key 1", "x0"),
        (
            (
                "type erspan local 192.0.2.9 remote 192.0.2.8 dev bond0 seq key 1"
                " erspan_ver 1 erspan 9"
            ),
            "x0",
        ),
        (
            (
                "type ip6erspan local 2001:db8::9 remote 2001:db8::8 dev bond0 seq key 1"
                " erspan_ver 1 erspan 9"
            ),
            "x0",
        ),
        ("type vxlan id 9 dev bond0 dstport 4789", ""),
        ("link bond0 type macsec", ""),
        ("link bond0 type ipvlan", ""),
    ],
)
def test_an_interface_that_goes_with_a_bond_keeps_it_from_being_removed(
    node: NodeUnderTest, upper: str, stays: str
) -> None:
    above, kind = upper.split(" type ") if upper.startswith("link") else ("", upper[5:])
    node.ip(BOND, f"link add {above} name x0 type {kind}")
    complaints = _complaints(node, "interfaces: [{name: bond0, state: absent}]")

    node.ip("link delete bond0")

    assert bool(node.site.find("x0")) == bool(stays)
    assert bool(complaints) != bool(stays)


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
