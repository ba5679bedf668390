"""The steps of a plan are in the order that keeps links up longest."""

import pytest
import yaml

from tests.unit.nodenet.states import steps, way_back
from tests.unit.nodenet.test_difference import BOND, NODE

UPLINK = """\
interfaces:
- {name: eth1, type: ethernet, state: up, mac-address: 02:00:00:00:00:01,
   ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}}
- {name: eth2, type: ethernet, state: up, mac-address: 02:00:00:00:00:02}
"""


def test_an_uplink_moves_onto_a_bond_with_a_bridge_over_it() -> None:
    assert steps(
        "interfaces:\n"
        "- {name: br0, type: linux-bridge, bridge: {port: [{name: bond0}]}, ipv4: {enabled: true,"
        " address: [{ip: 192.0.2.9, prefix-length: 24}]}}\n"
        "- {name: bond0, type: bond, bond: {mode: 1, options: {miimon: 100}, port: [eth2, eth1]}}\n"
        "routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: br0,"
        " next-hop-address: 192.0.2.1}]}\n"
        "dns-resolver: {config: {server: [192.0.2.53]}}\n",
        UPLINK,
    ) == [
        "bond0: make it, type bond, mac-address that of eth1",
        "bond0: set link-aggregation.mode active-backup",
        "bond0: set link-aggregation.options.miimon 100",
        "br0: make it, type linux-bridge",
        "bond0: set it up",
        "br0: set it up",
        "bond0: add port eth1, its addresses taken off",
        "br0: add port bond0",
        "br0: set ipv4 enabled true, address 192.0.2.9/24",
        "add route destination 0.0.0.0/0, next-hop-interface br0, next-hop-address 192.0.2.1",
        "set DNS server 192.0.2.53",
        "bond0: add port eth2 when eth1 is active",
    ]


def test_an_option_is_changed_in_place_and_a_mode_needs_an_empty_bond() -> None:
    assert steps(BOND.format("bond: {options: {miimon: 50}}"), NODE) == [
        "bond0: set link-aggregation.options.miimon 50, now 100"
    ]
    assert steps(BOND.format("bond: {options: {fail_over_mac: active}}"), NODE) == [
        (
            "bond0: set link-aggregation.options.fail_over_mac active, now none; "
            "its ports leave for it and come back"
        )
    ]


MONITORED = """\
interfaces: [{name: b, type: bond, state: up, bond: {mode: active-backup, port: [],
 options: {miimon: %d, updelay: %d, downdelay: 0, arp_interval: %d, arp_validate: %s}}}]
"""
WATCHED, PROBED = MONITORED % (100, 200, 0, "none"), MONITORED % (0, 0, 250, "active")


@pytest.mark.parametrize(
    ("state", "options", "planned", "back"),
    [
        (
            WATCHED,
            "miimon: 50, updelay: 200, downdelay: 0",
            ["miimon 50, now 100", "updelay 200, now 200; it would change with miimon"],
            {"miimon": 100, "updelay": 200, "downdelay": 0},
        ),
        (WATCHED, "miimon: 50", ["miimon 50, now 100"], {"miimon": 100}),
        (
            WATCHED,
            "miimon: 150",
            ["miimon 150, now 100; updelay is 300 then"],
            {"miimon": 100, "updelay": 200},
        ),
        (
            WATCHED,
            "miimon: 0",
            ["miimon 0, now 100; updelay is 0 then"],
            {"miimon": 100, "updelay": 200},
        ),
        (
            PROBED,
            "miimon: 100, arp_interval: 0, updelay: 0",
            [
                "arp_interval 0, now 250",
                "miimon 100, now 0; arp_validate is none then",
                "updelay 0, now 0; it would change with miimon",
            ],
            {"miimon": 0, "arp_interval": 250, "arp_validate": "active", "updelay": 0},
        ),
    ],
)
def test_miimon_is_changed_with_the_options_that_follow_it(
    state: str, options: str, planned: list[str], back: dict[str, object]
) -> None:
    wish = f"interfaces: [{{name: b, bond: {{options: {{{options}}}}}}}]"

    assert steps(wish, state) == [f"b: set link-aggregation.options.{line}" for line in planned]
    (link,) = yaml.safe_load(way_back(wish, state))["interfaces"]
    assert link["link-aggregation"]["options"] == back


