"""Bonds, bridges and what is on them, made and changed on a node by the steps of a document."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.nodenet.difference import revert
from sriovbond.nodenet.writer import to_yaml
from tests.support.changes import Changes
from tests.support.sites import NodeUnderTest, a_node_with_wires

BOND = """
interfaces:
- name: bond0
  type: bond
  mtu: 1400
  description: two wires
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: true, autoconf: false, address: [{ip: "2001:db8::9", prefix-length: 64}]}
  link-aggregation:
    mode: active-backup
    options: {miimon: "100", primary: eth2, fail_over_mac: none, resend_igmp: 3}
    port: [eth2, eth1]
    ports-config: [{name: eth1, queue-id: 7, priority: 3}, {name: eth2}]
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address: 192.0.2.1}
  - {destination: 198.51.100.0/24, next-hop-interface: bond0, metric: 5, table-id: 77}
  - {destination: "2001:db8:1::/48", next-hop-interface: bond0, next-hop-address: "2001:db8::1"}
  - {destination: 203.0.113.0/24, route-type: blackhole}
route-rules:
  config:
  - {ip-from: 198.51.100.0/24, priority: 900, route-table: 77}
  - {family: ipv6, priority: 901, route-table: 77, fwmark: "0x3", fwmask: "0xff", iif: lo}
"""
STACK = """
interfaces:
- name: bond0
  type: bond
  link-aggregation: {mode: balance-xor, options: {miimon: 50}, port: [eth1]}
- name: bond0.7
  type: vlan
  mtu: 1400
  vlan: {base-iface: bond0, id: 7, registration-protocol: gvrp}
- {name: q9, type: vlan, vlan: {base-iface: eth2, id: 9, protocol: 802.1ad, loose-binding: true}}
- {name: mv, type: mac-vlan, mac-vlan: {base-iface: eth2, mode: bridge, promiscuous: true}}
- name: red
  type: vrf
  ipv4: {enabled: true, dhcp: false, address: [{ip: 127.0.0.1, prefix-length: 8}]}
  ipv6: {enabled: true, autoconf: false, address: [{ip: "::1", prefix-length: 128}]}
  vrf: {route-table-id: 77, port: [dm]}
- name: dm
  type: dummy
  alt-names: [{name: another-name-for-dm}]
  accept-all-mac-addresses: true
  mac-address: 02:00:00:00:00:77
  ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.1, prefix-length: 24}]}
- {name: va, type: veth, veth: {peer: vb}}
- {name: vb, type: veth, veth: {peer: va}}
"""
DEFAULTS = """
interfaces:
- name: bond0
  type: bond
  bond:
    mode: active-backup
    port: []
    options: {miimon: 0, updelay: 0, downdelay: 0, peer_notif_delay: 0, arp_interval: 250,
      arp_ip_target: 192.0.2.1, arp_validate: none, lacp_rate: slow, tlb_dynamic_lb: true}
- name: bond1
  type: bond
  bond:
    mode: 802.3ad
    ports-config: [{name: eth1, priority: 0}]
    options: {miimon: 0, updelay: 0, arp_interval: 0, packets_per_slave: 1, primary: ''}
"""
BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  mtu: 1500
  ipv4: {enabled: false}
  ipv6: {enabled: false}
  bridge:
    options:
      group-forward-mask: 8
      mac-ageing-time: 200
      multicast-router: enabled
      multicast-snooping: false
      multicast-startup-query-interval: 3125
      multicast-membership-interval: 26001
      stp: {enabled: false, forward-delay: 16, hello-time: 3, max-age: 22, priority: 20480}
    port:
    - name: eth1
      stp-hairpin-mode: true
      stp-path-cost: 200
      stp-priority: 40
      vlan: {mode: trunk, trunk-tags: [{id: 101}, {id-range: {min: 500, max: 599}}]}
    - name: eth2
      vlan: {mode: access, tag: 305, trunk-tags: [], enable-native: false}
"""
NO_VLANS = """
interfaces:
- name: br0
  type: linux-bridge
  bridge: {port: [{name: eth1, vlan: {}}, {name: eth2, vlan: {}}]}
"""
NATIVE = """
interfaces:
- name: br0
  type: linux-bridge
  bridge:
    port:
    - {name: eth1, vlan: {mode: trunk, tag: 9, enable-native: true, trunk-tags: [{id: 102}]}}
    - {name: eth2}
"""
BONDED = "link add bond0 type bond mode active-backup miimon 100"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_node_with_wires(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            BOND,
            id="bond",
            marks=pytest.mark.kernel_from("6.0", "drops a port's priority without a word"),
        ),
        pytest.param(STACK, id="stack"),
        pytest.param(BRIDGE, id="bridge"),
        pytest.param(DEFAULTS, id="defaults"),
    ],
)
def test_a_document_is_applied_once_and_quiet_on_repeat(node: NodeUnderTest, text: str) -> None:
    assert node.apply(text) == []
    assert node.is_quiet_on_repeat(text)
    assert node.is_quiet_on_repeat(node.show())


