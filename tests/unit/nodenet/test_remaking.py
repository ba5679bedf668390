"""A VLAN that is to have another base, id or protocol is made anew with all that it had."""

from dataclasses import replace

import pytest

from sriovbond.nodenet import remaking, stacking
from sriovbond.nodenet.acts import AddRoute
from sriovbond.nodenet.model import Ipv4
from sriovbond.nodenet.steps import plan
from tests.unit.nodenet.states import joined, steps

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mtu: 1500, mac-address: 02:00:00:00:00:01}
- {name: eth2, type: ethernet, state: up, mtu: 1400, mac-address: 02:00:00:00:00:02}
- name: v7
  type: vlan
  state: up
  mtu: 1500
  mac-address: 02:00:00:00:00:01
  description: the seventh
  alt-names: [{name: seven}, {name: lucky}]
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  vlan: {base-iface: eth1, id: 7, protocol: 802.1q}
- {name: w8, type: vlan, state: up, mtu: 1400, vlan: {base-iface: eth1, id: 8, protocol: 802.1q}}
- {name: p9, type: vlan, state: up, controller: br0, vlan: {base-iface: eth1, id: 9}}
- {name: on.5, type: vlan, state: up, vlan: {base-iface: w8, id: 5}}
- name: br0
  type: linux-bridge
  state: up
  bridge: {port: [{name: p9, stp-path-cost: 5}, {name: vnet0}]}
- {name: vnet0, type: tun, state: ignore, controller: br0}
routes:
  config:
  - {destination: 198.51.100.0/24, next-hop-interface: v7, next-hop-address: 192.0.2.1}
  - {destination: 203.0.113.0/24, next-hop-interface: v7, next-hop-address: 192.0.2.1}
