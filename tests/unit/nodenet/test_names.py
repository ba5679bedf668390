"""A name in a document means an interface of the node, wherever the document has it."""

import pytest

from sriovbond.reshape import limits
from tests.unit.nodenet.states import changes, joined, steps

NODE = """\
interfaces:
- name: pf0
  type: ethernet
  state: up
  alt-names: [{name: enp1s0f0np0}]
  ethernet: {sr-iov: {total-vfs: 2, vfs: [{id: 0, iface-name: pf0v0}, {id: 1, iface-name: pf0v1}]}}
- {name: pf0v0, type: ethernet, state: up, mac-address: 02:00:00:00:00:10}
- {name: pf0v1, type: ethernet, state: up, mac-address: 02:00:00:00:00:11}
- {name: pf1, type: ethernet, state: up, mac-address: 02:00:00:00:00:99, pci-address: 0000:01:00.1,
   permanent-mac-address: 02:00:00:00:00:01, ipv4: {enabled: true, dhcp: true}}
- {name: bond5, type: bond, state: up, mac-address: 02:00:00:00:00:01}
"""


def test_ports_are_known_by_vf_altname_mac_and_pci_address() -> None:
    bond = (
        "- {name: bond0, type: bond, bond: {mode: 1, options: {primary: 'sriov:pf0:1'},"
        " port: ['sriov:pf0:1', enp1s0f0np0, uplink]}}"
    )
    uplink = "- {name: uplink, identifier: pci-address, pci-address: 0000:01:00.1}"

    assert steps(f"interfaces:\n{bond}\n{uplink}\n", NODE)[1:] == [
        "bond0: set link-aggregation.mode active-backup",
        "bond0: set link-aggregation.options.primary pf0v1",
        "bond0: set it up",
        "bond0: add port pf0",
        "bond0: add port pf0v1 when pf0 is active",
        "bond0: add port pf1 when pf0 is active, its addresses taken off",
    ]


def test_a_vf_of_a_nic_without_sr_iov_is_missing() -> None:
    state = "interfaces: [{name: pf9, type: ethernet, state: up, ethernet: {speed: 1000}}]"
    desired = "interfaces: [{name: b, type: bond, bond: {mode: 1, port: ['sriov:pf9:0']}}]"

    (complaint,) = joined(desired, state).complaints

    assert complaint.text.startswith("b: its ports sriov:pf9:0 are missing")


def test_the_permanent_mac_address_comes_before_the_present_one() -> None:
    desired = "interfaces: [{name: x, identifier: mac-address, mac-address: 02:00:00:00:00:01}]"

    assert [pair.name for pair in joined(desired, NODE).pairs] == ["pf1"]


@pytest.mark.parametrize("name", ["sriov:pf0", "sriov:pf0:1:2", "sriov:"])
def test_a_primary_that_is_no_vfs_name_is_no_port(name: str) -> None:
    bond = f"bond: {{mode: 1, options: {{primary: '{name}'}}, port: [pf1]}}"
    wish = f"interfaces: [{{name: bond0, type: bond, {bond}}}]"

    (row,) = limits.judge(joined(wish, NODE))

    assert row.text == f"bond0: primary {name} is none of its ports"


def test_a_vlan_and_a_route_follow_the_real_name() -> None:
    desired = (
        "interfaces: [{name: v7, type: vlan, vlan: {base-iface: 'sriov:pf0:0', id: 7}},"
        " {name: up, identifier: pci-address, pci-address: 0000:01:00.1}]\n"
        "routes: {config: [{destination: 203.0.113.0/24, next-hop-interface: up}]}"
    )

    text = changes(desired, NODE)

    assert "base-iface: pf0v0" in text
    assert "next-hop-interface: pf1" in text


def test_a_vf_that_the_pf_does_not_have_is_missing() -> None:
    desired = "interfaces: [{name: b, type: bond, bond: {mode: 1, port: ['sriov:pf0:7']}}]"

    (row,) = joined(desired, NODE).complaints

    hint = "a document before this one makes VFs (sr-iov.total-vfs)"
    assert row.text == f"b: its ports sriov:pf0:7 are missing; {hint}"


@pytest.mark.parametrize(
    "use",
    [
        "{name: pf0v2, type: ethernet}",
        "{name: pf0v2}",
        "{name: b, type: bond, bond: {mode: 1, port: [pf0v2]}}",
        "{name: v, type: vlan, vlan: {base-iface: pf0v2, id: 7}}",
    ],
)
def test_a_vf_that_the_document_itself_would_make_is_missing_yet(use: str) -> None:
    hint = "; a document before this one makes VFs (sr-iov.total-vfs)"
    made = ", {name: pf0, ethernet: {sr-iov: {total-vfs: 3}}}"

    assert joined(f"interfaces: [{use}{made}]", NODE).complaints[0].text.endswith(hint)
    assert not joined(f"interfaces: [{use}]", NODE).complaints[0].text.endswith(hint)


def test_two_names_for_one_interface_are_reported() -> None:
    desired = "interfaces: [{name: pf0}, {name: enp1s0f0np0, mtu: 9000}]"

    (row,) = joined(desired, NODE).complaints

    assert (row.path, row.text) == (("interfaces", 1), "pf0 is meant by two names")


def test_the_name_of_a_profile_of_a_state_is_known() -> None:
    state = "interfaces: [{name: e1, type: ethernet, identifier: mac-address, profile-name: up}]"

    assert "name: e1" in changes("interfaces: [{name: up, mtu: 9000}]", state)