def test_a_vlan_of_a_bridge_without_ports_has_no_mac(node: NodeUnderTest) -> None:
    node.ip("link add br9 type bridge", "link set eth1 master br9", "link set eth1 nomaster")
    node.ip("link add br9.5 link br9 type vlan id 5")

    assert "mac-address: 00:00:00:00:00:00" in node.show().partition("name: br9.5")[2]
    assert node.left(node.show()) == []


def test_a_new_bond_has_the_mac_of_its_first_port_by_name(node: NodeUnderTest) -> None:
    node.apply(BOND)

    assert node.pod.the_bond().mac == "02:00:00:00:00:01"
    made = next(line for line in node.sent if "make the bond" in line)
    assert node.sent.index(made) == 0


def test_a_port_of_another_bond_gives_a_new_one_the_mac_it_had_before(node: NodeUnderTest) -> None:
    node.apply(BOND)

    text = "{name: bond1, type: bond, link-aggregation: {mode: balance-rr, port: [eth2]}}"
    keeps = "{name: bond0, type: bond, link-aggregation: {port: [eth1]}}"
    left = node.apply(f"interfaces: [{keeps}, {text}]")

    assert left == []
    assert node.pod.the_bond("bond1").mac == "02:00:00:00:00:02"


@pytest.mark.parametrize("how", ["list", "controller"])
def test_a_bonds_port_that_moves_into_a_bridge_is_up_there(node: NodeUnderTest, how: str) -> None:
    node.apply(BOND)
    bridge = "{name: br0, type: linux-bridge, ipv6: {enabled: false}"
    listed = f"{bridge}, bridge: {{port: [{{name: eth2}}]}}}}"
    named = f"{bridge}}}, {{name: eth2, type: ethernet, controller: br0}}"
    text = f"interfaces: [{listed if how == 'list' else named}]"

    assert node.apply(text) == []
    assert node.is_quiet_on_repeat(text)
    assert node.pod.the_link("eth2").is_up
    assert controllers(node, "eth2") == ["br0"]


def test_a_port_is_detached_and_attached_by_its_controller(node: NodeUnderTest) -> None:
    node.apply(BOND)

    for controller in ("''", "bond0"):
        text = f"interfaces: [{{name: eth1, type: ethernet, controller: {controller}}}]"
        assert node.apply(text) == []
        assert node.is_quiet_on_repeat(text)
        assert controllers(node, "eth1") == [controller.strip("'")]


def test_ports_of_two_bonds_are_swapped_by_their_controller(node: NodeUnderTest) -> None:
    bond = "{name: bond%d, type: bond, bond: {mode: 1, options: {miimon: 100}, port: [%s, %s]}}"
    bonds = f"{bond % (0, 'eth1', 'far1')}, {bond % (1, 'eth2', 'far2')}"
    swap = "{name: eth1, controller: bond1}, {name: eth2, controller: bond0}"

    assert node.apply(f"interfaces: [{bonds}]") == []
    assert node.apply(f"interfaces: [{swap}]") == []
    assert node.is_quiet_on_repeat(f"interfaces: [{swap}]")
    assert controllers(node, "eth1", "far1", "eth2", "far2") == ["bond1", "bond0", "bond0", "bond1"]