"""
WISH = "interfaces: [{{name: {}, type: vlan, vlan: {{{}}}}}]"


def _refused(desired: str, state: str = NODE) -> list[str]:
    both = joined(desired, state)
    remade = [pair for pair in both.pairs if remaking.is_remade(pair)]
    return [
        *(text for pair in remade for text in remaking.faults(pair, both)),
        *(row.text for row in stacking.judge(both)),
    ]


def test_another_id_keeps_addresses_routes_and_names() -> None:
    gone = "routes: {config: [{state: absent, destination: 203.0.113.0/24}]}"
    desired = WISH.format("v7", "id: 17") + f"\n{gone}\n"

    assert _refused(desired) == []
    assert steps(desired, NODE) == [
        "v7: remove it; it is made anew",
        "v7: make it, type vlan",
        "v7: set description the seventh",
        "v7: set alt-names (name seven) (name lucky)",
        "v7: set vlan.base-iface eth1",
        "v7: set vlan.id 17",
        "v7: set vlan.protocol 802.1q",
        "v7: set it up",
        "v7: set ipv4 enabled true, dhcp false, address 192.0.2.9/24",
        (
            "add route destination 198.51.100.0/24, next-hop-interface v7, "
            "next-hop-address 192.0.2.1"
        ),
    ]


def test_its_routes_are_new_ones_which_a_revert_removes_before_the_vlan() -> None:
    config = NODE[NODE.index("  config:") :]
    state = f"{NODE}{config.replace('config', 'running')}"

    planned = plan(joined(WISH.format("v7", "id: 17"), state))

    assert [step.former for step in planned if isinstance(step, AddRoute)] == [None, None]


def test_the_document_counts_before_the_present() -> None:
    desired = (
        "interfaces: [{name: v7, type: vlan, description: moved, mtu: 1300,"
        " alt-names: [{name: seven, state: absent}, {name: new}], ipv4: {enabled: false},"
        " vlan: {base-iface: eth2}}]"
    )

    lines = steps(desired, NODE)

    assert lines[1:7] == [
        "v7: make it, type vlan",
        "v7: set description moved",
        "v7: set alt-names (name lucky) (name new)",
        "v7: set mtu 1300",
        "v7: set vlan.base-iface eth2",
        "v7: set vlan.id 7",
    ]
    assert not [line for line in lines if "192.0.2" in line]


def test_a_port_of_a_bridge_is_one_again_with_its_settings() -> None:
    desired = WISH.format("p9", "protocol: 802.1ad")

    lines = steps(desired, NODE)

    assert lines[0] == "p9: remove it; it is made anew"
    assert "br0: add port p9" in lines
    assert "br0: configure port name p9, stp-path-cost 5" in lines


def test_two_vlans_may_change_places() -> None:
    state = NODE.replace(
        "- {name: on.5, type: vlan, state: up, vlan: {base-iface: w8, id: 5}}\n", ""
    )
    desired = (
        "interfaces: [{name: v7, type: vlan, vlan: {id: 8}}, {name: w8, type: vlan, vlan: {id: 7}}]"
    )

    assert _refused(desired, state) == []
    lines = [line for line in steps(desired, state) if "remove" in line or ".id" in line]
    assert lines == [
        "v7: remove it; it is made anew",
        "w8: remove it; it is made anew",
        "v7: set vlan.id 8",
        "w8: set vlan.id 7",
    ]


def test_a_new_vlan_may_have_the_place_of_one_that_changes() -> None:
    new = "{name: new, type: vlan, vlan: {base-iface: eth1, id: 7}}"
    desired = f"interfaces: [{new}, {{name: v7, type: vlan, vlan: {{id: 17}}}}]"

    assert _refused(desired) == []
    lines = steps(desired, NODE)
    assert lines.index("v7: remove it; it is made anew") < lines.index("new: make it, type vlan")


def test_a_client_of_dhcp_ends_with_a_vlan_and_begins_on_the_new_one() -> None:
    both = joined(WISH.format("v7", "id: 17"), NODE.replace("dhcp: false", "dhcp: true"))
    (pair,) = both.pairs
    assert pair.current is not None
    current = replace(pair.current, ipv4=Ipv4(enabled=True, dhcp=True, is_leased=True))
    pair = replace(pair, current=current)

    lines = [line for step in plan(replace(both, pairs=(pair,))) for line in step.lines]

    assert lines[:2] == [
        "v7: end DHCP, its lease is used no more",
        "v7: remove it; it is made anew",
    ]
    assert "v7: ask for an address by DHCP" in lines


@pytest.mark.parametrize(
    ("name", "vlan", "text"),
    [
        ("w8", "id: 18", "it has to be made anew, and on.5 is on it: remove that first"),
        ("v7", "base-iface: gone", "its base-iface gone is missing"),
        ("v7", "id: 8", "v7: VLAN 8 of eth1 is w8: let it be absent in this document"),
        ("v7", "base-iface: lo", "v7: lo, which it is on, takes no VLAN and no MACVLAN"),
    ],
)
def test_a_vlan_that_cannot_be_made_anew_is_refused(name: str, vlan: str, text: str) -> None:
    state = NODE.replace("interfaces:\n", "interfaces:\n- {name: lo, type: loopback, state: up}\n")

    assert _refused(WISH.format(name, vlan), state) == [text]


def test_the_source_of_a_route_over_another_interface_keeps_a_vlan() -> None:
    route = "  - {destination: 10.0.0.0/8, next-hop-interface: eth1, source: 192.0.2.9}\n"

    assert _refused(WISH.format("v7", "id: 17"), NODE + route) == [
        "it has to be made anew, and 192.0.2.9 is the source of a route over another one"
    ]


@pytest.mark.parametrize("vlan", ["id: 7", "base-iface: eth1, id: 7, protocol: 802.1q"])
def test_a_vlan_that_is_as_it_was_is_not_made_anew(vlan: str) -> None:
    assert steps(WISH.format("v7", vlan), NODE) == []


def test_a_vlan_of_a_state_without_a_protocol_is_of_8021q() -> None:
    state = NODE.replace(", protocol: 802.1q", "")

    assert steps(WISH.format("v7", "protocol: 802.1q"), state) == []
