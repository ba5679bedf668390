"""What of a document is not there yet, and what takes it back: no more, and no less."""

import pytest
import yaml

from tests.unit.nodenet.states import changes, joined, steps, way_back

NODE = """\
interfaces:
- name: bond0
  type: bond
  state: up
  mac-address: 02:00:00:00:00:01
  mtu: 1500
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: true, address: [{ip: 'fe80::1', prefix-length: 64}]}
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, primary: eth1, fail_over_mac: none, updelay: 0}
    port: [eth1, eth2]
- {name: eth1, type: ethernet, state: up, mtu: 1500, min-mtu: 68, max-mtu: 9000, controller: bond0}
- {name: eth2, type: ethernet, state: up, mtu: 1500, controller: bond0}
- name: eth3
  type: ethernet
  state: up
  ipv4: {enabled: true, dhcp: true, address: [
    {ip: 198.51.100.7, prefix-length: 24, valid-life-time: 100sec, preferred-life-time: 50sec}]}
- name: br0
  type: linux-bridge
  state: up
  bridge:
    options: {stp: {enabled: false}}
    port: [{name: eth4, stp-path-cost: 100}, {name: vnet0}]
- {name: eth4, type: ethernet, state: up, controller: br0}
- {name: vnet0, type: tun, state: ignore, controller: br0}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address: 192.0.2.1, metric: 100}
  - {destination: 203.0.113.0/24, next-hop-interface: bond0, next-hop-address: 192.0.2.2}
route-rules:
  config:
  - {family: ipv4, ip-from: 192.0.2.9/32, route-table: 200, priority: 30000}
dns-resolver: {config: {server: [192.0.2.53], search: [example.com]}}
"""
TAP = """\
- {name: eth4, type: ethernet, state: up}
- {name: vnet0, type: tun, state: ignore}
"""
BOND = "interfaces: [{{name: bond0, type: bond, {}}}]"


def _changes(desired: str) -> object:
    return yaml.safe_load(changes(desired, NODE))


def _way_back(desired: str) -> object:
    return yaml.safe_load(way_back(desired, NODE))


def _of_bond(**section: object) -> object:
    return {"interfaces": [{"name": "bond0", "type": "bond", "state": "up", **section}]}


def test_a_bridge_that_all_ports_have_left_has_no_mac_to_come_back_with() -> None:
    """The kernel shows zeros then (br_stp_recalculate_bridge_id()), and makes none with them."""
    state = (
        "interfaces: [{name: br1, type: linux-bridge, state: up,"
        " mac-address: '00:00:00:00:00:00', bridge: {port: []}}]"
    )

    assert changes(state, state) == "{}\n"
    assert "mac-address" not in way_back("interfaces: [{name: br1, state: absent}]", state)


@pytest.mark.parametrize(
    "desired",
    [
        NODE,
        "{}",
        "interfaces: [{name: eth1}]",
        "interfaces: [{name: gone, state: absent}, {name: gone2, type: bond, state: absent}]",
        "interfaces: [{name: vnet0, type: tun, state: ignore}]",
        BOND.format("link-aggregation: {port: [eth2, eth1]}"),
        BOND.format("link-aggregation: {mode: 1, options: {miimon: '100', downdelay: 0}}"),
        BOND.format("link-aggregation: {options: {arp_ip_target: '', fail_over_mac: 0}}"),
        BOND.format("mac-address: 02:00:00:00:00:01, ipv6: {enabled: true, address: []}"),
        "interfaces: [{name: br0, type: linux-bridge, bridge: {port: [{name: eth4}]}}]",
        (
            "routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: bond0,"
            " next-hop-address: 192.0.2.1}]}"
        ),
        "routes: {config: [{next-hop-interface: eth1, state: absent}]}",
        "route-rules: {config: [{ip-from: 192.0.2.9, route-table: 200}]}",
        "dns-resolver: {config: {search: [example.com]}}",
        "interfaces: [{name: eth1, lldp: {enabled: false}, ethernet: {auto-negotiation: false}}]",
        "interfaces: [{name: eth1, ethernet: {}, lldp: {}, pci-address: '0000:01:00.0'}]",
        BOND.format("ipv4: {prefix-route-metric: 0, allow-extra-address: false}"),
        BOND.format("ipv6: {auto-route-table-id: 0, dhcp-send-hostname: true}"),
    ],
)
def test_a_document_that_the_node_fulfils_has_no_difference_and_no_way_back(desired: str) -> None:
    assert changes(desired, NODE) == "{}\n"
    assert way_back(desired, NODE) == "{}\n"