def controllers(node: NodeUnderTest, *names: str) -> list[str]:
    """Return what each of these is a port of, as `ip` has it."""
    controller_of = {row["ifname"]: row.get("master", "") for row in node.pod.ip("-j link show")}
    return [controller_of[name] for name in names]


def test_a_vlan_comes_up_with_a_nic_that_is_down_and_not_mentioned(node: NodeUnderTest) -> None:
    node.ip("link set eth1 down")
    text = "interfaces: [{name: v7, type: vlan, vlan: {base-iface: eth1, id: 7}}]"

    assert node.apply(text) == []
    assert node.site.link("eth1").is_up
    assert node.is_quiet_on_repeat(text)


def test_a_vlan_takes_the_place_of_one_that_goes_and_is_reverted(node: NodeUnderTest) -> None:
    node.ip(
        "link add v7 link eth1 type vlan id 7", "link set v7 up", "address add 192.0.2.9/24 dev v7"
    )
    address = "ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}"
    new = f"{{name: w7, type: vlan, vlan: {{base-iface: eth1, id: 7}}, {address}}}"
    text = f"interfaces: [{new}, {{name: v7, type: vlan, state: absent}}]"
    changes, before = Changes(node, []), node.settle()
    changes.apply(text, is_waiting=True)
    assert node.left(text) == []

    changes.rollback()

    node.assert_is(before)


REMADE = """
interfaces:
- {name: v7, type: vlan, vlan: {base-iface: eth2, id: 17}}
- {name: w7, type: vlan, vlan: {base-iface: eth1, id: 7}}
- {name: p9, type: vlan, vlan: {id: 19}}
"""


def test_vlans_with_another_id_keep_addresses_and_routes_and_are_reverted(
    node: NodeUnderTest,
) -> None:
    node.ip(
        "link add v7 link eth1 type vlan id 7",
        "link set v7 up alias seventh",
        "link property add dev v7 altname lucky",
        "address add 192.0.2.9/24 dev v7",
        "address add 2001:db8::9/64 dev v7 nodad",
        "route add 198.51.100.0/24 via 192.0.2.1",
        "link add br0 type bridge",
        "link set br0 up",
        "link add p9 link eth1 type vlan id 9",
        "link set p9 up master br0",
    )
    changes, before = Changes(node, []), node.settle()

    changes.apply(REMADE, is_waiting=True)

    assert node.left(REMADE) == []
    assert "via 192.0.2.1 dev v7" in node.pod.run("ip", "route").stdout
    assert "192.0.2.9/24" in node.pod.run("ip", "-br", "address", "show", "lucky").stdout
    assert node.pod.the_link("p9").master
    assert node.is_quiet_on_repeat(REMADE)
    changes.rollback()
    node.assert_is(before)


def test_a_macvlan_that_waits_for_its_base_is_the_primary_of_a_bond(node: NodeUnderTest) -> None:
    node.ip(
        "link add br0 type bridge",
        "link set eth1 master br0",
        "link add bond0 address 02:00:00:00:00:02 type bond mode active-backup miimon 100",
        "link set eth2 down",
        "link set eth2 master bond0",
        "link set bond0 up",
    )
    bond = "{name: bond0, type: bond, bond: {options: {primary: mv}, port: [mv, eth2]}}"
    bridge = "{name: br0, type: linux-bridge, bridge: {port: []}}"
    macvlan = "{name: mv, type: mac-vlan, mac-vlan: {base-iface: eth1, mode: vepa}}"

    assert node.apply(f"interfaces: [{bond}, {bridge}, {macvlan}]") == []

    assert node.pod.the_bond().settings["primary"] == "mv"


def test_the_second_port_waits_until_the_first_is_active(node: NodeUnderTest) -> None:
    node.apply(BOND)

    puts = [line for line in node.sent if "put eth" in line and "into bond0" in line]
    assert [line.split()[2] for line in puts] == ["eth1", "eth2"]
    assert node.pod.the_bond().settings["primary"] == "eth2"