@pytest.mark.parametrize("mac", ["02:00:00:00:00:01", "02:00:00:00:00:99"])
@pytest.mark.parametrize("name", ["uplink", "pf1"])
def test_an_identifier_changes_nothing(name: str, mac: str) -> None:
    desired = (
        f"interfaces: [{{name: {name}, identifier: mac-address, mac-address: '{mac}'}},"
        " {name: pf0v0, identifier: name, pci-address: '0000:09:00.0'}]"
    )

    assert steps(desired, NODE) == []
    assert f"profile-name: {name}" in changes(desired, NODE)


@pytest.mark.parametrize(
    "known", ["identifier: mac-address, mac-address: '02:00:00:00:00:77'",
              "identifier: pci-address, pci-address: '0000:99:00.0'"],
)  # fmt: skip
def test_an_interface_of_that_name_is_not_taken_for_one_that_none_is(known: str) -> None:
    (row,) = joined(f"interfaces: [{{name: pf1, {known}, state: absent}}]", NODE).complaints

    identifier, _, address = known.partition(": ")[2].replace("'", "").partition(", ")
    words = f"{identifier} {address.partition(': ')[2]}"
    assert row.text == f"pf1: no interface has the {words}, by which it is to be known"


def test_a_pci_address_may_be_in_upper_case() -> None:
    state = NODE.replace("0000:01:00.1", "0000:3b:00.1")
    desired = "interfaces: [{name: x, identifier: pci-address, pci-address: '0000:3B:00.1'}]"

    assert [pair.name for pair in joined(desired, state).pairs] == ["pf1"]


VRF_STATE = (
    "interfaces:\n"
    "- {name: red, type: vrf, state: up, vrf: {route-table-id: 7, port: [eth1]}}\n"
    "- {name: eth1, type: ethernet, state: up, controller: red, ipv4: {enabled: true, dhcp: false,"
    " address: [{ip: 192.0.2.9, prefix-length: 24}]}}\n"
    "routes: {config: [{destination: 198.51.100.0/24, next-hop-interface: eth1, table-id: 7}]}\n"
)


@pytest.mark.parametrize("table", ["", ", table-id: 7"])
def test_the_name_of_a_vrf_is_its_table(table: str) -> None:
    route = f"{{next-hop-interface: eth1, vrf-name: red{table}, destination: %s}}"

    there = f"routes: {{config: [{route % '198.51.100.0/24'}]}}"
    new = f"routes: {{config: [{route % '203.0.113.0/24'}]}}"
    gone = "routes: {config: [{state: absent, vrf-name: red}]}"
    assert steps(there, VRF_STATE) == []
    assert steps(new, VRF_STATE) == [
        "add route destination 203.0.113.0/24, next-hop-interface eth1, table-id 7"
    ]
    assert [line.partition(" destination")[0] for line in steps(gone, VRF_STATE)] == [
        "remove route"
    ]


def test_the_name_of_a_new_vrf_is_its_table() -> None:
    desired = (
        "interfaces: [{name: blue, type: vrf, vrf: {route-table-id: 8, port: []}}]\n"
        "routes: {config: [{destination: 203.0.113.0/24, route-type: blackhole, vrf-name: blue}]}\n"
    )

    assert "add route destination 203.0.113.0/24, table-id 8, route-type blackhole" in steps(
        desired, VRF_STATE
    )


@pytest.mark.parametrize("more", ["vrf-name: eth1", "vrf-name: gone", "vrf-name: red, table-id: 9"])
def test_a_name_that_is_no_vrfs_of_that_table_is_refused(more: str) -> None:
    route = f"{{destination: 203.0.113.0/24, next-hop-interface: eth1, {more}}}"

    (row,) = joined(f"routes: {{config: [{route}]}}", VRF_STATE).complaints

    name = more.partition(": ")[2].partition(",")[0]
    assert row.text == f"{name} is no VRF whose table it is in"


NAMED = (
    "interfaces:\n"
    "- {name: eth1, type: ethernet, state: up, alt-names: [{name: up0}, {name: other}]}\n"
    "- {name: eth2, type: ethernet, state: up}\n"
    "routes: {config: [{destination: 198.51.100.0/24, next-hop-interface: eth1}]}\n"
)
LOSES = "{name: eth1, alt-names: [{name: up0, state: absent}]}"


@pytest.mark.parametrize(
    ("links", "port"),
    [
        (f"{LOSES}, {{name: eth2, alt-names: [{{name: up0}}]}}", "eth2"),
        (f"{LOSES.replace('eth1', 'up0', 1)}, {{name: eth2, alt-names: [{{name: up0}}]}}", "eth2"),
        (f"{LOSES}, {{name: new, type: dummy, alt-names: [{{name: up0}}]}}", "new"),
        (f"{LOSES}, {{name: up0, type: dummy}}", "up0"),
        ("{name: eth1, alt-names: [{name: other, state: absent}]}", "eth1"),
    ],
)
def test_a_port_is_the_holder_of_the_altname_after_the_change(links: str, port: str) -> None:
    bond = "{name: bond0, type: bond, bond: {mode: 1, options: {primary: up0}, port: [up0]}}"

    lines = steps(f"interfaces: [{bond}, {links}]", NAMED)

    assert [line for line in lines if "add port" in line] == [f"bond0: add port {port}"]
    assert f"bond0: set link-aggregation.options.primary {port}" in lines


def test_a_route_that_goes_is_over_the_present_holder_of_the_altname() -> None:
    moved = f"{LOSES}, {{name: eth2, alt-names: [{{name: up0}}]}}"
    gone = "{state: absent, next-hop-interface: up0}"

    assert steps(f"interfaces: [{moved}]\nroutes: {{config: [{gone}]}}", NAMED)[-1] == (
        "remove route destination 198.51.100.0/24, next-hop-interface eth1"
    )
