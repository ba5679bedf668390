"""What people write is read, or refused with all faults at once, each with its place."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.bond.options import Setting
from sriovbond.nodenet.document import DocumentError, read, read_state, unite
from sriovbond.nodenet.model import NodeLink, PortVlan
from sriovbond.nodenet.writer import plain, to_yaml
from tests.unit.nodenet.states import joined, steps

LACP = """\
apiVersion: nmstate.io/v1
kind: NodeNetworkConfigurationPolicy
metadata:
  name: worker-bond-lacp
spec:
  nodeSelector:
    node-role.kubernetes.io/worker: ""
  desiredState:
    interfaces:
      - name: bond0
        type: bond
        state: up
        ipv4:
          enabled: true
          dhcp: false
          address:
            - ip: 192.168.100.10
              prefix-length: 24
        ipv6:
          enabled: false
        link-aggregation:
          mode: 802.3ad
          options:
            miimon: "100"
            lacp_rate: "fast"
            xmit_hash_policy: "layer3+4"
          port:
            - ens224
            - ens256
      - name: ens224
        type: ethernet
        state: up
        ipv4:
          enabled: false
"""


def _link(text: str) -> NodeLink:
    (document,) = read(text)
    (link,) = document.state.interfaces or ()
    return link


def _bond(section: str) -> NodeLink:
    return _link(f"interfaces: [{{name: bond0, type: bond, {section}}}]")


def _faults(text: str) -> list[str]:
    with pytest.raises(DocumentError) as caught:
        read(text)
    return caught.value.lines


def test_a_policy_of_a_cluster_is_read() -> None:
    (document,) = read(LACP)

    bond, port = document.state.interfaces or ()
    assert document.name == "worker-bond-lacp"
    assert bond.link_aggregation is not None
    assert bond.link_aggregation.mode == "802.3ad"
    assert bond.link_aggregation.port == ("ens224", "ens256")
    assert bond.link_aggregation.options is not None
    assert bond.link_aggregation.options.settings == (
        Setting("lacp_rate", "fast"),
        Setting("miimon", 100),
        Setting("xmit_hash_policy", "layer3+4"),
    )
    assert port.name == "ens224"


def test_yaml_and_json_and_both_versions_say_the_same() -> None:
    as_json = json.dumps(yaml.safe_load(LACP), indent="\t")

    assert read(as_json)[0].state == read(LACP)[0].state
    assert read(LACP.replace("/v1", "/v1beta1"))[0].state == read(LACP)[0].state


HEAD = "apiVersion: nmstate.io/v1\nkind: NodeNetworkConfigurationPolicy\n"


@pytest.mark.parametrize("mode", ["802.3ad", "4", '"4"', "lacp", "LACP"])
def test_a_mode_is_a_name_a_number_or_lacp(mode: str) -> None:
    bond = _bond(f"link-aggregation: {{mode: {mode}}}").link_aggregation

    assert bond is not None
    assert bond.mode == "802.3ad"


def test_other_spellings_of_a_bond_say_the_same() -> None:
    usual = _bond("link-aggregation: {mode: 1, port: [eth1]}")

    assert _bond("bond: {mode: active-backup, ports: [eth1]}") == usual


def test_both_spellings_with_two_values_are_refused() -> None:
    (fault,) = _faults("interfaces: [{name: b, bond: {mode: 1}, link-aggregation: {mode: 2}}]")

    assert fault == (
        "line 1, column 41: 'link-aggregation' is the same as 'bond', which has another value"
    )


def test_both_spellings_with_one_value_are_read_as_nmstate_prints_them() -> None:
    options = "group-forward-mask: 8, group-fwd-mask: 8"

    link = _link(f"interfaces: [{{name: b, bridge: {{options: {{{options}}}}}}}]")

    assert link.bridge is not None
    assert link.bridge.options is not None
    assert link.bridge.options.group_fwd_mask == 8


def test_words_of_nmstate_for_options_are_those_of_the_table() -> None:
    bond = _bond(
        "bond: {mode: 5, options: {all_slaves_active: delivered, tlb_dynamic_lb: false, "
        "num_unsol_na: '3', primary: '', arp_all_targets: 1}}"
    ).link_aggregation

    assert bond is not None
    assert bond.options is not None
    assert bond.options.settings == (
        Setting("all_slaves_active", "on"),
        Setting("arp_all_targets", "all"),
        Setting("num_grat_arp", 3),
        Setting("primary", ()),
        Setting("tlb_dynamic_lb", "off"),
    )
    assert plain(bond)["options"] == {
        "all_slaves_active": "delivered",
        "arp_all_targets": "all",
        "num_grat_arp": 3,
        "primary": "",
        "tlb_dynamic_lb": False,
    }


def test_numbers_and_truths_may_be_texts() -> None:
    link = _link(
        "interfaces: [{name: v, type: vlan, mtu: '9000', accept-all-mac-addresses: 'yes', "
        "vlan: {base-iface: eth1, id: '0x65'}, ipv4: {enabled: 'true', dhcp: n}}]"
    )

    assert link.mtu == 9000
    assert link.accept_all_mac_addresses is True
    assert link.vlan is not None
    assert link.vlan.id == 101
    assert link.ipv4 is not None
    assert (link.ipv4.enabled, link.ipv4.dhcp) == (True, False)


def test_all_faults_are_reported_at_once_each_with_its_place() -> None:
    assert _faults(
        "interfaces:\n"
        "- name: bond0\n"
        "  type: bond\n"
        "  mtu: much\n"
        "  ovs-db: {}\n"
        "  link-aggregation:\n"
        "    mode: active-backup\n"
        "    options: {miimon: -1, lacp_rate: fast, fooo: 1}\n"
        "    prot: [eth1]\n"
        "- type: dummy\n"
        "- {name: br-ex, type: ovs-bridge, bridge: {options: {fail-mode: x}}}\n"
        "ovn: {}\n"
    ) == [
        (
            "line 4, column 8: interfaces[0].mtu: a number from 0 to 2147483647 is expected, "
            "found 'much'"
        ),
        "line 5, column 3: 'ovs-db' is not supported: Open vSwitch is configured by its own tools",
        (
            "line 8, column 23: interfaces[0].link-aggregation.options.miimon: expected a number "
            "from 0 to 2147483647, found '-1'"
        ),
        "line 8, column 38: lacp_rate is not for mode active-backup",
        "line 8, column 44: 'fooo' is unknown in interfaces[0].link-aggregation.options",
        (
            "line 9, column 5: 'prot' is unknown in interfaces[0].link-aggregation; "
            "did you mean 'port'?"
        ),
        "line 10, column 3: interfaces[1] needs 'name'",
        (
            "line 11, column 23: type 'ovs-bridge' is not supported: "
            "Open vSwitch is configured by its own tools"
        ),
        "line 12, column 1: 'ovn' is not supported: Open vSwitch is configured by its own tools",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("interfaces: {}", "interfaces must be a list"),
        ("interfaces: [x]", "interfaces[0] must be an object"),
        (f"interfaces: [{{name: {'a' * 128}}}]", "1 to 127 bytes"),
        ("route-rules: {config: [{family: ipv4, iif: a-name-of-17-bytes}]}", "1 to 15 bytes"),
        (
            "interfaces: [{name: a, bond: {options: {num_grat_arp: 2, num_unsol_na: 3}}}]",
            "'num_unsol_na' is num_grat_arp, which has another value",
        ),
        ("interfaces: [{name: a, type: dummy}, {name: a}]", "interfaces has 'a' twice"),
        ("interfaces: [{name: a, type: foo}]", "type 'foo' is unknown; ours are bond"),
        ("interfaces: [{name: a, type: dummy, vlan: {id: 1}}]", "'vlan' is for type vlan, not for"),
        ("interfaces: [{name: a, mtu: 1000, ipv6: {enabled: true}}]", "MTU of at least 1280"),
        ("interfaces: [{name: a, ipv4: {address: [{ip: '::1', prefix-length: 64}]}}]", "IPv4"),
        ("interfaces: [{name: a, ipv4: {address: [{ip: 192.0.2.1}]}}]", "ip and prefix-length"),
        (
            (
                "interfaces: [{name: a, type: dummy, ipv6: {address: "
                "[{ip: '::1', prefix-length: 128}]}}]"
            ),
            "::1 is the address of no host",
        ),
        ("interfaces: [{name: a, bond: {port: [x], ports-config: [{name: y}]}}]", "the same inter"),
        ("interfaces: [{name: a, bond: {port: [x, x]}}]", "a port is named twice"),
        (
            (
                "interfaces: [{name: a, bond: {ports-config: [{name: x, queue-id: 1}, "
                "{name: y, queue-id: 1}]}}]"
            ),
            "x and y have the same queue-id 1",
        ),
        (
            "interfaces: [{name: a, bond: {options: {miimon: 1, arp_interval: 1}}}]",
            "exclude each other",
        ),
        ("interfaces: [{name: a, bond: {options: {fail_over_mac: auto}}}]", "'auto' is for pods"),
        ("interfaces: [{name: a, bond: {options: {ad_actor_system: '01:00:5E:0:0:1'}}}]", "MAC"),
        ("interfaces: [{name: a, bond: {options: {balance-slb: 1}}}]", "no option of the kernel"),
        ("interfaces: [{name: a, mptcp: {address-flags: [signal]}}]", "'mptcp' is not supported"),
        ("interfaces: [{name: a, ethtool: {ring: {rx: 64}}}]", "'ethtool' is not supported"),
        ("interfaces: [{name: a, ethtool: [{}]}]", "'ethtool' is not supported"),
        ("ovs-db: {}", "'ovs-db' is not supported"),
        ("interfaces: [{name: a, bond: {port: [x]}}, {name: b, bond: {port: [x]}}]", "port of a"),
        (
            "interfaces: [{name: a, bond: {port: [x]}}, {name: x, ipv4: {enabled: true}}]",
            "x is a port of a, which has the addresses",
        ),
        (
            "interfaces: [{name: a, bond: {port: [x]}}, {name: x, controller: ''}]",
            "x is listed as a port of a",
        ),
        (
            "interfaces: [{name: a, bond: {port: [x]}}, {name: y, controller: a}]",
            "a does not list y as a port",
        ),
        (
            "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: trunk}}]}}]",
            "a trunk needs trunk-tags",
        ),
        (
            (
                "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: trunk, tag: 3, "
                "trunk-tags: [{id: 1}, {id-range: {min: 1, max: 2}}]}}]}}]"
            ),
            "overlaps another entry",
        ),
        (f"interfaces: [{{name: a, description: {'x' * 256}}}]", "at most 255 bytes"),
        (
            "interfaces: [{name: a, mac-address: '02:00:00:00:00:01', copy-mac-from: b}]",
            "copy-mac-from and mac-address exclude each other",
        ),
        (
            "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: access}}]}}]",
            "an access port needs tag",
        ),
        (
            (
                "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: access, tag: 3, "
                "trunk-tags: [{id: 4}]}}]}}]"
            ),
            "enable-native and trunk-tags are for a trunk",
        ),
        (
            (
                "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: trunk, "
                "trunk-tags: [{id: 4095}]}}]}}]"
            ),
            "a number from 1 to 4094",
        ),
        (
            "interfaces: [{name: a, bridge: {options: {multicast-query-interval: 99}}}]",
            "multicast-query-interval 99 is below a second (100)",
        ),
        (
            "interfaces: [{name: a, bridge: {options: {mac-ageing-time: 42949673}}}]",
            "a number from 0 to 42949672",
        ),
        (
            "interfaces: [{name: a, wait-ip: ipv4+ipv6, ipv6: {enabled: false}}]",
            "wait-ip ipv4+ipv6 needs IPv6 enabled",
        ),
        ("interfaces: [{name: a, identifier: pci-address}]", "pci-address needs pci-address"),
        ("interfaces: [{name: a, identifier: mac-address}]", "mac-address needs mac-address"),
        ("interfaces: [{name: a, ipv6: {addr-gen-mode: eui48}}]", "one of eui64, none, stable"),
        ("routes: {config: [{destination: 192.0.2.0/24}]}", "a route needs next-hop-interface"),
        ("routes: {config: [{next-hop-interface: a}]}", "a route needs a destination"),
        (
            (
                "routes: {config: [{destination: '::/0', next-hop-interface: a, "
                "next-hop-address: 192.0.2.1}]}"
            ),
            "of two families",
        ),
        ("route-rules: {config: [{route-table: 1}]}", "a rule needs ip-from, ip-to or family"),
        ("dns-resolver: {config: {server: [x]}}", "address of a DNS server"),
        ("dns-resolver: {config: {options: [ndots]}}", "ndots:N"),
        ("apiVersion: v1\nkind: Pod\n", "is not NodeNetworkConfigurationPolicy of nmstate.io/v1"),
        (
            f"{HEAD}metadata: {{name: {'a' * 64}}}\nspec: {{}}\n",
            f"up to 63 letters, digits and -_. as of a label, found '{'a' * 64}'",
        ),
        (f"{HEAD}metadata: {{name: bond-}}\nspec: {{}}\n", "found 'bond-'"),
        ("desired: {interfaces: []}\nroutes: {}", "'routes' is unknown in a policy"),
        ("a: 1\na: 2", "'a' is given twice"),
        ("{", "line "),
    ],
)
def test_a_malformed_document_is_refused_with_the_reason(text: str, fault: str) -> None:
    assert any(fault in line for line in _faults(text)), _faults(text)


def test_a_value_that_cannot_be_read_is_one_fault() -> None:
    address = "ipv4: {enabled: true, address: [{ip: 192.0.2.1/24}]}"
    route = "{destination: default, next-hop-interface: a}"
    text = f"interfaces: [{{name: a, {address}}}]\nroutes: {{config: [{route}]}}"

    with pytest.raises(DocumentError) as error:
        read(text)

    assert [line.partition(": ")[2] for line in error.value.lines] == [
        "interfaces[0].ipv4.address[0].ip: an IPv4 address is expected, found '192.0.2.1/24'",
        "routes.config[0].destination: a network such as 192.0.2.0/24 is expected, found 'default'",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "interfaces: [{name: lo, type: loopback, state: ignore}]",
        "interfaces: [{name: br-ex, state: absent}]",
        "interfaces: [{name: b, bond: {port: [x], ports-config: [{name: x, queue-id: 0}]}}]",
        "interfaces: [{name: 'sriov:pf0:1', mtu: 1500}]",
        "interfaces: [{name: a, mtu: null, ipv4: ~}]",
        (
            "interfaces: [{name: a, ipv6: {enabled: true, address: ["
            "{ip: '2001:db8::1', prefix-length: 64}, {ip: '2001:DB8:0::1', prefix-length: 64}]}}]"
        ),
        "routes: {config: [{destination: 198.51.200.0/24, route-type: blackhole}]}",
        (
            "interfaces: [{name: a, bridge: {port: [{name: x, vlan: {mode: trunk, tag: 3, "
            "enable-native: true, trunk-tags: [{id: 4}]}}]}}]"
        ),
    ],
)
def test_unusual_but_valid_documents_are_read(text: str) -> None:
    (document,) = read(text)

    assert read(to_yaml(document.state))[0].state == document.state


def test_an_empty_text_has_no_document() -> None:
    assert list(read("")) == []


def test_a_bridge_of_a_policy_takes_every_vlan_unless_it_says_otherwise() -> None:
    ports_ = "{port: [{name: a}, {name: b, vlan: {}}]}"
    bridge = f"{{name: br1, type: linux-bridge, state: up, bridge: {ports_}}}"
    bare = f"interfaces: [{bridge}]"
    policy = (
        "apiVersion: nmstate.io/v1\nkind: NodeNetworkConfigurationPolicy\n"
        f"metadata: {{name: x}}\nspec: {{desiredState: {{interfaces: [{bridge}]}}}}"
    )

    section = _link(policy).bridge
    assert section is not None
    ports = section.port or ()
    assert [plain(port) for port in ports] == [
        {
            "name": "a",
            "vlan": {"mode": "trunk", "trunk-tags": [{"id-range": {"min": 2, "max": 4094}}]},
        },
        {"name": "b", "vlan": {}},
    ]
    assert ports[1].vlan == PortVlan()
    assert "vlan" not in to_yaml(read(bare)[0].state).replace("vlan: {}", "")
    for other in ("", "state: down, "):
        assert "trunk" not in to_yaml(read(policy.replace("state: up, ", other))[0].state)


def test_a_port_whose_vlan_is_null_gets_no_vlans_by_default() -> None:
    """kubernetes-nmstate looks whether the key is there (pkg/bridge)."""
    ports = "{port: [{name: a, vlan: null}, {name: b}]}"
    policy = (
        "apiVersion: nmstate.io/v1\nkind: NodeNetworkConfigurationPolicy\n"
        "metadata: {name: x}\nspec: {desiredState: {interfaces: [{name: eth1}, "
        f"{{name: br1, type: linux-bridge, state: up, bridge: {ports}}}]}}}}"
    )

    (document,) = read(policy)
    bridge = (document.state.interfaces or ())[1].bridge

    assert bridge is not None
    assert [port.vlan is None for port in bridge.port or ()] == [True, False]


def test_keys_that_cannot_be_set_are_named_with_their_places() -> None:
    (document,) = read(
        "interfaces:\n- name: a\n  lldp: {enabled: true}\n  ipv6: {enabled: true, dhcp: true}\n"
    )

    assert [str(problem) for problem in document.unset] == [
        (
            "line 3, column 19: interfaces[0].lldp.enabled cannot be set: "
            "LLDP needs a daemon such as lldpd"
        ),
        (
            "line 4, column 31: interfaces[0].ipv6.dhcp cannot be set: "
            "DHCPv6 has no client here; SLAAC is `autoconf: true`"
        ),
    ]


def test_a_feature_that_is_switched_off_needs_no_refusal() -> None:
    (document,) = read(
        "interfaces: [{name: a, lldp: {enabled: false}, ipv6: {dhcp: false}},"
        " {name: b, bond: {mode: 2, options: {balance-slb: false}}},"
        " {name: c, mptcp: {address-flags: []}, ethtool: {ring: {}, feature: null}, 802.1x: null,"
        " dispatch: {}}]\novs-db: null\n"
    )

    assert document.unset == ()


@pytest.mark.parametrize("state", ["absent", "ABSENT", "' Absent '"])
def test_of_an_interface_to_be_absent_only_its_name_and_type_count(state: str) -> None:
    (document,) = read(
        f"interfaces: [{{name: a, state: {state}, type: bond, mtu: much, ipv6: {{dhcp: true}},"
        " ethtool: {ring: {}}, fooo: 1, ipv4: {address: [{ip: 192.0.2.300}]}, bond: {mode: 9}},"
        f" {{name: b, state: {state}, identifier: mac-address, mac-address: '02:00:00:00:00:01'}}]"
    )

    assert document.unset == ()
    assert document.state.interfaces == (
        NodeLink(name="a", type="bond", state="absent"),
        NodeLink(
            name="b", state="absent", identifier="mac-address", mac_address="02:00:00:00:00:01"
        ),
    )


def test_a_bridge_of_open_vswitch_may_have_an_interfaces_name() -> None:
    bridge = "{name: br-ex, type: ovs-bridge, state: %s}"
    other = "{name: br-ex, type: dummy}"

    assert not any("twice" in line for line in _faults(f"interfaces: [{bridge % 'up'}, {other}]"))
    assert _faults(f"interfaces: [{bridge % 'ignore'}, {bridge % 'ignore'}]") == [
        "line 1, column 62: interfaces has 'br-ex' twice"
    ]
    assert steps(f"interfaces: [{bridge % 'ignore'}, {other}]", "interfaces: []") == [
        "br-ex: make it, type dummy",
        "br-ex: set it up",
    ]
    assert not joined(f"interfaces: [{other}, {bridge % 'ignore'}]", "interfaces: []").complaints


def test_unknown_keys_and_types_of_a_recorded_state_are_left_out() -> None:
    state = read_state(
        "ovs-db: {}\ninterfaces:\n"
        "- {name: br-ex, type: ovs-bridge, state: up, bridge: {options: {fail-mode: x}}}\n"
        "- {name: eth1, type: ethernet, ethtool: {ring: {}}, mtu: 1500}\n"
    )

    assert state.interfaces == (
        NodeLink(name="br-ex", type="ovs-bridge", state="up"),
        NodeLink(name="eth1", type="ethernet", mtu=1500),
    )


def test_an_interface_that_shares_its_name_with_a_bridge_of_open_vswitch_is_read() -> None:
    state = read_state(
        "interfaces:\n"
        "- {name: br-ex, type: ovs-bridge, state: up}\n"
        "- {name: br-ex, type: ovs-interface, state: up, mtu: 1400}\n"
    )

    assert state.interfaces == (NodeLink(name="br-ex", type="ovs-interface", state="up", mtu=1400),)


def test_the_state_that_kubernetes_nmstate_reports_is_read() -> None:
    state = read_state(
        "apiVersion: nmstate.io/v1beta1\nkind: NodeNetworkState\nmetadata: {name: node1}\n"
        "status:\n  currentState:\n    interfaces: [{name: eth1, type: ethernet}]\n"
    )

    assert state.interfaces == (NodeLink(name="eth1", type="ethernet"),)


def test_policies_of_one_file_are_one_document() -> None:
    both = unite(read("interfaces: [{name: a, mtu: 1500}]\n---\ninterfaces: [{name: b}]"))

    assert [link.name for link in both.state.interfaces or ()] == ["a", "b"]
    assert str(both.spot(("interfaces", 1, "mtu"))) == "line 3, column 14"


def test_faults_of_one_of_several_policies_are_where_it_has_them() -> None:
    pattern = "interfaces: [{name: %s, mtu: 1500}]\nroutes: {config: [{destination: %s}]}\n"
    rule = "route-rules: {config: [{family: ipv4}]}\n"
    dns = "dns-resolver: {config: {options: [rotate]}}\n"
    absent = "192.0.2.0/24, state: absent"
    both = unite(read(f"{pattern % ('a', absent)}{rule}---\n{pattern % ('b', absent)}{rule}{dns}"))

    assert [
        str(both.spot(path))
        for path in (
            ("interfaces", 1, "mtu"),
            ("routes", "config", 0),
            ("routes", "config", 1, "destination"),
            ("route-rules", "config", 1),
            ("dns-resolver", "config", "options", 0),
        )
    ] == [
        "line 5, column 29",
        "line 2, column 19",
        "line 6, column 33",
        "line 7, column 24",
        "line 8, column 35",
    ]


def test_an_interface_of_two_policies_is_refused() -> None:
    with pytest.raises(DocumentError, match="line 3, column 14: a is in two documents"):
        unite(read("interfaces: [{name: a}]\n---\ninterfaces: [{name: a}]"))


def test_a_host_has_its_name_of_one_document() -> None:
    with pytest.raises(DocumentError, match="two documents have hostname"):
        unite(read("hostname: {running: a}\n---\nhostname: {config: b}"))


def _plain_values() -> st.SearchStrategy[Any]:
    words = ["interfaces", "name", "type", "bond", "port", "options", "vlan", "id", "routes"]
    scalars = st.none() | st.booleans() | st.integers(-5, 5000) | st.sampled_from([*words, "x", ""])
    return st.recursive(
        scalars,
        lambda part: (
            st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(words), part, max_size=3)
        ),
        max_leaves=12,
    )


@given(_plain_values())
def test_any_tree_is_read_or_refused_in_words(value: object) -> None:
    with suppress(DocumentError):
        for document in read(json.dumps(value)):
            assert read(to_yaml(document.state))[0].state == document.state


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        f"interfaces: [{'{},' * 30_000}]",
        f"interfaces: [{{name: a, {','.join(f'kez{number}: 1' for number in range(20_000))}}}]",
    ],
    ids=["without names", "unknown keys"],
)
def test_many_faults_are_found_in_time_that_grows_as_they_do(text: str) -> None:
    before = time.process_time()

    with pytest.raises(DocumentError) as caught:
        read(text)

    assert len(caught.value.lines) >= 20_000
    assert time.process_time() - before < 30
