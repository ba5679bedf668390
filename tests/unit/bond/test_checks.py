"""Every rule: a case that violates it, and a similar one that does not.

IPoIB interfaces cannot exist in the rig (its NICs are Ethernet), so their two rules, and that of
mixed link types, are tested here on snapshots only. So is what igb cannot emulate: link states
other than auto, a driver that does not report trust, and a VF without a visible PF.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from sriovbond.bond.checks import CHECKS, judge
from sriovbond.bond.links import (
    ARPHRD_INFINIBAND,
    NO_MAC,
    Allocation,
    Carried,
    Master,
    Member,
    Place,
)
from sriovbond.bond.options import BondMode
from sriovbond.bond.plan import plan_bond
from sriovbond.bond.rules import PASSING, Finding, Level, Where
from sriovbond.errors import ConfigError, RefusedError, TryLaterError
from tests.support.builders import a_member, a_netconf, a_pf, a_vf, two_vfs

FIXED = "02:00:00:00:99:99"
ADMIN = "02:aa:00:00:00:01"
TARGETS = {"arp_interval": 200, "arp_ip_target": ["192.0.2.1"]}
REQUIRE = {"redundancy": "require"}
RR = {"mode": "balance-rr"}
ALB, TLB = {"mode": "balance-alb"}, {"mode": "balance-tlb"}
NONE, FOLLOW = {"failOverMac": "none"}, {"failOverMac": "follow"}
BY_ID = {rule.id: rule for rule, _ in CHECKS}


def findings(members: Sequence[Member], keys: dict[str, Any]) -> list[Finding]:
    """Judge as an ADD does, and as one whose configuration is refused already."""
    try:
        config = a_netconf(**keys)
    except ConfigError as error:
        return [
            Finding(fault.text, fault.remedy, fault.rule, level=BY_ID[fault.rule].level)
            for fault in error.faults
            if fault.rule
        ]
    mtu = config.mtu or min(member.link.mtu for member in members)
    situation = replace(config.situation, members=members, mtu=mtu)
    return [*config.warnings, *judge(situation)]


def held(**view: Any) -> tuple[Member, Member]:  # noqa: ANN401 - VfSettings' fields
    """Return two VFs with administrative MACs enforced by their PFs, as SR-IOV CNI's cache has."""
    members = two_vfs(trust=False, spoofchk=True, **view)
    return tuple(replace(one, administrative_mac=one.link.mac) for one in members)  # type: ignore[return-value] # two


def untrusted(**view: Any) -> tuple[Member, Member]:  # noqa: ANN401 - VfSettings' fields
    return two_vfs(**{"trust": False, "mac": NO_MAC, **view})


def same_mac(mac: str = FIXED, **view: Any) -> tuple[Member, Member]:  # noqa: ANN401 - likewise
    return (
        a_vf("net1", pf=a_pf(0), link={"mac": mac}, **view),
        a_vf("net2", pf=a_pf(1), link={"mac": mac}, **view),
    )


def ipoib(**facts: Any) -> tuple[Member, Member]:  # noqa: ANN401 - Link's fields
    first, second = two_vfs()
    return (
        replace(first, link=replace(first.link, type=ARPHRD_INFINIBAND, **facts)),
        replace(second, link=replace(second.link, type=ARPHRD_INFINIBAND, **facts)),
    )


def one_with(**facts: Any) -> tuple[Member, Member]:  # noqa: ANN401 - Link's fields
    first, second = two_vfs()
    return first, replace(second, link=replace(second.link, **facts))


def without_pf() -> tuple[Member, Member]:
    first, second = two_vfs()
    return first, replace(second, pf=None, vf_number=None, settings=None)


def on_host(**facts: Any) -> tuple[Member, Member]:  # noqa: ANN401 - Link's fields
    first, second = one_with(**facts)
    return first, replace(second, place=Place.HOST)


def on_one_pf(*resources: str) -> tuple[Member, ...]:
    members = a_vf("net1", 0), a_vf("net2", 1)
    given = [Allocation(resource=one) for one in resources] or [Allocation()] * 2
    return tuple(replace(one, allocation=each) for one, each in zip(members, given, strict=True))


def driven(driver: str, members: Sequence[Member]) -> tuple[Member, ...]:
    return tuple(replace(one, driver=driver) for one in members)