@pytest.mark.parametrize(
    "options", ["{}", "{miimon: 0, arp_interval: 500, arp_ip_target: 192.0.2.1}"]
)
def test_options_change_in_place_and_go_back_to_the_defaults(
    node: NodeUnderTest, options: str
) -> None:
    node.apply(BOND.replace("resend_igmp: 3", "resend_igmp: 3, updelay: 200"))
    ports = node.pod.the_bond().members

    text = f"interfaces: [{{name: bond0, type: bond, link-aggregation: {{options: {options}}}}}]"
    extra = "" if options == "{}" else text.replace("{miimon", "{updelay: 0, miimon")
    left = node.apply(extra or text)

    assert left == []
    assert not [line for line in node.sent if "out of bond0" in line]
    assert [row.name for row in node.pod.the_bond().members] == [row.name for row in ports]


WATCHED = "link add bond0 type bond mode active-backup miimon 100 updelay 200 downdelay 200"
PROBED = (
    "link add bond0 type bond mode active-backup arp_interval 250 arp_ip_target 192.0.2.1"
    " arp_validate active"
)
PROBES = "arp_interval: 250, arp_ip_target: 192.0.2.1"


@pytest.mark.parametrize(
    ("lines", "bond", "after"),
    [
        (
            [WATCHED],
            "options: {miimon: 50, updelay: 200, downdelay: 200}",
            {"miimon": 50, "updelay": 200, "downdelay": 200},
        ),
        ([WATCHED], "options: {miimon: 50}", {"miimon": 50, "updelay": 200, "downdelay": 200}),
        ([WATCHED], "options: {miimon: 150}", {"miimon": 150, "updelay": 300, "downdelay": 300}),
        ([WATCHED], "options: {miimon: 0}", {"miimon": 0, "updelay": 0}),
        ([WATCHED], f"options: {{miimon: 0, {PROBES}}}", {"miimon": 0, "arp_interval": 250}),
        (  # what the delays were is not to be seen without miimon, and comes again with it
            [WATCHED, "link set bond0 type bond miimon 0"],
            "options: {miimon: 100, updelay: 0}",
            {"updelay": 0, "downdelay": 0},
        ),
        (
            [PROBED],
            "options: {arp_interval: 0, miimon: 100}",
            {"miimon": 100, "arp_interval": 0, "arp_validate": "none"},
        ),
        (
            [WATCHED],
            "mode: 802.3ad, options: {miimon: 100, lacp_rate: fast}",
            {"miimon": 100, "updelay": 0, "lacp_rate": "fast"},
        ),
        ([PROBED], "mode: 802.3ad", {"miimon": 100, "updelay": 0}),
        (
            [PROBED],
            f"mode: balance-xor, options: {{miimon: 0, updelay: 0, {PROBES}}}",
            {"miimon": 0, "arp_interval": 250, "arp_validate": "none"},
        ),
        ([WATCHED], "options: {}", {"miimon": 0, "updelay": 0}),
    ],
)
def test_the_monitoring_of_a_bond_changes_with_its_delays_and_is_reverted(
    node: NodeUnderTest, lines: list[str], bond: str, after: dict[str, object]
) -> None:
    node.ip(*lines)
    before = node.read().interfaces
    text = f"interfaces: [{{name: bond0, type: bond, bond: {{{bond}}}}}]"
    back = to_yaml(revert(node.join(text)))

    assert node.apply(text) == []

    assert node.pod.the_bond().settings.items() >= after.items()
    assert node.apply(back) == []
    assert node.read().interfaces == before


def test_a_changed_mode_keeps_ports_addresses_routes_and_vlans(
    node: NodeUnderTest,
) -> None:
    node.apply(BOND)
    node.ip(
        "link add link bond0 name bond0.9 type vlan id 9",
        "link set bond0.9 up",
        "address add 203.0.113.129/25 dev bond0.9",
        "route add 10.9.0.0/16 via 203.0.113.130",
    )
    text = "{name: bond0, type: bond, link-aggregation: {mode: balance-xor, options: {miimon: 50}}}"

    left = node.apply(f"interfaces: [{text}]")

    kept = BOND.split("  link-aggregation", maxsplit=1)[0] + "routes" + BOND.split("\nroutes", 1)[1]
    state = node.pod.the_bond()
    assert left == []
    assert node.left(kept) == []
    assert {row.name: row.queue_id for row in state.members} == {"eth1": 7, "eth2": 0}
    assert state.settings["mode"] == "balance-xor"
    assert state.settings["resend_igmp"] == 1
    assert "via 203.0.113.130" in str(node.pod.run("ip", "route").stdout)


