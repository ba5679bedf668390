"""A change over bond, VLAN and bridge that fails or is given up leaves no trace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support import taps
from tests.support.changes import Changes, await_end
from tests.support.sites import NodeUnderTest, wait_until
from tests.support.uplinks import REFUSED, STACK, an_uplink
from tests.support.worlds import World

SOON_S = 60.0  # a change of that size takes half of it in an emulator that others share
BRIDGE = """
interfaces:
- name: br9
  type: linux-bridge
  bridge: {options: {stp: {enabled: false}}, port: [{name: eth1}, {name: eth2}]}
"""


@pytest.fixture
def changes(tmp_path: Path) -> Iterator[Changes]:
    with an_uplink(tmp_path) as node:
        yield Changes(node, [])


def test_a_whole_stack_is_made_and_quiet_on_repeat(changes: Changes) -> None:
    assert changes.apply(STACK) is ChangeOutcome.COMMITTED
    changes.node.sent.clear()

    assert changes.apply(STACK) is ChangeOutcome.NOTHING_TO_DO
    assert changes.node.sent == []


def test_a_whole_stack_that_is_refused_at_the_end_leaves_no_trace(changes: Changes) -> None:
    before = changes.node.settle()

    with pytest.raises(RevertedError, match=r"172\.16\.0\.0/12"):
        changes.apply(REFUSED)

    changes.node.assert_is(before)
    vlans = changes.node.pod.run("bridge", "vlan", "show", "dev", "eth2").stdout.split()
    assert {str(number) for number in range(30, 36)} <= set(vlans)


@pytest.mark.parametrize("number", [3, 9, 15])
def test_the_watchdog_reverts_the_change_of_a_killed_process(changes: Changes, number: int) -> None:
    before = changes.node.settle()

    assert changes.kill_at(STACK, number, SOON_S)

    await_end(changes, SOON_S + 90)
    changes.node.assert_is(before)


def test_links_on_a_link_have_their_mtu_again(changes: Changes) -> None:
    before = changes.node.settle()
    text = "interfaces: [{name: eth1, mtu: 1400}]"
    changes.apply(text, is_waiting=True)
    assert changes.node.pod.the_link("eth1.5").mtu == 1400

    changes.rollback()

    changes.node.assert_is(before)


def test_a_link_that_is_removed_comes_back_with_all_that_was_on_it(changes: Changes) -> None:
    changes.apply(STACK)
    changes.node.ip(
        "link set bond0 type bond resend_igmp 4", "link add link bond0 name v9 type vlan id 9"
    )
    before = changes.node.settle()
    gone = "interfaces: [{name: bond0, type: bond, state: absent}]"
    changes.apply(gone, is_waiting=True)

    changes.rollback()

    wait_until(lambda: _without_ports(changes.node.world()) == _without_ports(before))
    assert _without_ports(changes.node.world()) == _without_ports(before)
    assert {row.name for row in changes.node.pod.the_bond("bond0").members} == {"eth1", "eth2"}


def _without_ports(world: World) -> World:
    """Leave out the ports of the bond: it comes back with another index, which they have."""
    return {key: row for key, row in world.items() if key not in ("node: eth1", "node: eth2")}


@pytest.mark.parametrize(
    "change",
    [
        "link-aggregation: {mode: balance-xor, options: {miimon: 20}}",
        "link-aggregation: {options: {fail_over_mac: active}}",
        "link-aggregation: {options: {}}",
        "link-aggregation: {port: [eth2]}",
        "mac-address: 02:00:00:00:00:99",
    ],
)
def test_a_changed_bond_is_reverted(changes: Changes, change: str) -> None:
    changes.apply(STACK)
    before = changes.node.settle()
    changes.apply(f"interfaces: [{{name: bond0, {change}}}]", is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)


def test_ports_that_two_bonds_exchange_are_back_where_they_were(changes: Changes) -> None:
    text = """
interfaces:
- {name: a, type: bond, link-aggregation: {mode: active-backup, port: [eth1]}}
- {name: b, type: bond, link-aggregation: {mode: active-backup, port: [eth2]}}
"""
    changes.apply(text)
    before = changes.node.settle()
    swapped = text.replace("eth1", "EX").replace("eth2", "eth1").replace("EX", "eth2")
    changes.apply(swapped, is_waiting=True)
    assert [row.name for row in changes.node.pod.the_bond("a").members] == ["eth2"]

    changes.rollback()

    changes.node.assert_is(before)


def test_vlan_filtering_and_the_vlans_of_a_bridge_are_reverted(changes: Changes) -> None:
    changes.apply(BRIDGE)
    changes.node.ip("link set eth2 type bridge_slave isolated on learning off cost 77")
    before = changes.node.settle()
    vlans = changes.node.pod.run("bridge", "-d", "vlan").stdout
    ports = changes.node.pod.run("bridge", "-d", "link").stdout
    trunk = "{mode: trunk, trunk-tags: [{id-range: {min: 2, max: 4094}}]}"
    text = f"interfaces: [{{name: br9, bridge: {{port: [{{name: eth1, vlan: {trunk}}}]}}}}]"
    changes.apply(text, is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)
    assert changes.node.pod.run("bridge", "-d", "vlan").stdout == vlans
    assert changes.node.pod.run("bridge", "-d", "link").stdout == ports


def test_a_tap_that_joins_the_bridge_meanwhile_stays(changes: Changes) -> None:
    changes.apply(STACK, is_waiting=True)
    taps.add(changes.node.pod.name, "vnet0")
    changes.node.ip("link set vnet0 master br0 up")

    changes.rollback()

    assert changes.node.pod.the_link("vnet0").master
    assert changes.node.pod.the_link("eth2").master


def test_entries_that_a_person_made_are_there_again(changes: Changes) -> None:
    node, gone = changes.node, "- {name: br0, type: linux-bridge, state: absent}\n"
    node.ip(
        "neighbour add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth1 nud permanent",
        "neighbour add 2001:db8::77 lladdr 02:00:00:00:00:77 dev eth1 nud permanent",
    )
    for words in (
        "vlan add dev br0 vid 12 self",
        "fdb add 02:00:00:00:00:aa dev eth2 master static vlan 30",
        "fdb add 02:00:00:00:00:ab dev eth2 master static sticky",
    ):
        assert node.pod.run("bridge", *words.split()).returncode == 0, words
    before = _entries(node)
    changes.apply(STACK.replace("interfaces:\n", f"interfaces:\n{gone}", 1), is_waiting=True)
    assert _entries(node) != before

    changes.rollback()

    assert _entries(node) == before


def _entries(node: NodeUnderTest) -> list[str]:
    """Return permanent neighbours, static entries of bridges, and the VLANs of br0 itself."""
    lines = node.pod.run("ip", "neighbour", "show", "nud", "permanent").stdout.splitlines()
    table = node.pod.run("bridge", "fdb", "show").stdout.splitlines()
    lines += [line for line in table if "static" in line and " master " in line]
    vlans = node.pod.run("bridge", "vlan", "show", "dev", "br0").stdout
    return sorted(line.strip() for line in [*lines, *vlans.splitlines()])
