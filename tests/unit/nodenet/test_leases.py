"""Where a client of DHCP begins, where it ends, and whose lease another interface takes over."""

from dataclasses import replace

import pytest

from sriovbond.nodenet.acts import AddPort, AddRoute, AskLease, EndLease
from sriovbond.nodenet.document import read, read_state
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.model import Ipv4, NetState
from sriovbond.nodenet.steps import plan

STATE = read_state("""
interfaces:
- name: eth1
  type: ethernet
  state: up
  mac-address: 02:00:00:00:00:01
  ipv4:
    enabled: true
    dhcp: true
    auto-dns: false
    address: [{ip: 192.0.2.100, prefix-length: 24, valid-life-time: 60sec,
               preferred-life-time: 60sec}]
- {name: eth2, type: ethernet, state: up, mac-address: 02:00:00:00:00:02}
""")
BOND = """
interfaces:
- name: bond0
  type: bond
  ipv4: {enabled: true, dhcp: true}
  link-aggregation: {mode: active-backup, port: [eth1, eth2]}
"""


def a_state(*, is_leased: bool | None, takes_mtu: bool | None = None) -> NetState:
    links = STATE.interfaces or ()
    ip = replace(links[0].ipv4 or Ipv4(), is_leased=is_leased, takes_mtu=takes_mtu)
    return replace(STATE, interfaces=(replace(links[0], ipv4=ip), *links[1:]))


def steps(text: str, state: NetState) -> list[AskLease | EndLease]:
    (document,) = read(text)
    planned = plan(join(document.state, state))
    return [step for step in planned if isinstance(step, AskLease | EndLease)]


def eth1(ipv4: str, more: str = "") -> str:
    return f"interfaces: [{{name: eth1, type: ethernet, ipv4: {{{ipv4}}}{more}}}]"


@pytest.mark.parametrize(
    ("ipv4", "is_leased", "is_asked"),
    [
        ("enabled: true, dhcp: true, auto-dns: false", True, False),
        ("enabled: true, dhcp: true, auto-dns: false", None, False),
        ("enabled: true, dhcp: true, auto-dns: false", False, True),
        ("enabled: true, dhcp: true", True, True),
        ("dhcp: true, auto-dns: false, auto-route-metric: 5", True, True),
    ],
)
def test_a_client_begins_where_none_runs_as_it_should(
    ipv4: str, *, is_leased: bool | None, is_asked: bool
) -> None:
    planned = steps(eth1(ipv4), a_state(is_leased=is_leased))

    assert [type(step) for step in planned] == [AskLease] * is_asked


def test_an_mtu_of_the_document_is_that_of_the_interface_from_then_on() -> None:
    ipv4 = "enabled: true, dhcp: true, auto-dns: false"

    (step,) = steps(eth1(ipv4, ", mtu: 1400"), a_state(is_leased=True, takes_mtu=True))
    again = steps(eth1(ipv4, ", mtu: 1400"), a_state(is_leased=True, takes_mtu=False))

    assert isinstance(step, AskLease)
    assert not step.takes_mtu
    assert again == []


@pytest.mark.parametrize("ipv4", ["enabled: true, dhcp: false", "enabled: false"])
def test_a_client_ends_where_dhcp_does(ipv4: str) -> None:
    assert steps(eth1(ipv4), a_state(is_leased=True)) == [EndLease("eth1")]
    assert steps(eth1(ipv4), a_state(is_leased=None)) == []


def test_a_bond_takes_over_the_lease_of_its_port() -> None:
    end, ask = steps(BOND, a_state(is_leased=True))

    assert end == EndLease("eth1", heir="bond0")
    assert isinstance(ask, AskLease)
    assert (ask.name, ask.of, ask.mac) == ("bond0", "eth1", "02:00:00:00:00:01")
    assert ask.former == "192.0.2.100"
    assert ask.lines == ("bond0: ask for an address by DHCP, as eth1 did",)


def test_a_bridge_over_a_bond_takes_over_the_lease_of_the_bonds_port() -> None:
    text = BOND.replace("  ipv4: {enabled: true, dhcp: true}\n", "") + (
        "- {name: br0, type: linux-bridge, ipv4: {enabled: true, dhcp: true},\n"
        "   bridge: {port: [{name: bond0}]}}\n"
    )

    end, ask = steps(text, a_state(is_leased=True))

    assert (end.name, getattr(ask, "name", ""), getattr(ask, "of", "")) == ("eth1", "br0", "eth1")


def test_a_port_without_dhcp_gives_none_to_its_bond() -> None:
    text = BOND.replace("eth1, eth2", "eth2")

    (ask,) = steps(text, a_state(is_leased=True))

    assert isinstance(ask, AskLease)
    assert (ask.of, ask.former) == ("", "")


def test_a_bond_has_all_its_ports_before_a_route_that_needs_its_lease() -> None:
    routes = (
        "routes: {config: [{destination: 10.0.0.0/8, next-hop-interface: bond0,"
        " next-hop-address: 192.0.2.1}]}\n"
    )
    (document,) = read(BOND + routes)

    planned = plan(join(document.state, a_state(is_leased=True)))

    order = [type(step) for step in planned if isinstance(step, AddPort | AskLease | AddRoute)]
    assert order == [AddPort, AskLease, AddPort, AddRoute]


def test_a_bond_without_dhcp_has_its_routes_before_its_second_port() -> None:
    static = "enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]"
    routes = (
        "routes: {config: [{destination: 10.0.0.0/8, next-hop-interface: bond0,"
        " next-hop-address: 192.0.2.1}]}\n"
    )
    (document,) = read(BOND.replace("enabled: true, dhcp: true", static) + routes)

    planned = plan(join(document.state, a_state(is_leased=None)))

    order = [type(step) for step in planned if isinstance(step, AddPort | AddRoute)]
    assert order == [AddPort, AddRoute, AddPort]