def test_another_mode_has_all_options_of_the_document_set_again() -> None:
    wish = "interfaces: [{name: b, bond: {mode: 2, options: {miimon: 100, updelay: 200}}}]"

    assert [line.partition(";")[0] for line in steps(wish, WATCHED)] == [
        "b: set link-aggregation.mode balance-xor, now active-backup",
        "b: set link-aggregation.options.miimon 100, now 100",
        "b: set link-aggregation.options.updelay 200, now 200",
    ]


def test_the_default_of_miimon_is_that_of_the_mode() -> None:
    state = WATCHED.replace("active-backup", "802.3ad").replace("updelay: 200", "updelay: 0")
    wish = "interfaces: [{name: b, bond: {options: {}}}]"

    assert steps(wish, state) == []
    assert len(steps(wish, state.replace("802.3ad", "balance-xor"))) == 1


def test_another_number_of_vfs_says_which_go() -> None:
    functions = "ethernet: {sr-iov: {total-vfs: %s}}"
    state = "interfaces: [{name: pf0, type: ethernet, state: up, %s}]"
    now = functions % "2, vfs: [{id: 0, iface-name: v0}, {id: 1, iface-name: v1}]"

    assert steps(state % (functions % 4), state % now) == [
        "pf0: set ethernet.sr-iov.total-vfs 4, now 2; for it v0, v1 go, all VFs are made anew"
    ]


def test_a_vf_is_set_after_its_pf_has_made_it_anew() -> None:
    pf = "{name: pf0, type: ethernet, state: up, ethernet: {sr-iov: {total-vfs: %s%s}}}"
    vf = "{name: v0, type: ethernet, state: up, mtu: 1400}"
    vfs = ", vfs: [{id: 0, iface-name: v0}]"

    assert steps(f"interfaces: [{vf}, {pf % (4, '')}]", f"interfaces: [{pf % (1, vfs)}, {vf}]") == [
        "pf0: set ethernet.sr-iov.total-vfs 4, now 1; for it v0 go, all VFs are made anew",
        "v0: set mtu 1400, now 1400",
    ]


def test_the_names_of_vfs_interfaces_are_for_reading() -> None:
    pf = "interfaces: [{name: pf0, type: ethernet, state: up, ethernet: {sr-iov: {vfs: [%s]}}}]"

    assert steps(pf % "{id: 0, iface-name: v0}", pf % "{id: 0}") == []


def test_a_nic_that_is_missing_is_not_made() -> None:
    assert steps("interfaces: [{name: eth9, type: ethernet, mtu: 1400}]", UPLINK)[0] == (
        "eth9: it is missing, and a NIC cannot be made"
    )


def test_a_nic_that_is_absent_is_down_and_has_no_addresses() -> None:
    node = """\
interfaces:
- {name: eth1, type: ethernet, state: up, controller: bond0, ipv4: {enabled: false}}
- {name: eth2, type: ethernet, state: up, controller: bond0, ipv4: {enabled: false}}
- {name: bond0, type: bond, state: up, bond: {mode: active-backup, port: [eth1, eth2]}}
- {name: eth3, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false, address: [
   {ip: 192.0.2.9, prefix-length: 24}]}, ipv6: {enabled: true, autoconf: true}}
- {name: eth4, type: ethernet, state: down, ipv4: {enabled: false}}
"""
    absent = "interfaces: [{name: %s, type: ethernet, state: absent}]"

    assert steps(absent % "eth1", node) == ["bond0: release port eth1"]
    assert steps(absent % "eth3", node) == ["eth3: set it down", "eth3: set ipv4 enabled false"]
    assert steps(absent % "eth4", node) == []
    assert steps(absent % "eth9", node) == []


def test_a_new_mode_has_the_defaults() -> None:
    ports = "its ports leave for it and come back"

    assert steps(BOND.format("bond: {mode: 2, options: {primary: ''}}"), NODE) == [
        (
            "bond0: set link-aggregation.mode balance-xor, now active-backup; "
            f"{ports}; it is down meanwhile; other options go back to the defaults"
        )
    ]