FREE = """\
interfaces:
- name: eth5
  type: ethernet
  state: up
  ipv4: {enabled: false}
  ipv6: {enabled: false}
- name: br1
  type: linux-bridge
  state: up
  bridge: {port: [{name: eth6, vlan: {mode: access, tag: 7}}]}
- {name: eth6, type: ethernet, state: up, controller: br1}
- {name: br2, type: linux-bridge, state: up, bridge: {port: [{name: eth7}]}}
- {name: eth7, type: ethernet, state: up, controller: br2}
routes: {config: [{destination: 203.0.113.0/24, route-type: blackhole}]}
route-rules: {config: [{family: ipv4, priority: 5, action: prohibit}]}
"""
ETH5 = "interfaces: [{name: eth5, %s}]"
ACCESS = "mode: access, tag: 7, trunk-tags: [], enable-native: false"


@pytest.mark.parametrize(
    "desired",
    [
        ETH5 % "ipv4: {enabled: true}",
        ETH5 % "ipv4: {enabled: true, dhcp: false, address: []}",
        ETH5 % "ipv6: {enabled: false, forwarding: true, token: '::5', addr-gen-mode: none}",
        ETH5 % "ethernet: {sr-iov: {total-vfs: 0, vfs: []}}",
        f"interfaces: [{{name: br1, bridge: {{port: [{{name: eth6, vlan: {{{ACCESS}}}}}]}}}}]",
        "interfaces: [{name: br2, bridge: {port: [{name: eth7, vlan: {trunk-tags: []}}]}}]",
        (
            "routes: {config: [{destination: 203.0.113.0/24, route-type: blackhole,"
            " next-hop-interface: lo}]}"
        ),
        "route-rules: {config: [{family: ipv4, priority: 5, action: prohibit, route-table: 9}]}",
    ],
)
def test_values_for_nothing_are_no_difference(desired: str) -> None:
    assert steps(desired, FREE) == []
    assert changes(desired, FREE) == "{}\n"


@pytest.mark.parametrize(
    "desired",
    [
        "{name: eth8, ipv6: {enabled: true, address: []}}",
        "{name: bond8, bond: {mode: 1, port: []}}",
        "{name: bond8, bond: {mode: 1, ports-config: []}}",
        "{name: bond9, bond: {ports-config: [{name: eth9}]}}",
        "{name: br8, bridge: {port: []}}",
        "{name: vrf8, vrf: {port: []}}",
        "{name: eth8, ipv6: {enabled: true, autoconf: false, token: '::'}}",
        "{name: eth8, ipv6: {enabled: true, autoconf: false, token: ''}}",
    ],
)
def test_an_empty_list_and_an_empty_token_are_in_a_state_that_mentions_none(desired: str) -> None:
    state = (
        "interfaces:\n"
        "- {name: eth8, type: ethernet, state: up, ipv6: {enabled: true, autoconf: false}}\n"
        "- {name: bond8, type: bond, state: up, bond: {mode: 1}}\n"
        "- {name: bond9, type: bond, state: up, bond: {mode: 1, port: [eth9]}}\n"
        "- {name: br8, type: linux-bridge, state: up}\n"
        "- {name: vrf8, type: vrf, state: up, vrf: {route-table-id: 8}}\n"
    )

    assert changes(f"interfaces: [{desired}]", state) == "{}\n"
    assert steps(f"interfaces: [{desired}]", state) == []


def test_an_empty_list_of_vfs_asks_for_their_defaults() -> None:
    pf = "interfaces: [{name: pf0, type: ethernet, state: up, ethernet: {sr-iov: {vfs: [%s]}}}]"
    now = pf % (
        "{id: 0, mac-address: '02:00:00:00:00:07', vlan-id: 7, qos: 3, trust: true}, {id: 1, "
        "spoof-check: true, trust: false, vlan-id: 0}"
    )

    (line,) = steps(pf % "", now)
    assert line.partition(", now")[0] == (
        "pf0: set ethernet.sr-iov.vfs (id 0, trust false, vlan-id 0, qos 0) "
        "(id 1, spoof-check true, trust false, vlan-id 0)"
    )
    assert "vlan-id: 7" in way_back(pf % "", now)
    assert steps(pf % "", pf % "{id: 1, spoof-check: true, trust: false, vlan-id: 0}") == []


