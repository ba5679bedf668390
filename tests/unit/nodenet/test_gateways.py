"""Routes that the kernel would refuse are found before anything is touched."""

import pytest

from sriovbond.nodenet import gateways
from tests.unit.nodenet.states import joined

NODE = """\
interfaces:
- {name: eth0, type: ethernet, state: up, ipv4: {enabled: true, dhcp: false, address: [
   {ip: 192.0.2.9, prefix-length: 24}]}, ipv6: {enabled: true, autoconf: false, dhcp: false,
   address: [{ip: '2001:db8::9', prefix-length: 64}]}}
- {name: eth1, type: ethernet, state: up, ipv4: {enabled: true, dhcp: true, address: [
   {ip: 198.51.100.9, prefix-length: 24, valid-life-time: 60sec}]}}
- {name: eth2, type: ethernet, state: down, ipv4: {enabled: true, dhcp: false, address: [
   {ip: 203.0.113.9, prefix-length: 24}]}}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: eth0, next-hop-address: 192.0.2.1}
  - {destination: 10.7.0.1/32, next-hop-interface: eth0}
  running:
  - {destination: 192.0.2.0/24, next-hop-interface: eth0}
  - {destination: 10.8.0.0/16, next-hop-interface: eth0}
"""
MOVED = (
    "{name: eth0, type: ethernet, ipv4: {enabled: true, address: [{ip: 10.0.0.2, prefix-length: 8}"
    "]}}"
)


def _refused(route: str, links: str = "") -> list[str]:
    text = f"interfaces: [{links}]\nroutes: {{config: [{{destination: {route}}}]}}"
    return [row.text for row in gateways.judge(joined(text, NODE))]


def _reach(gateway: str) -> str:
    whole = f"{gateway}/{128 if ':' in gateway else 32}"
    return f"; a route to {whole} over eth0 without a gateway makes it reachable"


def _via(gateway: str, more: str = "", link: str = "eth0") -> str:
    network = "2001:db8:5::/48" if ":" in gateway else "172.16.0.0/12"
    return f"{network}, next-hop-interface: {link}, next-hop-address: '{gateway}'{more}"


@pytest.mark.parametrize(
    ("route", "links", "text"),
    [
        (
            _via("10.9.9.9"),
            "",
            "next-hop-address 10.9.9.9 is in no network of eth0; its addresses: 192.0.2.9/24"
            + _reach("10.9.9.9"),
        ),
        (
            _via("192.0.2.1"),
            MOVED,
            "next-hop-address 192.0.2.1 is in no network of eth0; its addresses: 10.0.0.2/8"
            + _reach("192.0.2.1"),
        ),
        (
            _via("2001:db8:9::1"),
            "",
            (
                "next-hop-address 2001:db8:9::1 is in no network of eth0;"
                " its addresses: 2001:db8::9/64" + _reach("2001:db8:9::1")
            ),
        ),
        (_via("2001:db8::9"), "", "next-hop-address 2001:db8::9 is eth0's own address"),
        (_via("203.0.113.1", link="eth2"), "", "eth2 is down: a route needs it up"),
        (
            _via("192.0.2.1"),
            "{name: eth0, state: down}",
            "eth0 is down: a route needs it up",
        ),
    ],
)
def test_a_route_that_the_kernel_refuses_is_refused_by_name(
    route: str, links: str, text: str
) -> None:
    assert _refused(route, links) == [text]


@pytest.mark.parametrize(
    ("route", "links"),
    [
        (_via("192.0.2.1"), ""),
        (_via("10.7.0.1"), ""),
        (_via("10.8.1.1"), ""),
        (_via("fe80::1"), ""),
        (_via("192.0.2.9"), ""),
        (_via("192.0.2.1", link="eth1"), ""),
        (_via("10.0.0.1"), MOVED),
        (_via("203.0.113.1", link="eth2"), "{name: eth2, state: up}"),
        ("172.16.0.0/12, next-hop-interface: eth0", ""),
        ("172.16.0.0/12, route-type: blackhole", ""),
        ("0.0.0.0/0, next-hop-interface: eth0, next-hop-address: 192.0.2.1", MOVED),
        ("172.16.0.0/12, next-hop-interface: eth0, next-hop-address: 10.9.9.9, state: absent", ""),
    ],
)
def test_a_route_that_the_kernel_takes_is_not_refused(route: str, links: str) -> None:
    assert _refused(route, links) == []


def test_an_address_of_a_state_without_a_prefix_is_that_of_a_host() -> None:
    state = NODE.replace("{ip: 192.0.2.9, prefix-length: 24}", "{ip: 192.0.2.9}, {}")
    text = f"routes: {{config: [{{destination: {_via('10.9.9.9')}}}]}}"

    (row,) = gateways.judge(joined(text, state))

    assert "is in no network of eth0; its addresses: 192.0.2.9/32" in row.text


@pytest.mark.parametrize(
    ("table", "rule", "is_refused"),
    [("77", "", True), ("78", "", False), ("254", "", True), ("77", "78", False)],
)
def test_a_direct_route_of_another_table_leads_to_no_gateway(
    table: str, rule: str, *, is_refused: bool
) -> None:
    state = NODE.replace(
        "  running:",
        "  - {destination: 10.6.0.0/16, next-hop-interface: eth0, table-id: 78}\n  running:",
    )
    rules = (
        f"route-rules: {{config: [{{family: ipv4, priority: 9, route-table: {rule}}}]}}\n"
        if rule
        else ""
    )
    route = f"{{destination: {_via('10.6.0.1')}, table-id: {table}}}"

    found = list(gateways.judge(joined(f"{rules}routes: {{config: [{route}]}}", state)))

    assert bool(found) == is_refused
