"""A node with an uplink, a free NIC, and all that a change of its network may disturb."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.sites import NodeUnderTest, a_node, a_node_with_wires

UPLINK = """
interfaces:
- name: eth1
  type: ethernet
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
"""
"""The uplink as one interface, with an address."""
DEFAULT_ROUTE = """
routes:
  config: [{destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1}]
"""
STACK = """
interfaces:
- name: bond0
  type: bond
  mtu: 1450
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  link-aggregation:
    mode: active-backup
    options: {miimon: 50, primary: eth1}
    port: [eth1, eth2]
    ports-config: [{name: eth1, queue-id: 3}, {name: eth2}]
- name: bond0.7
  type: vlan
  vlan: {base-iface: bond0, id: 7}
- name: br7
  type: linux-bridge
  ipv4:
    enabled: true
    dhcp: false
    forwarding: true
    address: [{ip: 198.51.100.9, prefix-length: 24}]
  bridge:
    options: {stp: {enabled: false}}
    port: [{name: bond0.7, vlan: {mode: access, tag: 20}}]
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address: 192.0.2.1}
  - {destination: 10.0.0.0/8, next-hop-interface: br7, next-hop-address: 198.51.100.1}
route-rules: {config: [{ip-from: 198.51.100.0/24, priority: 800, route-table: 9}]}
dns-resolver: {config: {server: [192.0.2.53], search: [example.org]}}
"""
WRONG = (
    "  - {destination: 172.16.0.0/12, next-hop-interface: bond0, next-hop-address: 198.18.0.1}\n"
)
REFUSED = STACK.replace("route-rules:", WRONG + "route-rules:")
"""The stack with a route that the kernel refuses, when all but the rules is made."""

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
"""The uplink moves into a bridge."""
BEYOND_REACH = """
  - {destination: 10.0.0.0/8, next-hop-interface: br0, next-hop-address: 198.18.0.1}
"""
"""After BRIDGE: a route that the kernel refuses."""
DNS = "dns-resolver: {config: {server: [192.0.2.53]}}\n"


@contextmanager
def an_uplink(folder: Path) -> Iterator[NodeUnderTest]:
    """Make a node with an uplink eth1, which has a VLAN on it, and eth2 in a bridge br0."""
    with a_node(folder) as node:
        node.ip(
            *(f"link add eth{n} address 02:00:00:00:00:0{n} type veth peer far{n}" for n in (1, 2)),
            "link set eth1 mtu 1480",
            "link add link eth1 name eth1.5 mtu 1470 type vlan id 5",
            "link add br0 type bridge vlan_filtering 1 forward_delay 200",
            "link set eth2 master br0",
            "link set eth2 type bridge_slave isolated on learning off cost 55",
            *(f"link set {n} up" for n in ("far1", "far2", "eth1", "eth2", "eth1.5", "br0")),
            "address add 192.0.2.9/24 dev eth1",
            "address add 192.0.2.100/32 dev eth1",
            "address add 2001:db8::9/64 dev eth1 nodad",
            "address add 203.0.113.5/24 dev eth1.5",
            "route add default via 192.0.2.1 metric 50",
            "route add 10.5.0.0/16 via 203.0.113.1 proto dhcp mtu 1300",
            "route add 10.6.0.0/16 via 192.0.2.2 table 77",
            "route add 2001:db8:5::/48 via 2001:db8::1",
            "rule add from 192.0.2.9 lookup 77 priority 700",
        )
        node.pod.run("bridge", "vlan", "add", "dev", "eth2", "vid", "30-35")
        node.site.node.set_sysctls(
            {"ipv4/conf/eth1/arp_ignore": "1", "ipv4/conf/eth2/rp_filter": "2"}
        )
        yield node


@contextmanager
def a_plain_uplink(folder: Path) -> Iterator[NodeUnderTest]:
    """Make a node whose uplink eth1 has addresses, routes and sysctls of its own; eth2 is free."""
    with a_node_with_wires(folder) as made:
        made.ip(
            "link set eth1 mtu 1480",
            "address add 192.0.2.9/24 dev eth1",
            "address add 192.0.2.100/32 dev eth1",
            "address add 2001:db8::9/64 dev eth1 nodad",
            "route add default via 192.0.2.1 metric 50",
            "route add 203.0.113.0/24 via 192.0.2.2 table 77 proto dhcp",
            "rule add from 192.0.2.9 lookup 77 priority 700",
        )
        made.site.node.set_sysctls(
            {"ipv4/conf/eth1/forwarding": "1", "ipv4/conf/eth1/arp_ignore": "1"}
        )
        yield made