def test_addresses_are_taken_off_where_ipv4_is_enabled_without_any() -> None:
    desired = "ipv4: {enabled: true, dhcp: false, address: []}"

    assert steps(BOND.format(desired), NODE)[0] == "bond0: set ipv4 address nothing"


def test_an_option_of_a_bond_is_changed_alone_and_reverted_alone() -> None:
    desired = BOND.format("link-aggregation: {mode: 1, options: {miimon: 50, updelay: 0}}")

    assert _changes(desired) == _of_bond(**{"link-aggregation": {"options": {"miimon": 50}}})
    assert _way_back(desired) == _of_bond(
        **{
            "link-aggregation": {
                "mode": "active-backup",
                "options": {"miimon": 100, "updelay": 0},
            }
        }
    )


def test_an_option_that_the_state_does_not_mention_goes_back_to_the_kernels_default() -> None:
    desired = BOND.format("link-aggregation: {options: {num_grat_arp: 5}}")

    assert _way_back(desired) == _of_bond(**{"link-aggregation": {"options": {"num_grat_arp": 1}}})


def test_a_family_that_is_disabled_comes_back_with_its_addresses() -> None:
    back = yaml.safe_load(way_back(BOND.format("ipv4: {enabled: false}"), NODE))

    address = {"ip": "192.0.2.9", "prefix-length": 24}
    assert back["interfaces"][0]["ipv4"] == {"enabled": True, "dhcp": False, "address": [address]}
    assert back["routes"] == yaml.safe_load(NODE)["routes"]


def test_a_bridge_that_goes_comes_back_by_a_document_that_can_be_read() -> None:
    """A virtual machine's tap is of a type that no document has: it is a port of the bridge."""
    absent = "interfaces: [{name: br0, type: linux-bridge, state: absent}]"
    gone = NODE.replace(", controller: br0", "")

    back = way_back(absent, NODE)

    assert [row["name"] for row in yaml.safe_load(back)["interfaces"]] == ["br0", "eth4"]
    assert "br0: add port vnet0" in steps(back, gone[: gone.index("- name: br0")] + TAP)


def test_a_mode_is_reverted_with_all_options_that_it_drops() -> None:
    desired = BOND.format("link-aggregation: {mode: 802.3ad, options: {lacp_rate: fast}}")

    assert _changes(desired) == _of_bond(
        **{"link-aggregation": {"mode": "802.3ad", "options": {"lacp_rate": "fast"}}}
    )
    assert _way_back(desired) == _of_bond(
        **{
            "link-aggregation": {
                "mode": "active-backup",
                "options": {
                    "miimon": 100,
                    "primary": "eth1",
                    "fail_over_mac": "none",
                    "updelay": 0,
                },
            }
        }
    )


def test_empty_options_ask_for_the_defaults() -> None:
    desired = BOND.format("link-aggregation: {options: {}}")

    assert _changes(desired) == _of_bond(**{"link-aggregation": {"options": {}}})


def test_a_bond_that_is_removed_comes_back_whole() -> None:
    way = _way_back("interfaces: [{name: bond0, state: absent}]")

    assert isinstance(way, dict)
    bond = next(link for link in way["interfaces"] if link["name"] == "bond0")
    assert bond["link-aggregation"]["options"]["primary"] == "eth1"
    assert bond["ipv4"]["address"] == [{"ip": "192.0.2.9", "prefix-length": 24}]
    assert [route["destination"] for route in way["routes"]["config"]] == [
        "0.0.0.0/0",
        "203.0.113.0/24",
    ]


def test_the_order_of_addresses_says_nothing() -> None:
    document = (
        "interfaces: [{name: eth1, ipv6: {enabled: true, address: ["
        "{ip: '2001:db8::%d', prefix-length: 64}, {ip: '2001:db8::%d', prefix-length: 64}]}}]"
    )

    assert changes(document % (1, 2), document % (2, 1)) == "{}\n"
    assert changes(document % (1, 2), document % (2, 3)) != "{}\n"


