"""What is on an interface: it goes with it, by name, and its MTU follows."""

import pytest
import yaml

from tests.unit.nodenet.states import changes, joined, steps, way_back

NODE = """\
interfaces:
- {name: bond0, type: bond, state: up, mtu: 1500, mac-address: 02:00:00:00:00:01,
   bond: {mode: active-backup, port: [eth1, eth2]}}
- {name: eth1, type: ethernet, state: up, mtu: 1500, max-mtu: 9216, controller: bond0,
   mac-address: 02:00:00:00:00:01, permanent-mac-address: 02:00:00:00:00:01}
- {name: eth2, type: ethernet, state: up, mtu: 1500, max-mtu: 9216, controller: bond0,
   mac-address: 02:00:00:00:00:01, permanent-mac-address: 02:00:00:00:00:02}
- {name: eth3, type: ethernet, state: up, mtu: 1500, max-mtu: 2000,
   mac-address: 02:00:00:00:00:03, permanent-mac-address: 02:00:00:00:00:0C}
- {name: v7, type: vlan, state: up, mtu: 1500, vlan: {base-iface: bond0, id: 7}}
- {name: m7, type: mac-vlan, state: up, mtu: 1500, mac-vlan: {base-iface: v7, mode: bridge}}
"""
GONE = "interfaces: [{name: bond0, state: absent}]"


def _complaints(document: str, state: str = NODE) -> list[str]:
    return [row.text for row in joined(document, state).complaints]


def test_interfaces_on_a_bond_are_removed_before_it_and_come_back() -> None:
    assert steps(GONE, NODE) == [
        "m7: remove it; it is on v7, which goes",
        "v7: remove it; it is on bond0, which goes",
        "bond0: remove it; its ports eth1, eth2 stay, without addresses",
    ]
    back = yaml.safe_load(way_back(GONE, NODE))["interfaces"]
    assert {"bond0", "v7", "m7"} <= {row["name"] for row in back}
    assert [row["name"] for row in yaml.safe_load(changes(GONE, NODE))["interfaces"]] == ["bond0"]


def test_routes_over_an_interface_on_a_removed_bond_come_back() -> None:
    ip = "ipv4: {enabled: true, address: [{ip: 192.0.2.9, prefix-length: 24}]}"
    state = NODE.replace("{base-iface: bond0, id: 7}", f"{{base-iface: bond0, id: 7}}, {ip}")
    state += "routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: v7}]}"

    assert "203.0.113.0/24" in way_back(GONE, state)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{name: x0, type: mac-vtap, state: up, mac-vtap: {base-iface: bond0}}", "type mac-vtap"),
        ("{name: x0, type: ipvlan, state: up, ipvlan: {base-iface: bond0, mode: l2}}", "ipvlan"),
        ("{name: x0, type: vxlan, state: up, vxlan: {base-iface: v7, id: 9}}", "type vxlan"),
        ("{name: x0, type: macsec, state: up, macsec: {base-iface: bond0}}", "type macsec"),
    ],
)
def test_removing_a_bond_below_a_type_that_cannot_be_made_again_is_refused(
    entry: str, words: str
) -> None:
    (text,) = _complaints(GONE, f"{NODE}- {entry}\n")

    assert "x0 is on it" in text
    assert f"{words}, and would go with it: remove that first" in text


def test_a_nic_that_is_absent_takes_nothing_with_it() -> None:
    state = f"{NODE}- {{name: x0, type: ipvlan, state: up, ipvlan: {{base-iface: eth3}}}}\n"

    assert _complaints("interfaces: [{name: eth3, state: absent}]", state) == []


def test_a_removed_bond_below_an_interface_that_stays_is_refused() -> None:
    document = (
        "interfaces: [{name: bond0, state: absent}, {name: v7, type: vlan, state: up},"
        " {name: br0, type: linux-bridge, bridge: {port: [{name: bond0}]}}]"
    )

    assert _complaints(document) == [
        "v7: bond0, which it is made of, is to be removed",
        "br0: bond0, which it is made of, is to be removed",
    ]


def test_the_other_end_of_a_veth_is_named() -> None:
    state = (
        "interfaces: [{name: a, type: veth, state: up, veth: {peer: b}},"
        " {name: b, type: veth, state: up, veth: {peer: a}}]"
    )

    assert steps("interfaces: [{name: a, state: absent}]", state) == [
        "a: remove it; its other end b goes with it"
    ]


