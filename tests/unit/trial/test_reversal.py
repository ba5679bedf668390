"""The way back has what was begun, and leaves alone what others have changed."""

import pytest

from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.writer import plain
from sriovbond.trial.checkpoint import Journal
from sriovbond.trial.reversal import missing_nics, names_of_functions, reversal

BEFORE = read_state("""
interfaces:
- {name: br0, type: linux-bridge, state: up, mtu: 1500, bridge: {port: [{name: eth1}]}}
- {name: eth1, type: ethernet, state: up, mtu: 1500, controller: br0}
- {name: eth2, type: ethernet, state: up, mtu: 1500}
- {name: v7, type: vlan, state: up, mtu: 1500, vlan: {base-iface: eth2, id: 7}}
""")
BACK = read_state("""
interfaces:
- {name: bond0, type: bond, state: absent}
- {name: br0, type: linux-bridge, state: up, mtu: 1500}
- {name: eth2, type: ethernet, state: up, mtu: 1500, ipv4: {enabled: true, dhcp: false}}
""")


def back(journal: Journal, now: str) -> dict[str, dict[str, object]]:
    document = reversal(BEFORE, BACK, journal, read_state(now))
    return {link.label: plain(link) for link in document.interfaces or ()}


def test_a_link_that_was_not_changed_is_not_reverted() -> None:
    assert back(Journal(), "interfaces: [{name: eth2, type: ethernet, mtu: 1300}]") == {}


def test_a_link_that_was_made_is_removed_if_it_exists() -> None:
    journal = Journal(made=("bond0", "bond1"), touched=("bond0", "bond1"))

    wishes = back(journal, "interfaces: [{name: bond0, type: bond}]")

    assert wishes == {"bond0": {"name": "bond0", "type": "bond", "state": "absent"}}


def test_a_link_of_that_name_that_was_there_before_stays() -> None:
    wishes = back(Journal(made=("eth2",)), "interfaces: [{name: eth2, type: ethernet}]")

    assert wishes == {}


def test_a_bridge_has_its_port_again_and_keeps_those_that_others_put_in() -> None:
    journal = Journal(touched=("br0", "eth1", "eth2"))
    now = """
interfaces:
- {name: br0, type: linux-bridge, bridge: {port: [{name: eth2}, {name: vnet0}, {name: dm}]}}
- {name: eth1, type: ethernet}
- {name: eth2, type: ethernet, controller: br0}
- {name: v7, type: vlan}
"""
    wishes = back(journal, now)

    ports = wishes["br0"]["bridge"]
    assert ports == {"port": [{"name": "eth1"}, {"name": "vnet0"}, {"name": "dm"}]}
    assert "ipv4" not in wishes["eth2"]


def test_a_vlan_that_went_with_its_base_comes_back_whole() -> None:
    wishes = back(Journal(touched=("eth2",)), "interfaces: [{name: eth2, type: ethernet}]")

    assert wishes["v7"]["vlan"] == {"base-iface": "eth2", "id": 7}


def test_nothing_is_reverted_of_a_state_that_is_empty() -> None:
    assert reversal(NetState(), NetState(), Journal(), NetState()) == NetState(interfaces=())


def test_a_link_that_is_as_it_was_is_left_alone_though_its_step_was_begun() -> None:
    now = "interfaces: [{name: eth2, type: ethernet, state: up, mtu: %d}]"
    journal = Journal(touched=("eth2",))

    assert "eth2" not in back(journal, now % 1500)
    assert "eth2" in back(journal, now % 1300)


def test_a_controller_that_was_down_stays_down_when_its_port_comes_back() -> None:
    before = read_state("""
interfaces:
- {name: br0, type: linux-bridge, state: down, bridge: {port: [{name: eth1}]}}
- {name: eth1, type: ethernet, state: up, controller: br0}
""")
    now = read_state(
        "interfaces: [{name: br0, type: linux-bridge, state: down, bridge: {port: []}}]"
    )

    document = reversal(before, NetState(), Journal(touched=("eth1",)), now)

    (link,) = [row for row in document.interfaces or () if row.label == "br0"]
    assert link.state == "down"