def test_addresses_of_a_nic_that_becomes_a_port_come_back() -> None:
    state = (
        "interfaces: [{name: eth5, type: ethernet, state: up,"
        " ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.5, prefix-length: 24}]}}]"
    )
    desired = "interfaces: [{name: bond9, type: bond, bond: {mode: 1, port: [eth5]}}]"

    assert yaml.safe_load(way_back(desired, state)) == {
        "interfaces": [
            {"name": "bond9", "type": "bond", "state": "absent"},
            {
                "name": "eth5",
                "type": "ethernet",
                "state": "up",
                "ipv4": {
                    "enabled": True,
                    "dhcp": False,
                    "address": [{"ip": "192.0.2.5", "prefix-length": 24}],
                },
            },
        ]
    }


def test_without_dhcp_the_addresses_that_it_gave_stay() -> None:
    desired = "interfaces: [{name: eth3, ipv4: {enabled: true, dhcp: false}}]"

    assert _changes(desired) == {
        "interfaces": [
            {
                "name": "eth3",
                "type": "ethernet",
                "state": "up",
                "ipv4": {
                    "dhcp": False,
                    "address": [{"ip": "198.51.100.7", "prefix-length": 24}],
                },
            }
        ]
    }


def test_a_bridges_port_that_is_not_mentioned_leaves_but_a_guests_stays() -> None:
    desired = "interfaces: [{name: br0, type: linux-bridge, bridge: {port: []}}]"

    assert _changes(desired) == {
        "interfaces": [
            {"name": "br0", "type": "linux-bridge", "state": "up", "bridge": {"port": []}}
        ]
    }
    assert [pair.name for pair in joined(desired, NODE).pairs] == ["br0", "eth4"]


def test_a_route_from_before_the_change_is_not_reverted() -> None:
    desired = (
        "routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: bond0,"
        " next-hop-address: 192.0.2.2}, {destination: 203.0.113.128/25,"
        " next-hop-interface: bond0, next-hop-address: 192.0.2.2}]}"
    )
    added = {
        "destination": "203.0.113.128/25",
        "next-hop-interface": "bond0",
        "next-hop-address": "192.0.2.2",
    }

    assert _changes(desired) == {"routes": {"config": [added]}}
    assert _way_back(desired) == {"routes": {"config": [{"state": "absent", **added}]}}


def test_a_route_to_be_removed_is_in_the_difference_and_comes_back() -> None:
    desired = "routes: {config: [{next-hop-address: 192.0.2.2, state: absent}]}"
    route = {
        "destination": "203.0.113.0/24",
        "next-hop-interface": "bond0",
        "next-hop-address": "192.0.2.2",
    }

    assert _changes(desired) == {"routes": {"config": [{"state": "absent", **route}]}}
    assert _way_back(desired) == {"routes": {"config": [route]}}


def test_another_metric_is_another_route() -> None:
    desired = (
        "routes: {config: [{destination: 0.0.0.0/0, next-hop-interface: bond0,"
        " next-hop-address: 192.0.2.1, metric: 50}]}"
    )

    assert "metric: 50" in changes(desired, NODE)


def test_a_new_rule_has_a_priority_after_those_that_are_there() -> None:
    desired = "route-rules: {config: [{ip-to: 203.0.113.0/24, route-table: 200, fwmark: 0x30}]}"

    assert _changes(desired) == {
        "route-rules": {
            "config": [
                {
                    "family": "ipv4",
                    "ip-to": "203.0.113.0/24",
                    "priority": 30001,
                    "route-table": 200,
                    "fwmark": "0x30",
                }
            ]
        }
    }


def test_a_dns_server_over_an_interface_that_is_missing_is_refused() -> None:
    over = "dns-resolver: {config: {server: ['fe80::1%%%s']}}"

    (complaint,) = joined(over % "eth9", NODE).complaints

    assert complaint.text == "eth9, over which the DNS server fe80::1%eth9 is, is missing"
    assert complaint.path == ("dns-resolver", "config", "server", 0)
    assert not joined(over % "eth1", NODE).complaints
    assert not joined(over % "eth9", f"{NODE}{over % 'eth9'}").complaints