def test_vlan_filtering_of_a_bridge_goes_on_and_off_with_its_vlans(node: NodeUnderTest) -> None:
    node.apply(BRIDGE)

    assert node.apply(NATIVE) == []
    assert node.apply(NO_VLANS) == []
    vlans = node.pod.run("bridge", "-j", "vlan").stdout
    assert node.apply(BRIDGE) == []
    assert "102" not in vlans
    assert "305" not in vlans


def test_an_absent_bond_is_removed_and_its_ports_stay_without_addresses(
    node: NodeUnderTest,
) -> None:
    node.apply(BOND)
    rules = BOND.split("route-rules:")[1].replace("{ip-from", "{state: absent, ip-from")

    text = "interfaces: [{name: bond0, type: bond, state: absent}]\nroute-rules:" + rules

    assert node.apply(text.replace("{family", "{state: absent, family")) == []
    assert node.pod.bond() is None
    assert not node.pod.the_link("eth1").master
    assert "198.51.100" not in node.pod.run("ip", "rule").stdout


@pytest.mark.parametrize(
    ("lines", "links"),
    [
        (
            [],
            (
                "{name: v7, type: vlan, mtu: 9000, vlan: {base-iface: eth1, id: 7}},"
                " {name: mv, type: mac-vlan, mtu: 9000, mac-vlan: {base-iface: eth1, mode: vepa}},"
                " {name: eth1, type: veth, mtu: 9000}"
            ),
        ),
        (
            [
                "link add br0 type bridge",
                "link set eth1 master br0",
                "link add b7 link br0 type vlan id 7",
            ],
            (
                "{name: b8, type: vlan, mtu: 9000, vlan: {base-iface: br0, id: 8}},"
                " {name: b7, type: vlan, mtu: 9000}, {name: eth1, type: veth, mtu: 9000}"
            ),
        ),
        (
            [],
            (
                "{name: b8, type: vlan, mtu: 9000, vlan: {base-iface: br1, id: 8}},"
                " {name: br1, type: linux-bridge, bridge: {port: [{name: eth1}]}},"
                " {name: eth1, type: veth, mtu: 9000}"
            ),
        ),
        (
            [BONDED, "link set eth1 down", "link set eth1 master bond0"],
            (
                "{name: bond0, type: bond, bond: {port: []}},"
                " {name: mv, type: mac-vlan, mtu: 9000, mac-vlan: {base-iface: eth1, mode: vepa}},"
                " {name: mv.7, type: vlan, mtu: 9000, vlan: {base-iface: mv, id: 7}},"
                " {name: eth1, type: veth, mtu: 9000}"
            ),
        ),
        (
            [BONDED, "link set eth1 down", "link set eth1 master bond0"],
            "{name: eth1, type: veth, mtu: 9000}",
        ),
    ],
    ids=("nic", "bridge", "new-bridge", "freed-port", "port"),
)
def test_a_base_has_its_mtu_before_its_uppers(
    node: NodeUnderTest, lines: list[str], links: str
) -> None:
    node.ip(*lines)

    assert node.apply(f"interfaces: [{links}]") == []
    assert node.pod.the_link("eth1").mtu == 9000


@pytest.mark.parametrize(("mtu", "of_ports"), [(1400, 1500), (1500, 1400)])
def test_a_new_bridge_has_the_mtu_of_the_document_whatever_its_ports_have(
    node: NodeUnderTest, mtu: int, of_ports: int
) -> None:
    node.ip(f"link set eth1 mtu {of_ports}", f"link set eth2 mtu {of_ports}")
    text = "{name: br0, type: linux-bridge, mtu: %d, bridge: {port: [{name: eth1}, {name: eth2}]}}"

    assert node.apply(f"interfaces: [{text % mtu}]") == []

    assert node.pod.the_link("br0").mtu == mtu