def test_a_route_that_takes_anothers_place_replaces_it() -> None:
    desired = (
        "routes: {config: [{destination: 0.0.0.0/0, state: absent}, {destination: 0.0.0.0/0,"
        " next-hop-interface: bond0, next-hop-address: 192.0.2.2, metric: 100}]}"
    )

    assert steps(desired, NODE) == [
        (
            "replace route destination 0.0.0.0/0, next-hop-interface bond0, "
            "next-hop-address 192.0.2.1, metric 100 by destination 0.0.0.0/0, "
            "next-hop-interface bond0, next-hop-address 192.0.2.2, metric 100"
        )
    ]


def test_an_ignored_interface_is_taken_over_when_a_document_sets_it() -> None:
    state = "interfaces: [{name: eth1, type: ethernet, state: ignore, mtu: 1500}]"

    assert steps("interfaces: [{name: eth1, state: up, mtu: 9000}]", state) == [
        "eth1: set mtu 9000, now 1500"
    ]


def test_interfaces_are_removed_last_and_from_the_top() -> None:
    state = (
        f"{UPLINK}- {{name: bond0, type: bond, state: up,"
        " bond: {mode: active-backup, port: [eth1, eth2]}}\n"
        "- {name: bond0.7, type: vlan, state: up, vlan: {base-iface: bond0, id: 7}}\n"
    )

    assert steps(
        "interfaces: [{name: bond0, state: absent}, {name: bond0.7, state: absent}]", state
    ) == [
        "bond0.7: remove it",
        "bond0: remove it; its ports eth1, eth2 stay, without addresses",
    ]


def test_a_port_of_a_removed_bond_is_released_brought_up_and_then_used() -> None:
    state = (
        f"{UPLINK}- {{name: bond0, type: bond, state: up,"
        " bond: {mode: active-backup, port: [eth1, eth2]}}\n"
        "- {name: bond0.7, type: vlan, state: up, vlan: {base-iface: bond0, id: 7}}\n"
    )
    absent = "{name: bond0, state: absent}, {name: bond0.7, state: absent}"
    addresses = "ipv4: {enabled: true, address: [{ip: 192.0.2.8, prefix-length: 24}]}"

    assert steps(f"interfaces: [{absent}, {{name: eth1, state: up, {addresses}}}]", state) == [
        "bond0.7: remove it",
        "bond0: remove it; its ports eth1, eth2 stay, without addresses",
        "eth1: set it up",
        "eth1: set ipv4 address 192.0.2.8/24",
    ]


def test_the_port_whose_mac_a_bond_copies_comes_first() -> None:
    bond = "{name: bond0, type: bond, copy-mac-from: eth2, bond: {mode: 1, port: [eth1, eth2]}}"

    ports = [line for line in steps(f"interfaces: [{bond}]", UPLINK) if "add port" in line]

    assert ports == [
        "bond0: add port eth2",
        "bond0: add port eth1 when eth2 is active, its addresses taken off",
    ]


def test_a_base_that_is_down_and_not_mentioned_comes_up_first_and_goes_back_down() -> None:
    state = "interfaces: [{name: eth1, type: ethernet, state: down}]"
    vlan = "{name: v7, type: vlan, state: %s, vlan: {base-iface: eth1, id: 7}}"

    assert steps(f"interfaces: [{vlan % 'up'}]", state)[3:] == ["eth1: set it up", "v7: set it up"]
    assert "eth1: set it up" not in steps(f"interfaces: [{vlan % 'down'}]", state)
    assert yaml.safe_load(way_back(f"interfaces: [{vlan % 'up'}]", state)) == {
        "interfaces": [
            {"name": "v7", "type": "vlan", "state": "absent"},
            {"name": "eth1", "type": "ethernet", "state": "down"},
        ]
    }


