"""A move of an uplink with its lease is reverted with the lease, wherever it is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.dhcp import files
from sriovbond.kernel.messages import IFLA_MTU
from tests.support import dhcp
from tests.support.changes import Changes
from tests.support.dhcp_clients import OPTIONS, LeasedNode, a_leased_node

ETH1 = "interfaces: [{name: eth1, type: ethernet, ipv4: {enabled: true, dhcp: true}}]\n"
BRIDGE = """
interfaces:
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: true, auto-route-metric: 30}
  bridge: {options: {stp: {enabled: false}}, port: [{name: eth1}]}
dns-resolver: {config: {server: [192.0.2.54]}}
"""
MOST_REQUESTS = 40
PROMOTING = "ipv4/conf/eth1/promote_secondaries"


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[LeasedNode]:
    with a_leased_node(tmp_path) as made:
        yield made


def facts(leased: LeasedNode) -> dict[str, object]:
    """Return what the lease amounts to on the node."""
    host = leased.node.host
    return {
        "addresses": leased.addresses(),
        "routes": leased.routes(),
        "resolv.conf": leased.resolv_conf,
        "clients": files.names(host),
        "id": [client.wish for client in files.read_all(host)],
        "before": files.read_before(host, "eth1"),
        "MTU": leased.node.site.link("eth1").number(IFLA_MTU),
        "promoting": leased.node.site.node.sysctl(PROMOTING),
        "running": files.is_running(host, "eth1"),
    }


def test_a_move_that_is_killed_anywhere_gives_the_lease_back(leased: LeasedNode) -> None:
    changes = Changes(leased.node, [])
    with dhcp.server(leased.far, "far1", *OPTIONS):
        changes.apply(ETH1)
        before = facts(leased)
        number = 1
        while changes.kill_at(BRIDGE, number):
            changes.rollback()
            leased.await_lease()
            assert facts(leased) == before, number
            assert changes.checkpoint is None
            number += 1
            assert number < MOST_REQUESTS
        moved = leased.addresses("br0")

    assert moved == before["addresses"]
    assert number > 5
    assert files.names(leased.node.host) == ("br0",)
