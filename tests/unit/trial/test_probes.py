"""Which gateways and servers count."""

from sriovbond.nodenet.document import read_state
from sriovbond.trial.probes import choose

STATE = """
dns-resolver: {config: {server: [192.0.2.53, 192.0.2.54]}}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1, table-id: 254}
  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.7, table-id: 77}
  - {destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 192.0.2.8}
  running:
  - {destination: "::/0", next-hop-interface: eth1, next-hop-address: "fe80::1", table-id: 254}
"""


def test_default_gateways_of_the_main_table_and_the_servers_of_dns_are_asked() -> None:
    probes = choose(read_state(STATE))

    assert [str(probe) for probe in probes] == [
        "gateway fe80::1 on eth1",
        "gateway 192.0.2.1 on eth1",
        "DNS 192.0.2.53",
        "DNS 192.0.2.54",
    ]
    assert {probe.group for probe in probes} == {"IPv6 gateway", "IPv4 gateway", "DNS"}


def test_a_node_without_a_gateway_needs_none() -> None:
    assert choose(read_state("interfaces: []")) == ()