def test_a_port_that_leaves_a_bond_has_its_mac_and_mtu_set_afterwards() -> None:
    """A bond gives a port back what it came with (__bond_release_one())."""
    state = (
        "interfaces: [{name: bond0, type: bond, state: up, mtu: 1500, bond: {mode: 1,"
        " port: [eth1, eth2]}}, {name: eth1, type: ethernet, state: up, mtu: 1500, controller:"
        " bond0, mac-address: '02:00:00:00:00:02', permanent-mac-address: '02:00:00:00:00:01'},"
        " {name: eth2, type: ethernet, state: up, mtu: 1500, controller: bond0}]"
    )
    bridge = "{name: br0, type: linux-bridge, bridge: {port: [{name: eth1}]}}"
    wish = "{name: eth1, mtu: 1400, mac-address: '02:00:00:00:00:02'}"

    assert steps(f"interfaces: [{bridge}, {wish}]", state) == [
        "br0: make it, type linux-bridge",
        "br0: set it up",
        "br0: add port eth1, released from bond0",
        "eth1: set mac-address 02:00:00:00:00:02, now 02:00:00:00:00:01",
        "eth1: set mtu 1400, now 1500",
    ]


def test_an_option_that_needs_a_bond_that_is_down_says_so() -> None:
    state = (
        "interfaces: [{name: bond0, type: bond, state: up, bond: {mode: 802.3ad, port: [eth1]}},"
        " {name: eth1, type: ethernet, state: up, controller: bond0}]"
    )

    assert steps("interfaces: [{name: bond0, bond: {options: {lacp_rate: fast}}}]", state) == [
        ("bond0: set link-aggregation.options.lacp_rate fast, now nothing; it is down meanwhile")
    ]


def test_a_guests_port_stays_and_another_is_released() -> None:
    assert steps("interfaces: [{name: br0, type: linux-bridge, bridge: {port: []}}]", NODE) == [
        "br0: release port eth4"
    ]


def test_nothing_to_do_is_no_step() -> None:
    assert steps(NODE, NODE) == []


@pytest.mark.parametrize(
    ("mode", "options", "dhcp"),
    [
        ("802.3ad", '{miimon: "100", lacp_rate: "fast", xmit_hash_policy: "layer3+4"}', "false"),
        ("active-backup", '{miimon: "100", primary: ens224}', "false"),
        ("balance-rr", '{miimon: "100"}', "true"),
    ],
)
def test_policies_for_workers_are_planned_whole(mode: str, options: str, dhcp: str) -> None:
    static, leased = "set ipv4 enabled true, dhcp false", "ask for an address by DHCP"
    expected = f"bond0: {leased if dhcp == 'true' else static}"
    policy = (
        "apiVersion: nmstate.io/v1\nkind: NodeNetworkConfigurationPolicy\n"
        "metadata: {name: worker-bond}\n"
        'spec:\n  nodeSelector: {node-role.kubernetes.io/worker: ""}\n  desiredState:\n'
        "    interfaces:\n    - {name: bond0, type: bond, state: up,\n"
        f"       ipv4: {{enabled: true, dhcp: {dhcp}}}, link-aggregation: {{mode: {mode},\n"
        f"       options: {options}, port: [ens224, ens256]}}}}\n"
        "    - {name: ens224, type: ethernet, state: up, ipv4: {enabled: false}}\n"
    )
    nics = "interfaces: [{name: ens224, type: ethernet}, {name: ens256, type: ethernet}]"

    planned = steps(policy, nics)

    assert f"bond0: set link-aggregation.mode {mode}" in planned
    assert "bond0: set link-aggregation.options.miimon 100" in planned
    assert [step for step in planned if "add port" in step] == [
        "bond0: add port ens224",
        "bond0: add port ens256 when ens224 is active",
    ]
    assert expected in planned


@pytest.mark.slow
def test_a_long_chain_is_made_from_its_base_and_a_ring_ends() -> None:
    links = [
        f"- {{name: e{number}, type: vlan, vlan: {{base-iface: e{number + 1}, id: 5}}}}\n"
        for number in range(1500)
    ]
    chain = ["interfaces:\n", *links, "- {name: e1500, type: dummy}\n"]
    ring = [*chain[:-1], "- {name: e1500, type: vlan, vlan: {base-iface: e0, id: 5}}\n"]

    made = [step.partition(":")[0] for step in steps("".join(chain), "") if "make it" in step]

    assert made == [f"e{number}" for number in range(1500, -1, -1)]
    assert len([step for step in steps("".join(ring), "") if "make it" in step]) == 1501


