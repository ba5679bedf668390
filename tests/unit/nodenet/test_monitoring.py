"""A bond's options are judged together, with those that the bond has already."""

import pytest

from sriovbond.nodenet import monitoring
from sriovbond.nodenet.document import read
from tests.unit.nodenet.states import joined

NODE = """\
interfaces:
- {name: eth1, type: ethernet, state: up, controller: bond0}
- {name: eth2, type: ethernet, state: up}
- {name: bond0, type: bond, state: up, link-aggregation: {mode: active-backup, port: [eth1],
   options: {miimon: 100, updelay: 0, arp_interval: 0}}}
- {name: late, type: bond, state: up, link-aggregation: {mode: active-backup, port: [],
   options: {miimon: 100, updelay: 200, downdelay: 0, arp_interval: 0, arp_validate: none}}}
- {name: probing, type: bond, state: up, link-aggregation: {mode: active-backup, port: [],
   options: {miimon: 0, updelay: 0, arp_interval: 250, arp_ip_target: 192.0.2.1,
   arp_validate: active}}}
- {name: lacp, type: bond, state: up, link-aggregation: {mode: 802.3ad, port: [],
   options: {miimon: 0, updelay: 0}}}
- {name: odd, type: bond, state: up, link-aggregation: {mode: active-backup, port: [],
   options: {miimon: 0, arp_interval: 100}}}
"""


def _refused(link: str) -> list[str]:
    return [row.text for row in monitoring.judge(joined(f"interfaces: [{link}]", NODE))]


def _changed(options: str, name: str = "bond0") -> str:
    return f"{{name: {name}, type: bond, bond: {{options: {{{options}}}}}}}"


def _new(mode: str, options: str) -> str:
    return f"{{name: b, type: bond, bond: {{mode: {mode}, port: [eth2], options: {{{options}}}}}}}"


@pytest.mark.parametrize(
    ("link", "text"),
    [
        (
            _changed("arp_interval: 250, arp_ip_target: 192.0.2.1"),
            "bond0: both miimon 100 and arp_interval 250; keep one of them",
        ),
        (
            _changed("updelay: 250"),
            "bond0: updelay 250 is no multiple of miimon 100; choose a multiple of miimon",
        ),
        (
            _changed("lacp_rate: fast"),
            "bond0: lacp_rate is not for mode active-backup, which it has",
        ),
        (_changed("primary: eth2"), "bond0: primary eth2 is none of its ports"),
        (
            _new("active-backup", "downdelay: 100"),
            "b: downdelay 100 without miimon; choose a multiple of miimon",
        ),
        (
            _new("active-backup", "arp_interval: 100"),
            (
                "b: arp_interval 100 without arp_ip_target or ns_ip6_target; name a host that"
                " always answers, such as the gateway"
            ),
        ),
        (
            _new("active-backup", "miimon: 100, arp_validate: active"),
            (
                "b: arp_validate active without arp_interval; set arp_interval and its targets, or"
                " remove arp_validate"
            ),
        ),
        (
            "{name: b, type: bond, bond: {mode: 0, ports-config: [{name: eth2, priority: 3}]}}",
            "b: the priority of eth2 is not for mode balance-rr",
        ),
        (
            _changed("updelay: 200", "lacp"),
            "lacp: updelay 200 without miimon; choose a multiple of miimon",
        ),
        (
            _new("802.3ad", "miimon: 0, updelay: 200"),
            "b: updelay 200 without miimon; choose a multiple of miimon",
        ),
        (
            _changed("miimon: 150, updelay: 200", "late"),
            "late: updelay 200 is no multiple of miimon 150; choose a multiple of miimon",
        ),
        (
            _changed("lacp_active: off"),
            "bond0: lacp_active is not for mode active-backup, which it has",
        ),
        (_new("active-backup", "primary: eth9"), "b: primary eth9 is none of its ports"),
    ],
)
def test_options_that_cannot_be_together_are_refused(link: str, text: str) -> None:
    assert _refused(link) == [text]


@pytest.mark.parametrize(
    "link",
    [
        _changed("miimon: 0, arp_interval: 250, arp_ip_target: 192.0.2.1"),
        _changed("updelay: 200, primary: eth1"),
        _changed("miimon: 0, updelay: 0, ad_actor_system: ''"),
        _changed(""),
        _new("802.3ad", "updelay: 200, lacp_rate: fast"),
        _new("active-backup", "miimon: 50, downdelay: 100, primary: eth2"),
        _new("active-backup", "arp_interval: 100, ns_ip6_target: '2001:db8::1'"),
        _changed("arp_interval: 0, miimon: 100", "probing"),
        _changed("arp_interval: 0", "probing"),
        _changed("miimon: 0, arp_interval: 250, arp_ip_target: 192.0.2.1", "late"),
        _changed("miimon: 0", "late"),
        _changed("miimon: 150", "late"),
        _changed("miimon: 50, updelay: 200", "late"),
        _changed("lacp_rate: slow, tlb_dynamic_lb: true, packets_per_slave: 1"),
        _new("802.3ad", "miimon: 0, updelay: 0, arp_interval: 0, arp_validate: none, primary: ''"),
        "{name: b, type: bond, bond: {mode: 4, ports-config: [{name: eth2, priority: 0}]}}",
        "{name: odd, type: bond, bond: {options: {resend_igmp: 3}}}",
        "{name: bond0, type: bond, bond: {mode: 802.3ad, options: {lacp_rate: fast}}}",
        "{name: bond0, state: absent}",
    ],
)
def test_options_that_can_be_and_those_that_are_there_already_are_not(link: str) -> None:
    assert _refused(link) == []


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("options: {miimon: 100, updelay: 250}", "updelay: 250"),
        ("options: {miimon: 100, primary: eth9}", "primary: eth9"),
        ("options: {arp_interval: 100}", "arp_interval: 100"),
        ("options: {resend_igmp: 1, arp_validate: active}", "arp_validate: active"),
        ("ports-config: [{name: eth2, priority: 3}]", "{name: eth2, priority"),
    ],
)
def test_a_complaint_has_the_place_of_its_option(entry: str, found: str) -> None:
    mode = "balance-rr" if "priority" in entry else "active-backup"
    text = f"interfaces:\n- name: b\n  type: bond\n  bond:\n    mode: {mode}\n    {entry}\n"
    (document,) = read(text)

    (complaint,) = monitoring.judge(joined(text, NODE))

    spot = document.spot(complaint.path)
    value = found if found.startswith("{") else found.split(": ")[1]
    assert (spot.line, spot.column) == (6, 5 + entry.index(value))


def test_options_that_the_kernel_takes_are_not_refused_at_a_boot() -> None:
    links = [
        _new("active-backup", "arp_interval: 100"),
        _new("active-backup", "miimon: 100, arp_validate: active"),
        _new("active-backup", "miimon: 100, updelay: 150"),
    ]
    taken = [
        row.is_taken
        for link in links
        for row in monitoring.judge(joined(f"interfaces: [{link}]", NODE))
    ]

    assert taken == [True, True, False]