def test_a_lower_mtu_names_the_interfaces_that_follow_and_the_way_back_has_them() -> None:
    state = NODE.replace("base-iface: bond0, id: 7}", "base-iface: bond0, id: 7}, controller: br0")
    state += "- {name: br0, type: linux-bridge, state: up, bridge: {port: [{name: v7}]}}\n"
    document = "interfaces: [{name: bond0, mtu: 1400}]"

    assert steps(document, state) == [
        (
            "bond0: set mtu 1400, now 1500; its ports eth1, eth2 get it, too; "
            "that of v7, m7 goes down with it"
        )
    ]
    back = yaml.safe_load(way_back(document, state))["interfaces"]
    assert {row["name"]: row["mtu"] for row in back} == {"bond0": 1500, "v7": 1500, "m7": 1500}
    assert steps("interfaces: [{name: v7, mtu: 1400}]", state)[0].endswith(
        "; that of m7 goes down with it; that of br0 follows unless it was set"
    )


def test_a_higher_mtu_begins_below() -> None:
    wishes = ", ".join(f"{{name: {name}, mtu: 9000}}" for name in ("m7", "v7", "bond0"))

    assert [step.partition(";")[0] for step in steps(f"interfaces: [{wishes}]", NODE)] == [
        "bond0: set mtu 9000, now 1500",
        "v7: set mtu 9000, now 1500",
        "m7: set mtu 9000, now 1500",
    ]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        (
            "{name: v7, mtu: 9000}",
            "v7: the MTU cannot be 9000: bond0, which it is on, has 1500; give that one more",
        ),
        (
            "{name: v7, mtu: 1500}, {name: bond0, mtu: 1400}",
            "v7: the MTU cannot be 1500: bond0, which it is on, has 1400; give that one more",
        ),
        (
            "{name: v8, type: vlan, mtu: 9000, vlan: {base-iface: eth3, id: 8}}",
            "v8: the MTU cannot be 9000: eth3, which it is on, has 1500; give that one more",
        ),
        (
            (
                "{name: b, type: bond, bond: {mode: 1, port: [eth3]}},"
                " {name: v8, type: vlan, mtu: 1800, vlan: {base-iface: b, id: 8}}"
            ),
            "v8: the MTU cannot be 1800: b, which it is on, has 1500; give that one more",
        ),
        (
            (
                "{name: b, type: linux-bridge, bridge: {port: [{name: eth3}]}},"
                " {name: v8, type: vlan, mtu: 1800, vlan: {base-iface: b, id: 8}}"
            ),
            "v8: the MTU cannot be 1800: b, which it is on, has 1500; give that one more",
        ),
        (
            (
                "{name: v8, type: vlan, vlan: {base-iface: eth3, id: 8}},"
                " {name: m8, type: mac-vlan, mtu: 1800, mac-vlan: {base-iface: v8, mode: vepa}}"
            ),
            "m8: the MTU cannot be 1800: v8, which it is on, has 1500; give that one more",
        ),
        (
            "{name: bond0, mtu: 9000, bond: {port: [eth1, eth2, eth3]}}",
            "bond0: the MTU cannot be 9000: its port eth3 takes at most 2000",
        ),
        (
            "{name: eth1, mtu: 1400}, {name: bond0}",
            "bond0: its port eth1 is to have the MTU 1400, and gets that of the bond, 1500",
        ),
        (
            "{name: bond1, type: bond, bond: {mode: 1, port: [eth3]}}, {name: eth3, mtu: 1800}",
            "bond1: its port eth3 is to have the MTU 1800, and gets that of the bond, 1500",
        ),
    ],
)
def test_an_mtu_that_would_not_stay_is_refused(document: str, text: str) -> None:
    assert text in _complaints(f"interfaces: [{document}]")