def disabled(*ports: str) -> tuple[Member, Member]:
    lag = Master("lag1", "bond", "802.3ad", ports) if ports else None
    return PLAIN[0], a_vf("net2", pf=a_pf(1, master=lag), link_state="disable")


def in_lag(mode: str = "802.3ad", ports: Sequence[str] = ("pf0", "pf1")) -> tuple[Member, Member]:
    lag = Master("lag0", "bond", mode, tuple(ports))
    return a_vf("net1", pf=a_pf(0, master=lag)), a_vf("net2", pf=a_pf(1))


def second_with(**view: Any) -> tuple[Member, Member]:  # noqa: ANN401 - VfSettings' fields
    return PLAIN[0], a_vf("net2", pf=a_pf(1), **view)


def dark() -> tuple[Member, Member]:
    return a_vf("net1"), a_vf("net2", pf=a_pf(1, has_carrier=False))


PLAIN = two_vfs()
VETHS = (a_member("net1"), a_member("net2"))


ASSIGNED = Carried("192.0.2.7/24", "0218800005000000")
BY_ROUTER = Carried("2001:db8::7/64", "0a40000005000000")
ROUTE_BY_ROUTER = Carried("default", "0a000000fe090001")
ROUTE = Carried("default", "0a000000fe030001")


@dataclass(frozen=True, slots=True)
class Case:
    """A rule with violating configurations and members, and similar ones that do not violate it."""

    rule: str
    fires: dict[str, Any]
    members: Sequence[Member] = PLAIN
    words: tuple[str, ...] = ()
    near: dict[str, Any] | None = None
    near_members: Sequence[Member] | None = None


def links(*settings: dict[str, Any]) -> dict[str, Any]:
    named = [{"name": f"net{place}", **given} for place, given in enumerate(settings, 1)]
    return {"links": named}