def test_a_resolver_is_cleared_and_comes_back() -> None:
    desired = "dns-resolver: {config: {}}"

    assert _changes(desired) == {"dns-resolver": {"config": {}}}
    assert _way_back(desired) == {
        "dns-resolver": {"config": {"server": ["192.0.2.53"], "search": ["example.com"]}}
    }


def test_an_interface_is_known_by_its_mac_address() -> None:
    desired = (
        "interfaces: [{name: uplink, identifier: mac-address, mac-address: 02:00:00:00:00:01,"
        " mtu: 9000}]"
    )

    changed = _changes(desired)
    assert isinstance(changed, dict)
    (link,) = changed["interfaces"]
    assert (link["name"], link["profile-name"], link["mtu"]) == ("bond0", "uplink", 9000)


def test_altnames_are_added_and_taken_away_one_by_one() -> None:
    state = "interfaces: [{name: a, type: dummy, state: up, alt-names: [{name: x}, {name: y}]}]"
    wish = "interfaces: [{name: a, alt-names: [{name: x}, {name: z}, {name: y, state: absent}]}]"
    met = "interfaces: [{name: a, alt-names: [{name: x}, {name: z, state: absent}]}]"

    assert changes(met, state) == "{}\n"
    assert "name: z" in changes(wish, state)
    assert yaml.safe_load(way_back(wish, state))["interfaces"][0]["alt-names"] == [
        {"name": "x"},
        {"name": "z", "state": "absent"},
        {"name": "y"},
    ]


def test_a_port_of_the_node_is_given_no_addresses() -> None:
    (row,) = joined(
        "interfaces: [{name: eth3}, {name: eth1, ipv4: {enabled: true}}]", NODE
    ).complaints

    assert (row.path, row.text) == (
        ("interfaces", 1, "ipv4"),
        "eth1 is a port, and has no addresses of its own",
    )


@pytest.mark.parametrize(
    ("name", "links", "complaint"),
    [
        ("eth9", "", "eth9 is missing"),
        ("eth4", "", "eth4 has no IPv4"),
        ("vnet0", "", "vnet0 is of type tun, which is not ours, nor are routes over it"),
        ("eth3", "{name: eth3, state: absent}", "eth3 is to have no IPv4"),
        ("eth3", "{name: eth3, ipv4: {enabled: false}}", "eth3 is to have no IPv4"),
        ("eth3", "{name: bond0, type: bond, bond: {port: [eth3]}}", "eth3 is to have no IPv4"),
    ],
)
def test_a_route_needs_an_interface_with_its_family(name: str, links: str, complaint: str) -> None:
    route = f"{{destination: 203.0.113.0/25, next-hop-interface: {name}}}"

    (row,) = joined(f"interfaces: [{links}]\nroutes: {{config: [{route}]}}", NODE).complaints

    assert (row.path, row.text) == (("routes", "config", 0), complaint)