def test_ipv6_of_a_port_that_becomes_free_is_switched_off_where_it_shall_be() -> None:
    state = """\
interfaces:
- {name: br0, type: linux-bridge, state: up, bridge: {port: [{name: eth1}]}}
- {name: eth1, type: ethernet, state: up, controller: br0, ipv6: {enabled: false}}
"""
    wish = """\
interfaces:
- {name: br0, type: linux-bridge, bridge: {port: []}}
- {name: eth1, type: ethernet, ipv6: {enabled: false}, ipv4: {enabled: true, dhcp: false,
   address: [{ip: 192.0.2.9, prefix-length: 24}]}}
"""
    assert steps(wish, state)[-1] == "eth1: set ipv6 enabled false"
    assert steps(wish.replace("ipv6: {enabled: false}, ", ""), state)[-1].startswith(
        "eth1: set ipv4"
    )


def test_a_bridge_that_is_there_keeps_the_mtu_of_the_document_when_a_port_comes() -> None:
    state = """\
interfaces:
- {name: br0, type: linux-bridge, state: up, mtu: 1500, bridge: {port: []}}
- {name: eth1, type: ethernet, state: up, mtu: %d}
"""
    wish = (
        "interfaces: [{name: br0, type: linux-bridge, mtu: 1500, bridge: {port: [{name: eth1}]}}]"
    )

    assert steps(wish, state % 1400)[-1] == "br0: set mtu 1500, now 1400"
    assert steps(wish, state % 1500) == ["br0: add port eth1"]
    assert steps(wish.replace("mtu: 1500, ", ""), state % 1400) == ["br0: add port eth1"]


def test_an_altname_that_shall_be_absent_and_is_needs_no_step() -> None:
    state = "interfaces: [{name: eth1, type: ethernet, state: up%s}]"
    wish = "interfaces: [{name: eth1, type: ethernet, alt-names: [{name: b, state: absent}]}]"

    assert steps(wish, state % "") == []
    assert len(steps(wish, state % ", alt-names: [{name: b}]")) == 1


@pytest.mark.parametrize(
    ("wish", "lines"),
    [
        ("{running: new, config: new}", ["running new, now old", "config new, now old.example"]),
        ("{running: new, config: old.example}", ["running new, now old"]),
        ("{config: ''}", ["config nothing, now old.example"]),
        ("{running: old}", []),
    ],
)
def test_the_hosts_name_is_set_where_it_differs(wish: str, lines: list[str]) -> None:
    state = "hostname: {running: old, config: old.example}"

    assert steps(f"hostname: {wish}", state) == [f"set hostname.{line}" for line in lines]


def test_dns_of_routers_that_is_not_to_be_taken_needs_no_step() -> None:
    state = "interfaces: [{name: eth1, type: ethernet, state: up, ipv6: {enabled: true%s}}]"
    wish = state % ", autoconf: true, auto-dns: false"

    assert steps(wish, state % ", autoconf: true") == []
    assert steps(wish, state % ", autoconf: false")[0].startswith("eth1: set ipv6 autoconf true")


@pytest.mark.parametrize(("state", "more"), [("up", ["eth1: set it up"]), ("down", [])])
def test_a_port_that_leaves_a_bond_is_up_again_for_a_vlan_on_it(
    state: str, more: list[str]
) -> None:
    node = (
        "interfaces:\n"
        "- {name: b, type: bond, state: up, bond: {mode: active-backup, port: [eth1]}}\n"
        "- {name: eth1, type: ethernet, state: up, controller: b}\n"
        f"- {{name: v7, type: vlan, state: {state}, vlan: {{base-iface: eth1, id: 7}}}}\n"
    )

    assert steps("interfaces: [{name: b, bond: {port: []}}]", node) == [
        "b: release port eth1",
        *more,
    ]