CASES = (
    Case(
        "option-not-in-mode",
        {"lacp_rate": "fast"},
        words=("lacp_rate fast only in 802.3ad", "the mode is active-backup"),
        near={"lacp_rate": "fast", "mode": "802.3ad"},
    ),
    Case(
        "option-not-in-mode",
        {**RR, **links({"prio": 5}, {})},
        words=("prio 5 only in active-backup, balance-alb, balance-tlb",),
        near={**links({"prio": 5}, {})},
    ),
    Case("option-not-in-mode", {"mode": "802.3ad", **TARGETS, "miimon": 0}, near=TARGETS),
    Case("option-not-in-mode", {**RR, "primary": "net1"}, near={"primary": "net1"}),
    Case("option-not-in-mode", {"tlb_dynamic_lb": 1}, near={**ALB, "tlb_dynamic_lb": 1}),
    Case(
        "two-monitors",
        {"miimon": 100, **TARGETS},
        words=("both miimon 100 and arp_interval 200", "keep one"),
        near={"miimon": 0, **TARGETS},
    ),
    Case(
        "probes-without-target",
        {"arp_interval": 200},
        words=("arp_interval 200 without arp_ip_target or ns_ip6_target", "gateway"),
        near={"arp_interval": 200, "ns_ip6_target": "2001:db8::1"},
    ),
    Case(
        "validate-without-probes",
        {"arp_validate": "all"},
        words=("arp_validate all without arp_interval",),
        near={"arp_validate": "none"},
    ),
    Case(
        "delay-no-multiple",
        {"miimon": 100, "updelay": 250},
        words=("updelay 250 is no multiple of miimon 100",),
        near={"miimon": 50, "updelay": 250},
    ),
    Case("delay-no-multiple", {"downdelay": 150}, near={"downdelay": 200}),
    Case("delay-no-multiple", {"peer_notif_delay": 99}, near={"peer_notif_delay": 0}),
    Case(
        "delay-no-multiple",
        {"updelay": 0, **TARGETS},
        words=("updelay 0 without miimon",),
        near={"updelay": 0},
    ),
    Case(
        "mac-with-active",
        {"mac": FIXED, "failOverMac": "active"},
        words=(FIXED, "fail_over_mac active", "ask for failOverMac none"),
        near={"mac": FIXED},
    ),
    Case("mac-with-active", {"mac": FIXED, "failOverMac": 1}, near={"mac": FIXED, **NONE}),
    Case("mtu-too-small", {"mtu": 67}, words=("67", "68"), near={"mtu": 68}),
    Case(
        "mtu-too-small",
        {"mtu": 999},
        one_with(min_mtu=1000),
        words=("net2 (VF 0 of pf1", "1000"),
        near={"mtu": 1000},
    ),
    Case(
        "member-twice",
        {"links": [{"name": "net1"}, {"name": "net1"}]},
        words=("'net1' 2 times",),
        near=links({}, {}),
    ),
    Case(
        "member-twice",
        {"links": [{"name": "net1"}, {"name": "blue"}]},
        (a_vf("net1", link={"altnames": ("blue",)}),) * 2,
        words=("'net1' 2 times, by different names",),
        near=links({}, {}),
        near_members=two_vfs(),
    ),
    Case(
        "member-twice",
        {"links": [{"name": "net*"}, {"name": "net1"}]},
        words=("links.1 asks for name 'net1'", "links.0, name 'net*', takes before it"),
        near={"links": [{"name": "net1"}, {"name": "net*"}]},
    ),
    Case(
        "address-needs-larger-mtu",
        {"mtu": 500, "ipam": {"type": "host-local", "subnet": "2001:db8::/64"}},
        words=("the MTU would be 500", "2001:db8::/64 is asked for", "1280"),
        near={"mtu": 1280, "ipam": {"type": "host-local", "subnet": "2001:db8::/64"}},
    ),
    Case(
        "address-needs-larger-mtu",
        {"ipam": {"type": "host-local", "subnet": "2001:db8::/64"}},
        two_vfs(link={"mtu": 500}),
        words=("the MTU would be 500",),
        near={"ipam": {"type": "host-local", "subnet": "192.0.2.0/24"}},
    ),
    Case(
        "too-few-links",
        {"links": [{"name": "net1"}]},
        words=("names 1", "minMembers is 2"),
        near=links({}, {}),
    ),
    Case(
        "queue-id-twice",
        links({"queue_id": 3}, {"queue_id": 3}),
        words=("queue_id 3 is asked for 2 members",),
        near=links({"queue_id": 0}, {"queue_id": 0}),
    ),
    Case(
        "vf-mac-held-by-pf",
        RR,
        held(),
        words=(
            "mode balance-rr",
            "net2 (VF 0 of pf1, 0000:02:10.0)",
            "trust off",
            "spoofchk on",
            f"must take the MAC {PLAIN[0].link.mac}",
            f"MAC {PLAIN[1].link.mac}, the PF's entry {PLAIN[1].link.mac}",
            "SR-IOV CNI's cache",
            "no VLAN, link state not reported; pf1 has MTU 9000 and carrier",
            "failOverMac active",
            "trust on",
        ),
        near={},
    ),
    Case("vf-mac-held-by-pf", NONE, held(), near=NONE, near_members=two_vfs(trust=True)),
    Case("vf-mac-held-by-pf", FOLLOW, held(), near={"failOverMac": "active"}),
    Case("vf-mac-held-by-pf", ALB, held(), near=ALB, near_members=untrusted()),
    Case(
        "vf-mac-held-by-pf",
        {"mac": FIXED},
        held(),
        words=("fail_over_mac none", f"net1 must take the MAC {FIXED}", "no `mac`"),
        near={"mac": FIXED},
        near_members=PLAIN,
    ),
    Case(
        "dhcp-with-active",
        {"ipam": {"type": "dhcp"}},
        words=("fail_over_mac active", "goes by the client id"),
        near={"ipam": {"type": "dhcp"}, **NONE},
    ),
    Case(
        "vf-mac-held-by-pf",
        NONE,
        untrusted(mac=ADMIN),
        words=(f"the PF's entry {ADMIN}",),
        near=NONE,
        near_members=untrusted(mac=NO_MAC),
    ),
    Case(  # an entry equal to the netdev's MAC proves nothing: igb stores the VF's request there
        "vf-mac-held-by-pf",
        NONE,
        untrusted(mac=ADMIN),
        near=NONE,
        near_members=two_vfs(trust=False),
    ),
    Case("vf-mac-held-by-pf", NONE, held(), near=NONE, near_members=driven("mlx5_core", held())),
    Case(
        "vf-mac-held-by-pf",
        NONE,
        driven("hns3", two_vfs(trust=True, mac=ADMIN)),
        near=NONE,
        near_members=two_vfs(trust=True, mac=ADMIN),
    ),
    Case(
        "vf-mac-unclear",
        NONE,
        untrusted(mac=ADMIN, trust=None),
        words=("trust not reported", "may hold it to its own", f"the PF's entry {ADMIN}"),
        near=NONE,
        near_members=untrusted(mac=ADMIN),
    ),
    Case(
        "vf-mac-unclear",
        RR,
        driven("mlx5_core", held()),
        words=("net2 must take the MAC", "trust off", "SR-IOV CNI's cache"),
        near={},
    ),
    Case(
        "duplicate-mac",
        ALB,
        same_mac(),
        words=("net1", "net2", FIXED, "a MAC of its own"),
        near=RR,
    ),
    Case("duplicate-mac", TLB, same_mac(), near=TLB, near_members=PLAIN),
    Case(
        "ipoib-mode",
        RR,
        ipoib(),
        words=("net1 (VF 0 of pf0", "IPoIB", "balance-rr", "use active-backup"),
        near={},
    ),
    Case("ipoib-mac", NONE, ipoib(), words=("fail_over_mac is none",), near={}),
    Case("ipoib-mac", {"mac": FIXED}, ipoib(), near={"mac": FIXED}, near_members=PLAIN),
    Case(
        "mixed-link-types",
        {},
        one_with(type=ARPHRD_INFINIBAND),
        words=("net1", "type 1", "net2", "type 32"),
        near={},
        near_members=ipoib(),
    ),
    Case(
        "member-in-use",
        {},
        one_with(master=7),
        words=("net2", "already in a bond or bridge (master index 7)"),
        near={},
        near_members=PLAIN,
    ),
    Case(
        "member-in-use",
        {},
        one_with(uppers=("net2.100",)),
        words=("net2", "carries net2.100"),
        near={},
        near_members=PLAIN,
    ),
    Case(
        "member-carries-addresses",
        {"memberAddresses": "refuse"},
        one_with(addresses=(Carried("192.0.2.7/24", ""),), routes=(Carried("default", ""),)),
        words=("net2", "192.0.2.7/24, default", "flush"),
        near={"memberAddresses": "flush"},
    ),
    Case(
        "member-carries-addresses",
        {"memberAddresses": "refuse"},
        one_with(addresses=(BY_ROUTER,), routes=(ROUTE_BY_ROUTER, ROUTE)),
        words=("net2", "carries default;"),
        near={"memberAddresses": "refuse"},
        near_members=one_with(addresses=(BY_ROUTER,), routes=(ROUTE_BY_ROUTER,)),
    ),
    Case(
        "mtu-above-device",
        {"mtu": 9001},
        words=("9001", "net1 (VF 0 of pf0", "on pf0, whose MTU is 9000"),
        near={"mtu": 9000},
    ),
    Case(
        "mtu-above-device",
        {},
        (a_vf("net1", pf=a_pf(mtu=1500), link={"mtu": 9000}),),
        words=("the bond's MTU would be 9000", "pf0, whose MTU is 1500"),
        near={"mtu": 1500},
    ),
    Case(
        "mtu-above-device",
        {"mtu": 2000},
        one_with(max_mtu=1999),
        words=("takes at most 1999",),
        near={"mtu": 1999},
    ),
    Case(
        "option-without-effect",
        {"min_links": 1},
        words=("min_links 1 does nothing in mode active-backup",),
        near={"min_links": 1, "mode": "802.3ad"},
    ),
    Case(
        "targets-without-probes",
        {"ns_ip6_target": "2001:db8::1"},
        words=("ns_ip6_target without arp_interval",),
        near={"ns_ip6_target": "2001:db8::1", "arp_interval": 100},
    ),
    Case("targets-without-probes", {"arp_missed_max": 3}, near={"arp_missed_max": 3, **TARGETS}),
    Case("no-link-monitoring", {"miimon": 0}, words=("miimon 0",), near={"miimon": 0, **TARGETS}),
    Case(
        "vf-mac-unclear",
        RR,
        two_vfs(trust=False),
        words=("may hold it to its own", "VF 0 of pf1", "trust off", PLAIN[1].link.mac),
        near=RR,
        near_members=PLAIN,
    ),
    Case("vf-mac-unclear", FOLLOW, two_vfs(trust=False), near={}),
    Case(
        "vf-mac-spoofed",
        NONE,
        untrusted(spoofchk=True),
        words=("is not trusted", "spoofchk on", "trust off", "VF 0 of pf1", "trust on"),
        near=NONE,
        near_members=untrusted(spoofchk=False),
    ),
    Case(
        "lacp-over-vf",
        {"mode": "802.3ad"},
        words=("mode 802.3ad over net1 (VF 0 of pf0", "VF LAG"),
        near={"mode": "802.3ad"},
        near_members=VETHS,
    ),
    Case(
        "follow-over-vf",
        FOLLOW,
        words=("fail_over_mac follow over net1",),
        near=FOLLOW,
        near_members=VETHS,
    ),
    Case(
        "vf-link-state-forced",
        {},
        two_vfs(link_state="enable"),
        words=("net1 (VF 0 of pf0", "link state enable"),
        near=TARGETS,
    ),
    Case(
        "vf-link-state-forced",
        TARGETS,
        two_vfs(link_state="disable"),
        words=("link state disable: it never has a carrier",),
        near={},
        near_members=two_vfs(link_state="auto"),
    ),
    Case(
        "pf-not-visible",
        {},
        without_pf(),
        words=("net2 (0000:02:10.0)", "so trust, spoofchk and its MAC cannot be read"),
        near={},
        near_members=VETHS,
    ),
    Case(
        "node-route-on-member",
        {},
        on_host(has_default_route=True),
        words=("net2", "a default route of the node"),
        near={},
        near_members=one_with(has_default_route=True),
    ),
    Case(
        "member-address-taken-off",
        {},
        one_with(addresses=(ASSIGNED, BY_ROUTER)),
        words=("net2 (VF 0 of pf1", "has 192.0.2.7/24, which the bond takes off", "IPAM"),
        near={},
        near_members=one_with(addresses=(BY_ROUTER,)),
    ),
    Case(
        "member-address-taken-off",
        {},
        one_with(addresses=(ASSIGNED,)),
        near=links({}, {}),
    ),
    Case(
        "member-address-taken-off",
        {},
        one_with(addresses=(ASSIGNED,)),
        near={"memberAddresses": "keep"},
    ),
    Case(
        "host-links-asked-for",
        {**links({}, {}), "linksInContainer": False},
        words=("linksInContainer false", "have node.toml lend the interfaces"),
        near=links({}, {}),
    ),
    Case(
        "redundancy-required",
        REQUIRE,
        on_one_pf("rig.io/a", "rig.io/b"),
        words=(
            "net1 (VF 0 of pf0, 0000:01:10.0), net2 (VF 1 of pf0, 0000:01:10.1) are all on",
            "the PF 0000:01:00.0 (pf0)",
            "make the pools rig.io/a, rig.io/b select VFs of different PFs (pfNames)",
        ),
        near=REQUIRE,
        near_members=PLAIN,
    ),
    Case("redundancy-required", REQUIRE, on_one_pf(), near={"redundancy": "prefer"}),
    Case("no-redundancy", {}, on_one_pf(), words=("PF 0000:01:00.0 (pf0)",), near=REQUIRE),
    Case("no-redundancy", {"redundancy": "prefer"}, on_one_pf(), near={"redundancy": "off"}),
    Case("no-redundancy", {}, PLAIN[:1], words=("is the only member",), near_members=PLAIN),
    Case(
        "redundancy-unproved",
        REQUIRE,
        VETHS,
        words=("the PF of net1, net2 is unknown",),
        near={"redundancy": "prefer"},
    ),
    Case(
        "redundancy-unproved",
        REQUIRE,
        without_pf(),
        words=("the PF of net2 (0000:02:10.0) is unknown",),
        near=REQUIRE,
        near_members=[*without_pf(), a_vf("net3", pf=a_pf(1))],
    ),
    Case(
        "pf-in-host-lag",
        {},
        in_lag(),
        words=("net1 (VF 0 of pf0", "pf0 is in the host's lag0 (mode 802.3ad) with pf1"),
        near_members=in_lag(mode="active-backup"),
    ),
    Case(
        "switch-lag-needed",
        RR,
        words=(
            "mode balance-rr sends one MAC from net1 (VF 0 of pf0",
            "no LAG over exactly their PFs",
        ),
        near={**RR, "switchLag": True},
    ),
    Case(
        "switch-lag-unwanted",
        {"switchLag": True},
        words=("switchLag is true", "mode active-backup"),
        near={"switchLag": False},
    ),
    Case(
        "one-mac-twice",
        NONE,
        on_one_pf(),
        words=("VF 0 of pf0", "VF 1 of pf0", PLAIN[0].link.mac),
        near=NONE,
        near_members=PLAIN,
    ),
    Case(
        "vf-disabled-by-relay",
        {},
        disabled("pf1"),
        words=("net2 (VF 0 of pf1", "the host's lag1 (802.3ad)", "leave the VF's link state"),
        near={},
        near_members=disabled(),
    ),
    Case("vf-link-state-forced", {}, disabled(), near={}, near_members=disabled("pf1")),
    Case("pf-in-host-lag", {}, in_lag("balance-xor"), near_members=in_lag(ports=["pf0"])),
    Case(
        "members-differ-vlan",
        {},
        second_with(vlan=100, qos=3, vlan_proto="802.1Q"),
        words=("net1 (VF 0 of pf0, 0000:01:10.0) has no VLAN", "has VLAN 100, qos 3, 802.1Q"),
        near_members=two_vfs(vlan=100),
    ),
    Case(
        "members-differ-trust",
        {},
        second_with(trust=False),
        words=("net1 (VF 0 of pf0, 0000:01:10.0) has trust on", "has trust off"),
        near_members=second_with(trust=None),
    ),
    Case(
        "members-differ-mtu",
        {},
        one_with(mtu=9000),
        words=("0000:01:10.0) has MTU 1500", "0000:02:10.0) has MTU 9000"),
        near={"mtu": 1500},
    ),
    Case(
        "members-differ-mtu",
        {},
        (PLAIN[0], a_vf("net2", pf=a_pf(1, mtu=1500))),
        words=("has a PF with MTU 9000", "has a PF with MTU 1500"),
        near_members=(PLAIN[0], a_vf("net2", pf=a_pf(1, mtu=0))),
    ),
    Case(
        "pf-without-carrier",
        {},
        dark(),
        words=("net2 (VF 0 of pf1", "pf1 has no carrier", "cable"),
        near={},
        near_members=PLAIN,
    ),
)