FUNCTIONS = read_state("""
interfaces:
- name: pf2
  type: ethernet
  state: up
  ethernet: {sr-iov: {total-vfs: 2, vfs: [{id: 0, iface-name: pf2v0}, {id: 1, iface-name: pf2v1}]}}
- {name: pf2v0, type: ethernet, state: up, mtu: 1400, alt-names: [{name: first}]}
- {name: pf2v1, type: ethernet, state: up, mtu: 1500}
""")
FEWER = read_state("interfaces: [{name: pf2, type: ethernet, ethernet: {sr-iov: {total-vfs: 2}}}]")
REMADE = Journal(touched=("pf2", "pf2v0", "pf2v1"))


def test_missing_vfs_are_no_interfaces_to_make() -> None:
    now = read_state("interfaces: [{name: pf2, type: ethernet, state: up}]")

    document = reversal(FUNCTIONS, FEWER, REMADE, now)

    assert [link.label for link in document.interfaces or ()] == ["pf2"]
    assert missing_nics(FUNCTIONS, REMADE, now) == ["pf2v0", "pf2v1"]
    assert names_of_functions(FUNCTIONS, REMADE) == {"pf2": {0: "pf2v0", 1: "pf2v1"}}


def test_vfs_whose_pf_was_not_touched_are_not_named_anew() -> None:
    assert names_of_functions(FUNCTIONS, Journal(touched=("pf2v0",))) == {}


def test_a_vf_that_was_made_anew_has_its_former_mtu() -> None:
    now = read_state("""
interfaces:
- {name: pf2, type: ethernet, state: up}
- {name: pf2v0, type: ethernet, state: up, mtu: 1500}
- {name: pf2v1, type: ethernet, state: up, mtu: 1500}
""")

    wishes = {link.label: link for link in reversal(FUNCTIONS, FEWER, REMADE, now).interfaces or ()}

    assert wishes.keys() == {"pf2", "pf2v0"}
    assert wishes["pf2v0"].mtu == 1400
    assert not missing_nics(FUNCTIONS, REMADE, now)


def test_a_vf_that_was_made_anew_gets_no_mac_by_a_document() -> None:
    """Its PF may have fixed it."""
    now = read_state("""
interfaces:
- {name: pf2, type: ethernet, state: up}
- {name: pf2v0, type: ethernet, state: up, mtu: 1500}
""")
    mac = "mac-address: 02:00:00:00:00:10"
    back = read_state(f"interfaces: [{{name: pf2v0, type: ethernet, state: up, {mac}}}]")

    wishes = {link.label: link for link in reversal(FUNCTIONS, back, REMADE, now).interfaces or ()}

    assert (wishes["pf2v0"].mtu, wishes["pf2v0"].mac_address) == (1400, None)


@pytest.mark.parametrize(
    ("ports", "has_entries"), [("eth1, eth2", True), ("eth1, eth2, other", False)]
)
def test_settings_of_a_bonds_ports_come_back_where_it_has_no_others(
    ports: str, *, has_entries: bool
) -> None:
    entries = "ports-config: [{name: eth1, queue-id: 7}, {name: eth2}]"
    bond = "{name: bond0, type: bond, state: up, link-aggregation: {mode: balance-rr, %s}}"
    nics = "{name: eth1, type: ethernet, state: up}, {name: eth2, type: ethernet, state: up}"
    before = read_state(f"interfaces: [{bond % f'port: [eth1, eth2], {entries}'}, {nics}]")
    now = read_state(f"interfaces: [{bond % f'port: [{ports}]'}, {nics}]")

    document = reversal(before, NetState(), Journal(touched=("bond0",)), now)

    (link,) = [row for row in document.interfaces or () if row.label == "bond0"]
    assert link.link_aggregation is not None
    assert bool(link.link_aggregation.ports_config) is has_entries


def test_settings_of_vfs_in_their_pf_are_not_reverted_by_a_document() -> None:
    now = read_state("interfaces: [{name: pf2, type: ethernet, state: up}]")
    settings = "sr-iov: {total-vfs: 2, vfs: [{id: 0, mac-address: 02:00:00:00:00:01}]}"
    had = read_state(f"interfaces: [{{name: pf2, type: ethernet, ethernet: {{{settings}}}}}]")

    (wish,) = reversal(FUNCTIONS, had, REMADE, now).interfaces or ()

    assert plain(wish)["ethernet"] == {"sr-iov": {"total-vfs": 2}}
