"""What cannot stand on what is refused by name, and the nearest that can be is not."""

import pytest

from sriovbond.nodenet import stacking
from tests.unit.nodenet.states import joined, steps

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up}
- {name: eth2, type: ethernet, state: up, controller: bond0}
- {name: eth3, type: ethernet, state: down}
- {name: eth4, type: ethernet, state: up, alt-names: [{name: wan}, {name: lan}]}
- {name: bond0, type: bond, state: up, link-aggregation: {mode: active-backup, port: [eth2]}}
- {name: bond0.7, type: vlan, state: up, vlan: {base-iface: bond0, id: 7, protocol: 802.1q}}
- {name: br0, type: linux-bridge, state: up, bridge: {port: [{name: bond0.7}]}}
- {name: mv4, type: mac-vlan, state: up, mac-vlan: {base-iface: eth4, mode: bridge}}
- {name: red, type: vrf, state: up, vrf: {route-table-id: 7, port: []}}
- {name: va, type: veth, state: up, veth: {peer: vb}}
- {name: vb, type: veth, state: up, veth: {peer: va}}
"""
BOND = "{name: bond1, type: bond, bond: {mode: 1, port: [%s]}}"
BRIDGE = "{name: br1, type: linux-bridge, bridge: {port: [{name: %s}]}}"
MACVLAN = "{name: mv, type: mac-vlan, mac-vlan: {base-iface: %s, mode: %s}}"
VLAN = "{name: v, type: vlan, vlan: {base-iface: %s, id: %d}}"
MOVED_NAME = (
    "{name: eth4, alt-names: [{name: wan, state: absent}]}, {name: eth1, alt-names: [{name: wan}]}"
)


def _refused(links: str) -> list[str]:
    return [row.text for row in stacking.judge(joined(f"interfaces: [{links}]", NODE))]


@pytest.mark.parametrize(
    ("links", "text"),
    [
        ("{name: eth1, alt-names: [{name: eth4}]}", "eth1: eth4 has the name eth4 already"),
        ("{name: eth1, alt-names: [{name: lan}]}", "eth1: eth4 has the name lan already"),
        (
            "{name: eth4, state: absent}, {name: eth1, alt-names: [{name: lan}]}",
            "eth1: eth4 has the name lan already",
        ),
        (BOND % "bond1", "bond1: it would be on itself"),
        (
            "{name: bond0, bond: {port: [eth2, bond0.7]}}",
            "bond0: it would be on itself, by bond0.7",
        ),
        (BOND % "bond0", "bond1: bond0 can be no port of it: a bond over bonds is not made here"),
        (
            BRIDGE % "br0",
            "br1: br0 can be no port of it: the kernel puts no bridge into a bridge",
        ),
        (BRIDGE % "lo", "br1: lo can be no port"),
        (BOND % "eth4", "bond1: mv4 is on eth4 and takes its frames, so that it can be no port"),
        (
            "{name: mv, type: mac-vlan, mac-vlan: {base-iface: eth2, mode: vepa}}",
            "mv: eth2 is a port of bond0, which gets its frames: put it on bond0",
        ),
        (
            VLAN % ("bond0", 7),
            "v: VLAN 7 of bond0 is bond0.7: let it be absent in this document",
        ),
        (
            VLAN % ("eth1", 7) + ", {name: eth1, state: down}",
            "v: eth1, which it is on, is down: a VLAN comes up on what is up",
        ),
        ("{name: red, type: vrf, vrf: {port: [lo]}}", "red: lo can be no port"),
        (
            "{name: blue, type: vrf, vrf: {route-table-id: 8, port: [red]}}",
            "blue: red can be no port of it: the kernel puts no VRF into a VRF",
        ),
        (BOND % "red", "bond1: red is a VRF, which can be no port of it"),
        (VLAN % ("red", 7), "v: red, which it is on, takes no VLAN and no MACVLAN"),
        (VLAN % ("lo", 7), "v: lo, which it is on, takes no VLAN and no MACVLAN"),
        (
            MACVLAN % ("mv4", "bridge"),
            "mv: the kernel puts a MACVLAN on a MACVLAN on eth4, which that is on: name eth4",
        ),
        (
            MACVLAN % ("eth4", "passthru"),
            "mv: mv4 is on eth4, too, and a MACVLAN in mode passthru is alone on it",
        ),
        ("{name: lan, type: dummy}", "lan: eth4 has the name lan already"),
        (
            "{name: vc, type: veth, veth: {peer: eth1}}",
            "vc: its peer eth1 is there already: veth are made in pairs",
        ),
    ],
)
def test_a_stack_that_the_kernel_refuses_is_refused_by_name(links: str, text: str) -> None:
    assert _refused(links) == [text]


@pytest.mark.parametrize(
    "links",
    [
        NODE.removeprefix("interfaces:\n").replace("\n- ", ", ").removeprefix("- ").strip(),
        BOND % "eth1, eth2",
        BRIDGE % "bond0",
        BRIDGE % "mv4",
        "{name: red, type: vrf, vrf: {port: [eth4]}}",
        "{name: mv4, state: absent}, " + VLAN % ("eth4", 7),
        "{name: mv, type: mac-vlan, mac-vlan: {base-iface: bond0, mode: vepa}}",
        MACVLAN % ("eth4", "vepa"),
        MACVLAN % ("eth1", "passthru"),
        "{name: lan, type: dummy}, {name: eth4, alt-names: [{name: lan, state: absent}]}",
        VLAN % ("bond0", 8),
        VLAN % ("eth1", 7),
        "{name: bond0.7, state: absent}, " + VLAN % ("bond0", 7),
        "{name: v, type: vlan, vlan: {base-iface: bond0, id: 7, protocol: 802.1ad}}",
        "{name: v, type: vlan, vlan: {base-iface: eth3, id: 7, loose-binding: true}}",
        "{name: v, type: vlan, state: down, vlan: {base-iface: eth3, id: 7}}",
        VLAN % ("eth3", 7),
        VLAN % ("eth3", 7) + ", {name: eth3, state: up}",
        "{name: vc, type: veth, veth: {peer: vd}}, {name: vd, type: veth, veth: {peer: vc}}",
        "{name: bond0.7, vlan: {base-iface: bond0, id: 7}}",
        "{name: bond0, state: absent}",
        "{name: eth1, alt-names: [{name: eth1-1}, {name: eth4, state: absent}]}",
        "{name: mv4, state: absent}, " + BOND % "eth4",
        MOVED_NAME,
    ],
)
def test_a_stack_that_can_be_is_not_refused(links: str) -> None:
    assert _refused(links) == []


def test_an_altname_that_moves_is_taken_off_before_another_gets_it() -> None:
    loses = "{name: eth4, alt-names: [{name: lan, state: absent}, {name: x}]}"
    gets = "{name: new, type: dummy, alt-names: [{name: lan}]}"

    assert steps(f"interfaces: [{gets}, {loses}]", NODE) == [
        "eth4: set alt-names (name lan, state absent), now (name wan) (name lan)",
        "new: make it, type dummy",
        "new: set alt-names (name lan)",
        "eth4: set alt-names (name x), now (name wan) (name lan)",
        "new: set it up",
    ]


def test_an_altname_is_taken_off_before_an_interface_of_that_name_is_made() -> None:
    loses = "{name: eth4, alt-names: [{name: lan, state: absent}]}"

    assert steps(f"interfaces: [{{name: lan, type: dummy}}, {loses}]", NODE) == [
        "eth4: set alt-names (name lan, state absent), now (name wan) (name lan)",
        "lan: make it, type dummy",
        "lan: set it up",
    ]


def test_a_vlan_goes_before_another_is_made_in_its_place() -> None:
    desired = f"interfaces: [{VLAN % ('bond0', 7)}, {{name: bond0.7, state: absent}}]"

    assert steps(desired, NODE) == [
        "bond0.7: remove it",
        "v: make it, type vlan",
        "v: set vlan.base-iface bond0",
        "v: set vlan.id 7",
        "v: set it up",
    ]


def test_a_primary_that_is_made_when_ports_have_left_is_set_afterwards() -> None:
    bond = "{name: bond0, bond: {options: {miimon: 50, primary: mv}, port: [mv]}}"
    desired = f"{bond}, {MACVLAN % ('eth2', 'vepa')}"

    assert steps(f"interfaces: [{desired}]", NODE) == [
        "bond0: set link-aggregation.options.miimon 50, now nothing",
        "bond0: release port eth2",
        "mv: make it, type mac-vlan",
        "mv: set mac-vlan.base-iface eth2",
        "mv: set mac-vlan.mode vepa",
        "bond0: set link-aggregation.options.primary mv, now nothing",
        "eth2: set it up",
        "bond0: add port mv",
        "mv: set it up",
    ]


def test_a_macvlan_goes_before_its_base_becomes_a_port() -> None:
    lines = steps("interfaces: [{name: mv4, state: absent}, " + BRIDGE % "eth4" + "]", NODE)

    assert lines.index("mv4: remove it") < lines.index("br1: add port eth4")