def label(case: Case) -> str:
    return f"{case.rule}-{'-'.join(map(str, case.fires))}"


def test_every_rule_has_a_case() -> None:
    elsewhere = {"bond-before-members", "few-mac-filters"}
    assert {case.rule for case in CASES} | elsewhere == BY_ID.keys()


def test_a_bond_before_its_members_is_reported_where_it_takes_them_all() -> None:
    later = ("default/sriov-b@net2",)

    (warning,) = plan_bond("bond0", a_netconf(), PLAIN, later).warnings
    assert warning.rule == "bond-before-members"
    assert "the pod lists default/sriov-b@net2 after the bond" in warning.text

    with pytest.raises(RefusedError, match="bond-before-members"):
        plan_bond("bond0", a_netconf(policy="strict"), PLAIN, later)
    assert plan_bond("bond0", a_netconf(**links({}, {})), PLAIN, later).warnings == ()


VLANS = tuple(f"default/vlan{number}@net{number} (vlan)" for number in range(3, 10))


@pytest.mark.parametrize("upon", [("default/nf@net3 (macvlan)",), VLANS], ids=len)
def test_links_on_a_bond_over_untrusted_vfs_may_have_no_mac_filter(
    upon: tuple[str, ...],
) -> None:
    members = driven("iavf", two_vfs(trust=False, mac=NO_MAC))

    few = plan_bond("bond0", a_netconf(), members, upon=upon).warnings

    assert {one.rule for one in few} == {"few-mac-filters"}
    assert f"(iavf, trust off) takes 18 MACs, and on top of it are {upon[0]}" in few[0].text
    for others in (
        driven("iavf", PLAIN),
        two_vfs(trust=False),
        driven("iavf", two_vfs(trust=None)),
    ):
        assert plan_bond("bond0", a_netconf(), others, upon=upon).warnings == ()
    assert plan_bond("bond0", a_netconf(), members, upon=VLANS[:2]).warnings == ()


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_rule_fires_with_fault_and_remedy(case: Case) -> None:
    fired = [one for one in findings(case.members, case.fires) if one.rule == case.rule]

    text = " ".join(one.words for one in fired)
    assert fired
    assert BY_ID[case.rule].remedy in text
    assert [words for words in case.words if words not in text] == []


