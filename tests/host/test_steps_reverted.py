"""Steps of each kind are reverted: links made and removed, addresses, routes and rules."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.changes import Changes
from tests.support.sites import EVERY_KIND, NodeUnderTest, a_node_with_wires

LESS = """
interfaces:
- {name: va, type: veth, state: absent}
- {name: eth1, ipv4: {enabled: false}}
routes: {config: [{state: absent, destination: 203.0.113.0/24}]}
route-rules: {config: [{state: absent, priority: 900}, {state: absent, priority: 902}]}
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


def test_a_step_of_each_kind_is_reverted(node: NodeUnderTest) -> None:
    changes, before = Changes(node, []), node.settle()
    changes.apply(EVERY_KIND, is_waiting=True)

    changes.rollback()

    node.assert_is(before)


def test_removed_links_come_back_and_a_veth_with_its_peer(node: NodeUnderTest) -> None:
    assert node.apply(EVERY_KIND) == []
    changes, before = Changes(node, []), node.settle()
    changes.apply(LESS, is_waiting=True)

    changes.rollback()

    node.assert_is(before)


def test_a_new_veth_has_its_other_end_up_and_both_go_again(node: NodeUnderTest) -> None:
    changes, before = Changes(node, []), node.settle()
    links = "{name: vc, type: veth, veth: {peer: vd}}, {name: ve, type: ethernet}"
    changes.apply(
        f"interfaces: [{links}, {{name: vf, type: veth, veth: {{peer: ve}}}}]", is_waiting=True
    )
    assert all(node.site.link(name).is_up for name in ("vc", "vd", "ve", "vf"))

    changes.rollback()

    node.assert_is(before)


def test_a_bond_has_the_mac_that_its_fail_over_mac_lets_it_have(node: NodeUnderTest) -> None:
    mac, options = "02:00:00:00:00:99", "miimon: 100, fail_over_mac: %s"
    bond = f"bond: {{mode: 1, options: {{{options}}}, port: [eth1, eth2]}}"
    text = f"interfaces: [{{name: bond0, type: bond, mac-address: '{mac}', {bond}}}]"

    assert node.apply(text % "active") == []
    assert node.site.link("bond0").mac == "02:00:00:00:00:01"
    assert node.is_quiet_on_repeat(text % "active")

    assert node.apply(text % "none") == []
    assert node.site.link("bond0").mac == mac


def test_a_vlan_on_a_port_stays_up_when_the_port_leaves_its_bond(node: NodeUnderTest) -> None:
    bond = "{name: bond0, type: bond, bond: {mode: 1, options: {miimon: 100}, port: [eth1, eth2]}}"
    node.apply(f"interfaces: [{bond}]")
    node.ip(
        "link add v7 link eth1 type vlan id 7",
        "link set v7 up",
        "address add 203.0.113.9/24 dev v7",
        "route add 10.9.0.0/16 via 203.0.113.1",
    )

    assert node.apply("interfaces: [{name: bond0, bond: {port: [eth2]}}]") == []

    assert node.site.link("v7").is_up
    assert "10.9.0.0/16 via 203.0.113.1 dev v7" in node.pod.run("ip", "route").stdout
