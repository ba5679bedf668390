"""What is written for systemd-networkd: Debian's own makes of it what the document asks for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.nodenet import document
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.steps import plan
from sriovbond.survey import node as survey
from tests.support.agents import wait_for
from tests.support.networkd import NetworkdNode, a_networkd_node

DOCUMENT = """
interfaces:
- {name: eth1, type: ethernet}
- {name: eth2, type: ethernet}
- name: bond0
  type: bond
  mtu: 1400
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, updelay: 200, primary: eth2, resend_igmp: 3, num_grat_arp: 5}
    port: [eth1, eth2]
- name: br0
  type: linux-bridge
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: false}
  bridge: {options: {stp: {enabled: false}, mac-ageing-time: 200}, port: [{name: bond0}]}
- name: br0.7
  type: vlan
  vlan: {base-iface: br0, id: 7}
  ipv4: {enabled: true, dhcp: false, address: [{ip: 198.51.100.9, prefix-length: 24}]}
  ipv6: {enabled: false}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: br0, next-hop-address: 192.0.2.1, metric: 100}
  - {destination: 203.0.113.0/24, next-hop-interface: br0.7, next-hop-address: 198.51.100.1,
     table-id: 200}
route-rules: {config: [{ip-from: 198.51.100.9/32, route-table: 200, priority: 1000}]}
"""


@pytest.fixture
def node() -> Iterator[NetworkdNode]:
    with a_networkd_node() as made:
        made.run(
            "for n in 1 2; do ip link add eth$n type veth peer far$n; ip link set far$n up; done"
        )
        yield made


def _joined(node: NetworkdNode) -> Joined:
    with netns.opened(node.namespace) as namespace:
        state = survey.read(namespace, Host(root=node.root))
    return join(document.unite(document.read(DOCUMENT)).state, state)


def _left(node: NetworkdNode) -> list[str]:
    """Return what is missing; networkd leaves IPv6 on, without addresses."""
    joined = _joined(node)
    lines = [line for step in plan(joined) for line in step.lines]
    missing = [line for line in lines if not line.endswith("set ipv6 enabled false")]
    return [*(row.text for row in joined.complaints), *missing]


def test_networkd_brings_about_the_document_and_reads_all_of_it(
    node: NetworkdNode, tmp_path: Path
) -> None:
    wish, state = tmp_path / "wish.yml", tmp_path / "state.yml"
    wish.write_text(DOCUMENT, encoding="utf-8")
    enter = ["nsenter", f"--net={node.namespace}", sys.executable, "-m", "sriovbond", "host"]
    shown = subprocess.run([*enter, "show"], check=True, capture_output=True, text=True).stdout
    state.write_text(shown, encoding="utf-8")
    root = tmp_path / "root"
    root.mkdir()
    more = ["--as", "networkd", "--state", str(state), "--root", str(root)]
    subprocess.run([*enter, "render", str(wish), *more], check=True, capture_output=True)
    for path in (root / "etc/systemd/network").iterdir():
        (node.root / "run/systemd/network" / path.name).write_bytes(path.read_bytes())

    with node.networkd(log := tmp_path / "log"):
        wait_for(lambda: not _left(node))

    # a complaint begins with file and line, other lines name the file further on
    ours = "/run/systemd/network/10-sriovbond"
    complaints = [line for line in log.read_text().splitlines() if line.startswith(ours)]
    assert complaints == []