@pytest.mark.parametrize("rule", sorted({case.rule for case in CASES}))
def test_a_rule_that_validate_finds_is_broken_by_a_configuration_alone(rule: str) -> None:
    configurations = [case.fires for case in CASES if case.rule == rule]

    is_found_alone = any(rule in _broken_without_members(keys) for keys in configurations)

    assert is_found_alone == (Where.VALIDATE in BY_ID[rule].where)


def _broken_without_members(keys: dict[str, Any]) -> list[str]:
    try:
        return [one.rule for one in a_netconf(**keys).warnings]
    except ConfigError as error:
        return [fault.rule for fault in error.faults]


@pytest.mark.parametrize("case", CASES, ids=label)
def test_a_rule_lets_the_near_case_pass(case: Case) -> None:
    members = case.members if case.near_members is None else case.near_members

    fired = [one.rule for one in findings(members, case.near or {})]

    assert case.rule not in fired


@pytest.mark.parametrize("case", CASES, ids=label)
@pytest.mark.parametrize("policy", ["default", "strict", "warn"])
def test_a_finding_is_an_error_or_a_warning_by_its_level_and_the_policy(
    case: Case, policy: str
) -> None:
    keys = {**case.fires, "policy": policy}
    level = BY_ID[case.rule].level

    strict = TryLaterError if case.rule in PASSING else RefusedError
    refusal = {Level.CONFIG: ConfigError, Level.REFUSED: RefusedError}.get(level, strict)

    if level is Level.NOTICE or (level is Level.WARNING and policy != "strict"):
        plan = plan_bond("bond0", a_netconf(**keys), case.members)
        rules = {warning.rule for warning in plan.warnings}
        assert (case.rule in rules) is (policy != "warn")
    else:
        with pytest.raises(refusal, match=re.escape(f"[{case.rule}]")):
            plan_bond("bond0", a_netconf(**keys), case.members)


