"""Each rule of the node's bonds finds its case, and lets the nearest one pass."""

from dataclasses import dataclass, replace

import pytest

from sriovbond.bond.rules import RULES, Where
from sriovbond.nodenet import document
from sriovbond.survey.diagnosis import Patient, examine
from sriovbond.survey.lacp import Lacp, LacpPort

FINE = """
interfaces:
- name: bond0
  type: bond
  state: up
  mac-address: 02:00:00:00:00:01
  link-aggregation:
    mode: active-backup
    options: {miimon: 100, fail_over_mac: none}
    port: [eth1, eth2]
  ipv4: {enabled: true, address: [{ip: 192.0.2.9, prefix-length: 24}]}
- {name: eth1, type: ethernet, state: up, controller: bond0,
   mac-address: '02:00:00:00:00:01', permanent-mac-address: '02:00:00:00:00:01'}
- {name: eth2, type: ethernet, state: up, controller: bond0,
   mac-address: '02:00:00:00:00:01', permanent-mac-address: '02:00:00:00:00:02'}
- {name: eth3, type: ethernet, state: up}
"""
LINKED = "miimon: 100, fail_over_mac: none"
TWO = (LacpPort("eth1", 1), LacpPort("eth2", 1))


@dataclass(frozen=True, slots=True)
class Case:
    """What is changed in the node that is fine, or asked for by a document; and what passes."""

    rule: str
    words: str
    changes: dict[str, str] | None = None
    wish: str = ""
    lacp: Lacp | None = None
    near_changes: dict[str, str] | None = None
    near_wish: str = ""
    near_lacp: Lacp | None = None


def _wish(options: str) -> str:
    return f"interfaces: [{{name: bond0, link-aggregation: {{mode: 1, options: {options}}}}}]"


def _with_address(name: str, ip: str, prefix: int) -> dict[str, str]:
    family = "ipv6" if ":" in ip else "ipv4"
    address = f"{{ip: '{ip}', prefix-length: {prefix}}}"
    section = f"{family}: {{enabled: true, address: [{address}]}}"
    return {f"- {{name: {name}, ": f"- {{name: {name}, {section}, "}


def _with_route(name: str) -> dict[str, str]:
    route = f"{{destination: 0.0.0.0/0, next-hop-interface: {name}}}"
    return {"interfaces:": f"routes: {{config: [{route}]}}\ninterfaces:"}


def _wish_address(ip: str, prefix: int) -> str:
    (entry,) = _with_address("eth3", ip, prefix).values()
    return f"interfaces:\n{entry}}}"


