"""A port that says itself which controller it has is put there, or taken out."""

import pytest

from sriovbond.nodenet.writer import to_yaml
from tests.unit.nodenet.states import changes, joined, steps, way_back

NODE = """\
interfaces:
- {name: bond0, type: bond, state: up, link-aggregation: {mode: active-backup, port: [eth1, eth2]}}
- {name: eth1, type: ethernet, state: up, controller: bond0}
- {name: eth2, type: ethernet, state: up, controller: bond0}
- name: br0
  type: linux-bridge
  state: up
  bridge: {port: [{name: eth4, vlan: {mode: access, tag: 7}}, {name: vnet0}]}
- {name: eth4, type: ethernet, state: up, controller: br0}
- {name: vnet0, type: tun, state: ignore, controller: br0}
- {name: vrf0, type: vrf, state: up, vrf: {route-table-id: 100, port: []}}
- {name: eth3, type: ethernet, state: up,
   ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}}
- {name: eth5, type: ethernet, state: up, controller: ovs0}
- {name: ovs0, type: ovs-interface, state: ignore}
"""


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (
            "{name: eth3, controller: bond0}",
            ["bond0: add port eth3 when eth1 is active, its addresses taken off"],
        ),
        ("{name: eth3, controller: br0}", ["br0: add port eth3, its addresses taken off"]),
        ("{name: eth3, controller: vrf0}", ["vrf0: add port eth3"]),
        ("{name: eth2, controller: ''}", ["bond0: release port eth2", "eth2: set it up"]),
        ("{name: eth4, controller: ''}", ["br0: release port eth4"]),
        ("{name: eth2, controller: br0}", ["br0: add port eth2, released from bond0"]),
        ("{name: eth2, controller: bond0}", []),
        ("{name: eth3, controller: ''}", []),
        ("{name: eth5, controller: ovs0}", []),
    ],
)
def test_a_port_comes_and_goes_by_its_controller(port: str, expected: list[str]) -> None:
    document = f"interfaces: [{port}]"

    assert steps(document, NODE) == expected
    assert (way_back(document, NODE) == "{}\n") == (not expected)


@pytest.mark.parametrize(
    ("owner", "port"),
    [
        ("{name: bond0, bond: {port: [eth1]}}", "eth2"),
        ("{name: bond0, bond: {ports-config: [{name: eth1}]}}", "eth2"),
        ("{name: br0, bridge: {port: []}}", "eth4"),
        ("{name: bond0, bond: {port: [eth1, eth2]}}", "eth2"),
        ("{name: red, vrf: {port: []}}", "eth6"),
    ],
)
def test_a_port_that_is_to_be_ignored_stays_where_it_is(owner: str, port: str) -> None:
    state = (
        f"{NODE}- {{name: red, type: vrf, state: up, vrf: {{route-table-id: 7, port: [eth6]}}}}\n"
        "- {name: eth6, type: ethernet, state: up, controller: red}\n"
    )
    document = f"interfaces: [{owner}, {{name: {port}, state: ignore}}]"

    assert joined(document, state).complaints == ()
    assert steps(document, state) == []
    assert changes(document, state) == "{}\n"


@pytest.mark.parametrize("wish", ["bond0, bond: {port: [eth1]}", "red, vrf: {port: []}"])
def test_a_port_of_another_type_stays_in_a_bond_or_vrf_that_does_not_list_it(wish: str) -> None:
    """What a state has as ignored is left where it is, as nmstate has it (inter_ifaces.rs)."""
    state = (
        "interfaces:\n"
        "- {name: bond0, type: bond, state: up, bond: {mode: active-backup, port: [eth1, ib0]}}\n"
        "- {name: eth1, type: ethernet, state: up, controller: bond0}\n"
        "- {name: ib0, type: infiniband, state: ignore, controller: bond0}\n"
        "- {name: red, type: vrf, state: up, vrf: {route-table-id: 7, port: [tun0]}}\n"
        "- {name: tun0, type: tun, state: ignore, controller: red}\n"
    )
    document = f"interfaces: [{{name: {wish}}}]"

    assert steps(document, state) == []
    assert changes(document, state) == "{}\n"
    assert way_back(document, state) == "{}\n"


@pytest.mark.parametrize(
    "link", ["{name: eth5, controller: ''}", "{name: br0, bridge: {port: [{name: eth5}]}}"]
)
def test_a_port_of_open_vswitch_is_not_taken_from_it(link: str) -> None:
    texts = [row.text for row in joined(f"interfaces: [{link}]", NODE).complaints]

    assert texts == [
        "eth5: it is a port of ovs0, of type ovs-interface: take it out by what made that"
    ]


def test_a_port_that_is_to_come_cannot_be_ignored() -> None:
    document = "interfaces: [{name: br0, bridge: {port: [{name: eth3}]}}, {name: eth3, state: %s}]"

    (complaint,) = joined(document % "ignore", NODE).complaints

    assert complaint.text == "br0: eth3, which is to be its port, is to be ignored"
    assert not joined(document % "up", NODE).complaints


