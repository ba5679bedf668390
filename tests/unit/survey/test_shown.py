"""What is shown of a state is a document that a plan takes."""

from dataclasses import replace

import pytest

from sriovbond.nodenet import document
from sriovbond.nodenet.joined import join
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.routing import NodeRoute, NodeRoutes
from sriovbond.nodenet.steps import plan
from sriovbond.nodenet.writer import to_json, to_yaml
from sriovbond.reshape import limits
from sriovbond.survey.shown import show

STATE = """
dns-resolver: {config: {server: [192.0.2.1], search: [], options: [ndots:2, x-of-musl]}}
route-rules: {config: [{family: ipv4, priority: 5, route-table: 7}]}
routes:
  running: [{destination: 192.0.2.0/24, next-hop-interface: bond0}]
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: bond0, next-hop-address: 192.0.2.1}
  - {destination: 203.0.113.0/24, next-hop-interface: eth1, next-hop-address: 192.0.2.1}
interfaces:
- name: bond0
  type: bond
  state: up
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: true, dhcp: true, autoconf: true, address: [], token: '::'}
  link-aggregation: {mode: active-backup, options: {miimon: 100}, port: [eth1]}
- name: br0
  type: linux-bridge
  state: up
  bridge: {options: {gc-timer: 7, hello-timer: 8, mac-ageing-time: 300}, port: [{name: tap0}]}
- name: eth1
  type: ethernet
  state: up
  controller: bond0
  ipv4: {enabled: true, dhcp: false, address: [{ip: 192.0.2.9, prefix-length: 24}]}
  ipv6: {enabled: false}
- {name: tap0, type: tun, state: ignore, controller: br0}
"""


@pytest.mark.parametrize("write", [to_yaml, to_json])
@pytest.mark.parametrize("names", [(), ("bond0",), ("br0", "eth1")], ids=str)
def test_a_shown_state_leaves_a_plan_nothing_to_do(write: object, names: tuple[str, ...]) -> None:
    assert callable(write)
    state = document.read_state(STATE)

    wish = document.unite(document.read(write(show(state, names))))

    joined = join(wish.state, state)
    assert (joined.complaints, wish.unset, plan(joined)) == ((), (), ())
    assert list(limits.judge(joined)) == []


def test_addresses_and_routes_of_a_port_are_no_part_of_the_document() -> None:
    shown = show(document.read_state(STATE))

    port = next(link for link in shown.interfaces or () if link.name == "eth1")
    assert port.ipv4 is None
    assert shown.routes
    assert [row.next_hop_interface for row in shown.routes.config or ()] == ["bond0"]


def test_hidden_routes_are_not_shown() -> None:
    hidden = NodeRoute(destination="192.0.2.0/24", next_hop_interface="bond0", is_hidden=True)
    gateway = replace(hidden, destination="0.0.0.0/0", is_hidden=False)

    shown = show(NetState(routes=NodeRoutes(running=(hidden, gateway))))

    assert shown.routes == NodeRoutes(running=(gateway,), config=())


def test_running_timers_are_not_shown() -> None:
    text = to_yaml(show(document.read_state(STATE)))

    assert "mac-ageing-time: 300" in text
    assert "timer" not in text


def test_names_take_their_routes_with_them_and_nothing_of_the_node() -> None:
    shown = show(document.read_state(STATE), ("br0",))

    assert [link.name for link in shown.interfaces or ()] == ["br0"]
    assert (shown.dns_resolver, shown.route_rules, shown.routes) == (None, None, None)