@pytest.mark.parametrize(
    ("desired", "complaint"),
    [
        ("interfaces: [{name: eth9, type: ethernet}]", "eth9: it is missing, and a NIC cannot"),
        ("interfaces: [{name: a-name-of-17-bytes, type: dummy}]", "a new one has at most 15 bytes"),
        (
            "interfaces: [{name: br0, bridge: {options: {stp: {enabled: 1, forward-delay: 1}}}}]",
            "forward-delay 1 is for a bridge without STP",
        ),
        ("interfaces: [{name: x}]", "x: it is missing, and has no type to make it by"),
        ("interfaces: [{name: b, type: bond, bond: {port: []}}]", "needs link-aggregation.mode"),
        ("interfaces: [{name: v, type: vlan, vlan: {id: 1}}]", "needs vlan.base-iface and vlan.id"),
        (
            "interfaces: [{name: v, type: vlan, vlan: {id: 1, base-iface: x}}]",
            "base-iface x is missing",
        ),
        ("interfaces: [{name: m, type: mac-vlan}]", "needs mac-vlan.base-iface"),
        ("interfaces: [{name: v, type: vrf, vrf: {port: []}}]", "needs vrf.route-table-id"),
        (BOND.format("bond: {port: [eth1, eth9]}"), "bond0: its ports eth9 are missing"),
        ("interfaces: [{name: bond0, type: dummy}]", "bond0: it is of type bond; remove it before"),
        (
            (
                "interfaces: [{name: bond0, type: bond, bond: {port: [eth1]}},"
                " {name: eth1, type: ethernet, state: absent}]"
            ),
            "bond0: eth1, which it is made of, is to be removed",
        ),
        ("interfaces: [{name: eth1, mtu: 9001}]", "eth1: the MTU must be from 68 to 9000"),
        ("interfaces: [{name: d, type: dummy, ipv4: {dhcp: true}}]", "d: ipv4 needs enabled: true"),
        ("interfaces: [{name: eth3, copy-mac-from: x}]", "eth3: copy-mac-from x is missing"),
        ("interfaces: [{name: vnet0, mtu: 1400}]", "vnet0: type tun is not ours"),
        ("interfaces: [{name: vnet0, state: absent}]", "vnet0: type tun is not ours"),
        ("interfaces: [{name: bond0, type: dummy, state: absent}]", "bond0: it is of type bond"),
        (
            BOND.format(
                "ipv6: {enabled: true, address: [{ip: '::1', prefix-length: 128}]}"
            ).replace(", type: bond", ""),
            "::1 is an address of lo and of VRFs",
        ),
        (
            "interfaces: [{name: eth3, ipv6: {enabled: 1, autoconf: 0, token: '::5'}}]",
            "eth3: its IPv6 token is for SLAAC: with `autoconf: false` leave it out",
        ),
        ("interfaces: [{name: bond0, vlan: {id: 7}}]", "vlan is for type vlan, not for bond"),
    ],
)
def test_a_document_that_this_node_cannot_fulfil_is_refused(desired: str, complaint: str) -> None:
    (row,) = joined(desired, NODE).complaints

    assert complaint in row.text
    assert row.path == ("interfaces", 0)


def test_a_link_that_comes_up_loses_again_the_names_and_options_that_it_got() -> None:
    state = (
        "interfaces: [{name: b, type: bond, state: down, alt-names: [{name: old}],"
        " bond: {mode: active-backup, port: [], options: {miimon: 0, arp_interval: 250}}}]"
    )
    wish = (
        "interfaces: [{name: b, alt-names: [{name: old}, {name: new}],"
        " bond: {options: {arp_ip_target: 192.0.2.1}}}]"
    )

    (link,) = yaml.safe_load(way_back(wish, state))["interfaces"]

    assert link["alt-names"] == [{"name": "old"}, {"name": "new", "state": "absent"}]
    assert link["link-aggregation"]["options"] == {
        "arp_interval": 250,
        "arp_ip_target": "",
        "miimon": 0,
    }


def test_ports_that_a_bond_has_need_not_be_in_a_recorded_state() -> None:
    bond = "{name: b9, type: bond, state: up, bond: {mode: 0, options: {miimon: %d}, port: [x, y]}}"
    state = f"interfaces: [{bond % 140}]"

    assert yaml.safe_load(changes(f"interfaces: [{bond % 141}]", state)) == {
        "interfaces": [
            {
                "name": "b9",
                "type": "bond",
                "state": "up",
                "link-aggregation": {"options": {"miimon": 141}},
            }
        ]
    }
    assert joined(f"interfaces: [{bond % 141}]".replace("x", "z"), state).complaints


@pytest.mark.parametrize("words", ["wait-ip: any", "wait-ip: ipv4+ipv6", "profile-name: up"])
def test_a_key_that_no_kernel_has_is_no_change(words: str) -> None:
    state = "interfaces: [{name: eth1, type: ethernet, state: up}]"
    key = words.partition(":")[0]

    assert key not in changes(f"interfaces: [{{name: eth1, {words}}}]", state).replace(words, "")
    assert steps(f"interfaces: [{{name: eth1, {words}}}]", state) == []
    assert not any(
        key in line for line in steps(f"interfaces: [{{name: d, type: dummy, {words}}}]", state)
    )


@pytest.mark.parametrize(
    ("wish", "is_there"), [(3125, True), (3124, True), (3123, False), (3126, False)]
)
def test_a_time_that_the_kernel_rounds_down_is_there(wish: int, *, is_there: bool) -> None:
    bridge = (
        "interfaces: [{name: br0, type: linux-bridge, state: up,"
        " bridge: {options: {multicast-startup-query-interval: %d}}}]"
    )

    assert (changes(bridge % wish, bridge % 3124) == "{}\n") is is_there
