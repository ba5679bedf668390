"""What is missing on a node is left out of a document, with what is on it; the rest stays."""

import pytest

from sriovbond.nodenet import lacking
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.writer import plain

DOCUMENT = read_state("""
interfaces:
- name: bond0
  type: bond
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, primary: eth1}
    port: [eth1, eth2]
    ports-config: [{name: eth1, priority: 1}, {name: eth2, priority: 2}]
- {name: br0, type: linux-bridge, bridge: {port: [{name: eth3}, {name: bond0}]}}
- {name: eth3, type: ethernet, mtu: 1400}
- {name: eth3.7, type: vlan, vlan: {base-iface: eth3, id: 7}}
- {name: eth3.7.8, type: vlan, vlan: {base-iface: eth3.7, id: 8}}
routes:
  config:
  - {destination: 203.0.113.0/24, next-hop-interface: eth3.7.8}
  - {destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1}
""")


def test_a_document_needs_the_nics_that_it_does_not_make() -> None:
    assert lacking.needed(DOCUMENT) == {"eth1", "eth2", "eth3"}


@pytest.mark.parametrize("kind", ["ethernet", "veth"])
def test_the_other_end_of_a_new_veth_is_none_that_is_missing(kind: str) -> None:
    state = read_state(
        "interfaces:\n"
        "- {name: va, type: veth, veth: {peer: vb}}\n"
        f"- {{name: vb, type: {kind}}}\n"
        "- {name: br0, type: linux-bridge, bridge: {port: [{name: vb}, {name: eth1}]}}\n"
    )

    assert lacking.needed(state) == {"eth1"}


OVER_OTHERS = """
interfaces: [{name: eth3, mtu: 1400}, {name: bond0, type: bond, bond: {mode: 1}}]
dns-resolver: {config: {server: ["fe80::1%eth4", 192.0.2.53]}}
routes:
  config:
  - {destination: 203.0.113.0/24, next-hop-interface: eth1}
  - {destination: 198.51.100.0/24, next-hop-interface: bond0}
  - {state: absent, next-hop-interface: eth8}
  - {destination: 10.0.0.0/8, route-type: blackhole}
"""


def test_a_document_needs_the_interfaces_of_its_routes_and_servers_and_those_without_a_type() -> (
    None
):
    assert lacking.needed(read_state(OVER_OTHERS)) == {"eth1", "eth3", "eth4"}


def test_servers_over_missing_interfaces_are_left_out_but_never_all_of_them() -> None:
    left = lacking.without(read_state(OVER_OTHERS), {"eth4"})
    alone = lacking.without(read_state(OVER_OTHERS.replace(", 192.0.2.53", "")), {"eth4"})

    assert plain(left)["dns-resolver"] == {"config": {"server": ["192.0.2.53"]}}
    assert plain(alone)["dns-resolver"] == {"config": {}}


IGNORING = """
interfaces:
- name: bond0
  type: bond
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, primary: eth2}
    port: [eth1, eth2]
    ports-config: [{name: eth1, priority: 1}, {name: eth2}]
- {name: eth2, type: ethernet, state: ignore}
- {name: eth3, type: ethernet, controller: ovs0}
- {name: ovs0, type: ovs-interface, state: ignore}
- {name: br0, type: linux-bridge, bridge: {port: [{name: bond0}, {name: vnet0}]}}
- {name: vnet0, type: tun, state: ignore}
"""


def test_at_a_boot_the_ports_that_a_document_ignores_are_left_out() -> None:
    """It was kept with ports that stayed where they were, such as a virtual machine's tap."""
    kept = lacking.without_ignored(read_state(IGNORING))
    fresh = "interfaces: [{name: eth1, type: ethernet}, {name: eth2, type: ethernet}]"
    node = read_state(f"{fresh[:-1]}, {{name: eth3, type: ethernet}}]")

    links = {row["name"]: row for row in plain(kept)["interfaces"]}

    assert lacking.needed(kept) == {"eth1", "eth3"}
    assert join(kept, node).complaints == ()
    assert links["bond0"]["link-aggregation"] == {
        "mode": "active-backup",
        "options": {"miimon": 100},
        "port": ["eth1"],
        "ports-config": [{"name": "eth1", "priority": 1}],
    }
    assert links["br0"]["bridge"] == {"port": [{"name": "bond0"}]}
    assert "controller" not in links["eth3"]
    assert lacking.without_ignored(DOCUMENT) == DOCUMENT


def test_a_bond_has_the_ports_that_are_left_and_no_primary_that_is_gone() -> None:
    (bond, *_) = lacking.without(DOCUMENT, {"eth1"}).interfaces or ()

    assert plain(bond)["link-aggregation"] == {
        "mode": "active-backup",
        "options": {"miimon": 100},
        "port": ["eth2"],
        "ports-config": [{"name": "eth2", "priority": 2}],
    }


def test_without_a_nic_its_ports_and_routes_are_left_out() -> None:
    left = lacking.without(DOCUMENT, {"eth3"})

    assert [link.label for link in left.interfaces or ()] == ["bond0", "br0"]
    assert plain((left.interfaces or ())[1])["bridge"] == {"port": [{"name": "bond0"}]}
    assert [row.next_hop_interface for row in (left.routes and left.routes.config) or ()] == ["br0"]


def test_a_bond_without_ports_is_left_out_with_the_bridge_over_it_and_their_routes() -> None:
    left = lacking.without(DOCUMENT, {"eth1", "eth2", "eth3"})

    assert left.interfaces == ()
    assert left.routes is not None
    assert left.routes.config == ()


def test_a_document_of_which_nothing_is_missing_is_as_it_was() -> None:
    assert lacking.without(DOCUMENT, ()) == DOCUMENT
