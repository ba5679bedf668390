"""A change of the node's network is kept whole or reverted whole, whatever ends it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.errors import MachineError, TryLaterError
from sriovbond.trial import ending
from sriovbond.trial.transaction import ChangeOutcome, RevertedError
from tests.support.changes import Changes, await_end
from tests.support.sites import NodeUnderTest, a_node
from tests.support.uplinks import a_plain_uplink

SOON_S = 30.0
DNS = "dns-resolver: {config: {server: [192.0.2.53]}}\n"
BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  bridge:
    options: {stp: {enabled: false}}
    port: [{name: eth1, stp-path-cost: 300}, {name: eth2}]
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1}
"""
WRONG = """
  - {destination: 10.0.0.0/8, next-hop-interface: br0, next-hop-address: 198.18.0.1}
"""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeUnderTest]:
    with a_plain_uplink(tmp_path) as made:
        yield made


@pytest.fixture
def changes(node: NodeUnderTest) -> Changes:
    return Changes(node, [])


def test_a_change_is_made_committed_and_quiet_on_repeat(changes: Changes) -> None:
    first = changes.apply(BRIDGE + DNS)
    changes.node.sent.clear()
    again = changes.apply(BRIDGE + DNS)

    assert (first, again) == (ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO)
    assert changes.checkpoint is None
    assert changes.node.sent == []
    assert changes.node.left(BRIDGE + DNS) == []


def test_a_step_that_the_kernel_refuses_reverts_all(changes: Changes) -> None:
    before = changes.node.settle()

    with pytest.raises(RevertedError, match=r"10\.0\.0\.0/8.*; all is as it was before"):
        changes.apply(BRIDGE + WRONG + DNS)

    changes.node.assert_is(before)
    assert changes.checkpoint is None


@pytest.mark.parametrize("number", [6])
def test_what_a_killed_process_changed_the_watchdog_reverts(changes: Changes, number: int) -> None:
    before = changes.node.settle()

    assert changes.kill_at(BRIDGE, number, SOON_S)

    await_end(changes, SOON_S + 60)
    changes.node.assert_is(before)


def test_a_change_that_waits_is_kept_by_commit_alone(changes: Changes) -> None:
    assert changes.apply(BRIDGE, SOON_S, is_waiting=True) is ChangeOutcome.WAITING
    with pytest.raises(TryLaterError, match=r"a change waits for .* more"):
        changes.apply(DNS)

    changes.commit()

    with pytest.raises(MachineError, match="no change waits"):
        changes.commit()
    assert changes.node.left(BRIDGE) == []


def test_a_change_that_waits_is_reverted_by_rollback(changes: Changes) -> None:
    before = changes.node.settle()
    changes.apply(BRIDGE + DNS, is_waiting=True)

    changes.rollback()

    changes.node.assert_is(before)


def test_nothing_is_touched_where_no_watchdog_can_be_armed(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(MachineError, match="cannot arm the watchdog"):
        changes.apply(BRIDGE)

    assert changes.node.sent == []
    assert changes.checkpoint is None


def test_a_change_of_another_namespace_is_left_alone(changes: Changes, tmp_path: Path) -> None:
    changes.apply(BRIDGE, is_waiting=True)
    with a_node(tmp_path / "other") as other:
        checkpoint = changes.checkpoint
        assert checkpoint is not None
        with pytest.raises(MachineError, match="of another network namespace"):
            ending.revert(other.site, changes.node.host, checkpoint)

        assert other.sent == []
    assert changes.node.left(BRIDGE) == []
    changes.rollback()


@pytest.mark.parametrize("promotes", ["0", "1"])
def test_routes_outlive_the_only_address_of_a_link(changes: Changes, promotes: str) -> None:
    """The kernel removes the routes of a link with its last address, also of the document's."""
    node, names = changes.node, ("all", "eth2")
    node.ip("address add 198.51.100.9/24 dev eth2", "route add 10.0.0.0/8 via 198.51.100.1")
    node.site.node.set_sysctls({f"ipv4/conf/{x}/promote_secondaries": promotes for x in names})
    before = node.settle()
    address = "{enabled: true, dhcp: false, address: [{ip: 198.51.100.8, prefix-length: 24}]}"

    changes.apply(f"interfaces: [{{name: eth2, ipv4: {address}}}]", is_waiting=True)
    meanwhile = node.pod.run("ip", "route").stdout
    changes.rollback()

    assert "10.0.0.0/8 via 198.51.100.1 dev eth2" in meanwhile
    node.assert_is(before)
