"""A bond with DHCP: policies of workers, a failover, an uplink that moves with its address."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from sriovbond.dhcp.packet import DhcpOption
from sriovbond.kernel.messages import IFLA_MTU
from sriovbond.trial.transaction import ChangeOutcome
from tests.support import dhcp, traffic
from tests.support.changes import Changes
from tests.support.dhcp_clients import MAC, OPTIONS, LeasedNode, a_leased_node, requests_to
from tests.support.pods import a_pod

POLICY = """
apiVersion: nmstate.io/v1
kind: NodeNetworkConfigurationPolicy
metadata:
  name: worker-bond-rr
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
          dhcp: true
        link-aggregation:
          mode: MODE
          options:
            miimon: "100"
            MORE
          port:
            - eth1
            - eth2
"""
"""A worker's policy as people write it, with the interfaces of the test."""
VLAN_POLICY = """
apiVersion: nmstate.io/v1
kind: NodeNetworkConfigurationPolicy
metadata: {name: bond-vlan}
spec:
  desiredState:
    interfaces:
    - name: bond0
      type: bond
      state: up
      copy-mac-from: eth2
      ipv4: {dhcp: true, enabled: true}
      link-aggregation: {mode: balance-rr, options: {miimon: '140'}, port: [eth1, eth2]}
    - name: bond0.102
      type: vlan
      state: up
      ipv4: {dhcp: true, enabled: true}
      vlan: {base-iface: bond0, id: 102}
"""
ETH1 = "interfaces: [{name: eth1, type: ethernet, ipv4: {enabled: true, dhcp: true}}]\n"
LONGEST_GAP_S = 8.0


def a_policy(mode: str, more: str = "") -> str:
    line = f"            {more}\n" if more else ""
    return POLICY.replace("MODE", mode).replace("            MORE\n", line)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


@pytest.fixture
def changes(leased: LeasedNode) -> Changes:
    return Changes(leased.node, [])


def test_a_policy_of_balance_rr_with_dhcp_is_applied(leased: LeasedNode, changes: Changes) -> None:
    with dhcp.server(leased.far, "far1", *OPTIONS):
        outcome = changes.apply(a_policy("balance-rr"))
        changes.node.sent.clear()
        again = changes.apply(a_policy("balance-rr"))

    assert (outcome, again) == (ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO)
    assert changes.node.sent == []
    assert len(leased.addresses("bond0")) == 1
    assert leased.node.pod.the_bond().settings["mode"] == "balance-rr"


def test_a_bond_and_a_vlan_on_it_have_a_lease_each(leased: LeasedNode, changes: Changes) -> None:
    """As policies of kubernetes-nmstate have it, with the MAC of a port that they name."""
    with a_pod("tagged") as tagged:
        leased.far.batch(
            "link add link far1 name far1.102 type vlan id 102",
            f"link set far1.102 netns {tagged.name}",
        )
        tagged.batch("address add 192.0.2.1/24 dev far1.102", "link set far1.102 up")
        with (
            dhcp.server(leased.far, "far1"),
            dhcp.server(tagged, "far1.102", "start 192.0.2.150", "end 192.0.2.159"),
        ):
            outcome = changes.apply(VLAN_POLICY)
            changes.node.sent.clear()
            again = changes.apply(VLAN_POLICY)

    assert (outcome, again) == (ChangeOutcome.COMMITTED, ChangeOutcome.NOTHING_TO_DO)
    assert changes.node.sent == []
    assert [row[:10] for row in leased.addresses("bond0")] == ["192.0.2.10"]
    assert [row[:10] for row in leased.addresses("bond0.102")] == ["192.0.2.15"]
    assert leased.node.pod.the_bond().mac == "02:00:00:00:00:02"


@pytest.mark.parametrize("more", ["", "fail_over_mac: active"])
def test_a_failover_keeps_address_and_id(leased: LeasedNode, changes: Changes, more: str) -> None:
    with (
        dhcp.server(leased.far, "far1", lease_s=20),
        requests_to(leased.far, "far1") as requests,
    ):
        changes.apply(a_policy("active-backup", more))
        before = leased.addresses("bond0")
        first = requests()
        leased.node.ip("link set wire1 down")
        renewed = leased.await_requests(requests)

    ids = {message.options[DhcpOption.CLIENT_ID] for message in (*first, *renewed)}
    assert ids == {b"\x01" + MAC}
    assert leased.addresses("bond0") == before
    assert {message.mac == MAC for message in renewed} == {not more}
    assert leased.status("bond0").is_leased


def test_an_uplink_moves_onto_a_bond_and_keeps_its_address(
    leased: LeasedNode, changes: Changes
) -> None:
    with (
        dhcp.server(leased.far, "far1", *OPTIONS),
        requests_to(leased.far, "far1") as requests,
    ):
        changes.apply(ETH1)
        (before,) = leased.addresses()
        first = requests()
        with traffic.pings(leased.far, before.partition("/")[0]) as pings:
            changes.apply(a_policy("active-backup"))
            pings.await_answer(time.time())
        moved = requests()

    sys.stdout.write(f"moved with {pings}\n")
    ids = {message.options[DhcpOption.CLIENT_ID] for message in (*first, *moved)}
    assert ids == {b"\x01" + MAC}
    assert leased.addresses("bond0") == [before]
    assert leased.addresses() == []
    assert files.names(leased.node.host) == ("bond0",)
    assert pings.silence_s < LONGEST_GAP_S


def test_a_port_that_had_a_lease_has_its_own_mtu_when_its_bond_is_gone(
    leased: LeasedNode, changes: Changes
) -> None:
    """The kernel gives a port the MTU back that it came with."""
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        changes.apply(a_policy("active-backup"))
        changes.apply("interfaces: [{name: bond0, type: bond, state: absent}]")

    assert leased.node.site.link("eth1").number(IFLA_MTU) == 1500


@pytest.mark.parametrize("more", ["", 'min_links: "2"'])
def test_a_bond_is_made_though_its_first_port_has_no_carrier_or_one_is_not_enough(
    leased: LeasedNode, changes: Changes, more: str
) -> None:
    if not more:
        leased.node.ip("link set wire1 down")
    with dhcp.server(leased.far, "far1", *OPTIONS):
        outcome = changes.apply(a_policy("active-backup", more))

    assert outcome is ChangeOutcome.COMMITTED
    assert len(leased.addresses("bond0")) == 1