def test_with_active_no_member_changes_its_mac_so_nothing_is_said() -> None:
    assert findings(held(), {}) == []


def test_a_first_member_that_is_held_gives_its_mac_to_others_that_may_take_it() -> None:
    first, second = held()[0], untrusted()[1]

    assert findings([first, second], NONE) == []


def test_with_follow_the_first_member_too_must_take_another_mac() -> None:
    first, second = held()[0], PLAIN[1]

    fired = [one for one in findings([first, second], FOLLOW) if one.rule == "vf-mac-held-by-pf"]

    assert len(fired) == 1
    assert f"net1 must take the MAC {second.link.mac}" in fired[0].text


def test_members_with_one_mac_need_no_other() -> None:
    assert findings(same_mac(trust=False), NONE) == []


@pytest.mark.parametrize("mode", BondMode)
def test_trusted_vfs_of_lit_pfs_are_never_refused(mode: BondMode) -> None:
    assert all(one.level is Level.WARNING for one in findings(PLAIN, {"mode": mode}))


def test_a_vf_whose_pf_is_not_visible_is_never_refused() -> None:
    members = [replace(one, administrative_mac=ADMIN) for one in without_pf()]

    fired = [one for one in findings(members[1:], RR) if one.level is Level.REFUSED]

    assert fired == []


def test_strict_reports_every_warning_and_not_only_the_temporary_one() -> None:
    with pytest.raises(RefusedError) as caught:
        plan_bond("bond0", a_netconf(policy="strict", mode="802.3ad"), dark())

    assert "[lacp-over-vf]" in caught.value.message
    assert "[pf-without-carrier]" in caught.value.message
    assert "policy: strict" in caught.value.message