LACP = Lacp(has_partner=True, aggregator=1, ports=TWO)
CASES = [
    Case("no-link-monitoring", "miimon is 0", {LINKED: "miimon: 0"},
         near_changes={LINKED: "arp_interval: 200"}),
    Case("no-link-monitoring", "miimon is 0", wish=_wish("{miimon: 0}"),
         near_wish=_wish("{arp_interval: 200, arp_ip_target: 192.0.2.1}")),
    Case("no-link-monitoring", "bond1: miimon is 0",
         wish="interfaces: [{name: bond1, type: bond, link-aggregation: {mode: 2}}]",
         near_wish="interfaces: [{name: bond1, type: bond, link-aggregation: {mode: 6}}]"),
    Case("slow-failover", "take 2000 ms", {LINKED: "miimon: 2000"},
         near_changes={LINKED: "miimon: 1000"}),
    Case("slow-failover", "take 1200 ms", wish=_wish("{downdelay: 1100}"),
         near_wish=_wish("{downdelay: 900}")),
    Case("slow-failover", "probes take 2000 ms", {LINKED: "arp_interval: 1000"},
         near_changes={LINKED: "arp_interval: 500"}),
    Case("slow-failover", "lacp_rate is slow", {"active-backup": "802.3ad"},
         near_changes={"active-backup": "802.3ad", LINKED: f"{LINKED}, lacp_rate: fast"}),
    Case("port-carries-addresses", "eth1, a port of bond0, has 192.0.2.8/24",
         _with_address("eth1", "192.0.2.8", 24),
         near_changes=_with_address("eth3", "192.0.2.8", 24)),
    Case("port-carries-addresses", "has routes",
         _with_route("eth1"),
         near_changes=_with_route("bond0")),
    Case("port-carries-addresses", "2001:db8::1/64",
         _with_address("eth1", "2001:db8::1", 64),
         near_changes=_with_address("eth1", "fe80::1", 64)),
    Case("port-not-enslaved", "bond0: its port eth3 is not in it",
         wish="interfaces: [{name: bond0, link-aggregation: {port: [eth1, eth3]}}]",
         near_wish="interfaces: [{name: bond0, link-aggregation: {port: [eth1, eth2]}}]"),
    Case("port-not-enslaved", "br0: its port eth9 is missing on this node",
         wish="interfaces: [{name: br0, type: linux-bridge, bridge: {port: [{name: eth9}]}}]",
         near_wish="interfaces: [{name: br0, state: absent, bridge: {port: [{name: eth9}]}}]"),
    Case("lacp-partner-missing", "bond0: no LACP partner", lacp=replace(LACP, has_partner=False),
         near_lacp=LACP),
    Case("lacp-aggregators-differ", "aggregator 1 is active, and eth1 in 1, eth2 in 2",
         lacp=replace(LACP, ports=(LacpPort("eth1", 1), LacpPort("eth2", 2))),
         near_lacp=replace(LACP, ports=TWO[:1])),
    Case("lacp-churned", "the actor and partner of eth2 is churned",
         lacp=replace(LACP, ports=(LacpPort("eth2", 1, ("actor", "partner")),)),
         near_lacp=LACP),
    Case("network-address", "192.0.2.0/24 is the network's own", {"192.0.2.9": "192.0.2.0"},
         near_changes={"192.0.2.9, prefix-length: 24": "192.0.2.0, prefix-length: 31"}),
    Case("network-address", "192.0.2.255/24 is the network's broadcast",
         wish=_wish_address("192.0.2.255", 24), near_wish=_wish_address("192.0.2.255", 32)),
    Case("network-address", "2001:db8::/64 is the network's own",
         wish=_wish_address("2001:db8::", 64), near_wish=_wish_address("2001:db8::", 127)),
    Case("bond-mac-of-no-port", "its MAC 02:00:00:00:00:99 is none of its ports'",
         {"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:99"},
         near_changes={"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:02"}),
    Case("bond-mac-of-no-port", "its MAC",
         {"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:99"},
         near_changes={"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:99"},
         near_wish="interfaces: [{name: bond0, mac-address: 02:00:00:00:00:99}]"),
    Case("bond-mac-of-no-port", "its MAC",
         {"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:99"},
         near_changes={"  mac-address: 02:00:00:00:00:01": "  mac-address: 02:00:00:00:00:99",
                       "fail_over_mac: none": "fail_over_mac: active"}),
]  # fmt: skip


def _examine(changes: dict[str, str] | None, wish: str, lacp: Lacp | None) -> list[tuple[str, str]]:
    text = FINE
    for part, other in (changes or {}).items():
        assert part in text
        text = text.replace(part, other, 1)
    desired = document.unite(document.read(wish)).state if wish else None
    patient = Patient(document.read_state(text), {"bond0": lacp} if lacp else {}, desired)
    return [(finding.rule, finding.text) for finding in examine(patient)]


def _label(case: Case) -> str:
    return f"{case.rule}-{case.words}"


def test_every_rule_of_the_node_has_a_case() -> None:
    assert {case.rule for case in CASES} == {row.id for row in RULES if Where.HOST in row.where}


def test_a_node_that_is_fine_has_no_findings() -> None:
    assert _examine(None, "", None) == []


@pytest.mark.parametrize("case", CASES, ids=_label)
def test_a_rule_finds_its_case(case: Case) -> None:
    ((rule, text),) = _examine(case.changes, case.wish, case.lacp)

    assert rule == case.rule
    assert case.words in text


@pytest.mark.parametrize("case", CASES, ids=_label)
def test_a_rule_lets_the_near_case_pass(case: Case) -> None:
    assert _examine(case.near_changes, case.near_wish, case.near_lacp) == []