def test_a_vrf_that_goes_leaves_its_ports_their_addresses() -> None:
    state = NODE.replace("port: []", "port: [eth3]")

    assert steps("interfaces: [{name: vrf0, state: absent}]", state) == [
        "vrf0: remove it; its ports eth3 stay"
    ]


def test_a_new_bond_has_the_ports_that_name_it() -> None:
    document = (
        "interfaces: [{name: bond1, type: bond, bond: {mode: 1}},"
        " {name: eth3, controller: bond1}, {name: eth4, controller: bond1}]"
    )

    assert steps(document, NODE) == [
        "bond1: make it, type bond, mac-address that of eth3",
        "bond1: set link-aggregation.mode active-backup",
        "bond1: set it up",
        "bond1: add port eth3, its addresses taken off",
        "bond1: add port eth4 when eth3 is active, released from br0",
    ]


def test_other_ports_of_a_controller_are_left_as_they_are() -> None:
    document = "interfaces: [{name: eth3, controller: br0}, {name: eth1, controller: ''}]"

    assert [row.text for row in joined(document, NODE).complaints] == []
    assert "vlan" not in changes(document, NODE)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("br9", "eth3: its controller br9 is missing"),
        ("eth1", "eth3: its controller eth1 is of type ethernet, which has no ports"),
        ("eth3", "eth3: its controller eth3 is of type ethernet, which has no ports"),
        ("ovs0", "eth3: its controller ovs0 is of type ovs-interface, which has no ports here"),
    ],
)
def test_a_controller_that_can_have_no_port_is_refused(name: str, text: str) -> None:
    complaints = joined(f"interfaces: [{{name: eth3, controller: {name}}}]", NODE).complaints

    assert [row.text for row in complaints] == [text]


def test_a_port_of_a_vrf_that_is_there_may_have_addresses() -> None:
    addresses = "ipv4: {enabled: true, address: [{ip: 192.0.2.8, prefix-length: 24}]}"

    complaints = joined(f"interfaces: [{{name: eth3, controller: vrf0, {addresses}}}]", NODE)

    assert complaints.complaints == ()


def test_a_port_of_a_bridge_that_goes_is_refused() -> None:
    document = "interfaces: [{name: br0, state: absent}, {name: eth3, controller: br0}]"

    assert [row.text for row in joined(document, NODE).complaints] == [
        "eth3: its controller br0 is to be removed"
    ]


TWO_BONDS = """\
interfaces:
- {name: bond0, type: bond, state: up, link-aggregation: {mode: active-backup, port: [%s]}}
- {name: bond1, type: bond, state: up, link-aggregation: {mode: active-backup, port: [%s]}}
- {name: eth1, type: ethernet, state: up, controller: %s}
- {name: eth2, type: dummy, state: up, controller: %s}
- {name: eth3, type: ethernet, state: up, controller: %s}
- {name: eth4, type: ethernet, state: up, controller: %s}
"""
BEFORE = ("eth1, eth2", "eth4", "bond0", "bond0", "''", "bond1")
TO_BOND0 = "{name: eth3, type: ethernet, controller: bond0}"


@pytest.mark.parametrize(
    ("links", "after"),
    [
        (
            f"{{name: eth2, controller: bond1}}, {TO_BOND0}",
            ("eth1, eth3", "eth2, eth4", "bond0", "bond1", "bond0", "bond1"),
        ),
        (
            f"{{name: bond1, type: bond, bond: {{port: [eth2, eth4]}}}}, {TO_BOND0}",
            ("eth1, eth3", "eth2, eth4", "bond0", "bond1", "bond0", "bond1"),
        ),
        (
            f"{{name: eth2, controller: ''}}, {TO_BOND0}",
            ("eth1, eth3", "eth4", "bond0", "''", "bond0", "bond1"),
        ),
        (
            f"{{name: eth2, type: dummy, state: absent}}, {TO_BOND0}",
            ("eth1, eth3", "eth4", "bond0", "''", "bond0", "bond1"),
        ),
        (
            "{name: eth4, controller: bond0}, {name: eth2, controller: bond1}",
            ("eth1, eth4", "eth2", "bond0", "bond1", "''", "bond0"),
        ),
        (
            f"{{name: bond1, type: bond, state: absent}}, {TO_BOND0}",
            ("eth1, eth2, eth3", "", "bond0", "bond0", "bond0", "''"),
        ),
    ],
)
def test_a_port_that_moves_is_in_the_list_of_its_new_owner_alone(
    links: str, after: tuple[str, ...]
) -> None:
    asked = joined(f"interfaces: [{links}]", TWO_BONDS % BEFORE)
    state = TWO_BONDS % after
    lines = [row for row in state.splitlines() if "absent" not in links or row.find("''") < 0]
    if "bond1, type: bond, state: absent" in links:
        lines = [row for row in lines if "name: bond1" not in row]

    assert asked.complaints == ()
    assert steps(to_yaml(asked.desired), "\n".join(lines)) == []


def test_no_port_waits_for_one_that_has_left() -> None:
    text = "interfaces: [{name: eth4, controller: bond0}, {name: eth2, controller: bond1}]"

    assert "bond1: add port eth2, released from bond0" in steps(text, TWO_BONDS % BEFORE)