@pytest.mark.parametrize(
    ("document", "order"),
    [
        (
            (
                "{name: v8, type: vlan, mtu: 1800, vlan: {base-iface: eth3, id: 8}},"
                " {name: eth3, mtu: 1800}"
            ),
            ["eth3: set mtu 1800, now 1500", "v8: make it, type vlan", "v8: set mtu 1800"],
        ),
        (
            (
                "{name: m8, type: mac-vlan, mtu: 9000, mac-vlan: {base-iface: bond0, mode: vepa}},"
                " {name: bond0, mtu: 9000}"
            ),
            ["bond0: set mtu 9000, now 1500", "m8: make it, type mac-vlan", "m8: set mtu 9000"],
        ),
        (  # br0 follows its port and is not mentioned
            (
                "{name: b8, type: vlan, mtu: 1800, vlan: {base-iface: br0, id: 8}},"
                " {name: eth3, mtu: 1800}"
            ),
            ["eth3: set mtu 1800, now 1500", "b8: make it, type vlan", "b8: set mtu 1800"],
        ),
        (
            (
                "{name: b8, type: vlan, mtu: 1800, vlan: {base-iface: b, id: 8}},"
                " {name: b, type: linux-bridge, bridge: {port: [{name: eth4}]}},"
                " {name: eth4, mtu: 1800}"
            ),
            [
                "eth4: set mtu 1800, now 1500",
                "b8: make it, type vlan",
                "b: add port eth4",
                "b8: set mtu 1800, now 1500",
            ],
        ),
        (
            "{name: bond0, bond: {port: []}}, {name: eth1, mtu: 9000}",
            ["eth1: set mtu 9000, now 1500"],
        ),
        (
            (
                "{name: bond0, bond: {port: [eth1]}}, {name: eth2, mtu: 9000},"
                " {name: v8, type: vlan, mtu: 9000, vlan: {base-iface: eth2, id: 8}}"
            ),
            [
                "v8: make it, type vlan",
                "bond0: release port eth2",
                "eth2: set mtu 9000, now 1500",
                "v8: set mtu 9000, now 1500",
            ],
        ),
    ],
)
def test_a_base_has_its_mtu_before_its_uppers(document: str, order: list[str]) -> None:
    state = f"""{NODE}
- {{name: br0, type: linux-bridge, state: up, mtu: 1500, bridge: {{port: [{{name: eth3}}]}}}}
- {{name: eth4, type: ethernet, state: up, mtu: 1500}}
"""
    planned = [step.partition(";")[0] for step in steps(f"interfaces: [{document}]", state)]

    assert _complaints(f"interfaces: [{document}]", state) == []
    assert [step for step in planned if step in order or ": set mtu" in step] == order


def test_an_mtu_that_an_unmentioned_bridge_does_not_follow_is_refused() -> None:
    state = f"""{NODE}
- {{name: br0, type: linux-bridge, state: up, mtu: 1400, bridge: {{port: [{{name: eth3}}]}}}}
"""
    document = (
        "{name: b8, type: vlan, mtu: 1800, vlan: {base-iface: br0, id: 8}}, {name: eth3, mtu: 1800}"
    )

    assert _complaints(f"interfaces: [{document}]", state) == [
        "b8: the MTU cannot be 1800: br0, which it is on, has 1400; give that one more"
    ]


@pytest.mark.parametrize(
    "owner", ["{name: bond0, bond: {port: [eth1]}}", "{name: bond0, state: absent}"]
)
def test_a_macvlan_on_a_port_that_leaves_is_made_afterwards(owner: str) -> None:
    state = NODE[: NODE.index("- {name: v7")]
    macvlan = "{name: m2, type: mac-vlan, mac-vlan: {base-iface: eth2, mode: bridge}}"
    vlan = "{name: m2.7, type: vlan, vlan: {base-iface: m2, id: 7}}"

    planned = steps(f"interfaces: [{vlan}, {macvlan}, {owner}]", state)

    assert [step.split(":")[0] for step in planned if "make it" in step] == ["m2", "m2.7"]
    assert planned[0].startswith(("bond0: release port eth2", "bond0: remove it"))


def test_a_new_bond_has_the_mac_that_its_port_has_without_the_other_bond() -> None:
    document = (
        "interfaces: [{name: bond0, bond: {port: [eth1]}},"
        " {name: bond1, type: bond, bond: {mode: 1, port: [eth2, eth3]}}]"
    )

    assert "bond1: make it, type bond, mac-address 02:00:00:00:00:02, eth2's own" in steps(
        document, NODE
    )


@pytest.mark.parametrize(("source", "last"), [("eth2", "02"), ("eth3", "03")])
def test_a_mac_that_is_copied_from_a_bonds_port_is_the_ports_own(source: str, last: str) -> None:
    document = f"interfaces: [{{name: bond0, copy-mac-from: {source}}}]"

    assert steps(document, NODE) == [
        f"bond0: set mac-address 02:00:00:00:00:{last}, now 02:00:00:00:00:01"
    ]
