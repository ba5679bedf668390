from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.links import NO_MAC, Carried, Member, VfSettings
from sriovbond.bond.ownkeys import MemberAddresses
from sriovbond.bond.plan import (
    differences,
    has_late_macs,
    judge_again,
    plan_bond,
    setting_differences,
)
from sriovbond.bond.rules import Finding, Level
from sriovbond.bond.states import BondState, MemberState
from sriovbond.errors import ConfigError, RefusedError
from tests.support.builders import a_netconf, a_pf, a_plan, a_state, a_vf, two_vfs

FIXED = "02:00:00:00:99:99"
ELSE = "02:00:00:00:77:77"


@pytest.mark.parametrize(
    ("keys", "expected"), [({}, 1400), ({"mtu": 1300}, 1300), ({"mtu": 0}, 1400)]
)
def test_the_mtu_follows_the_members_unless_one_is_requested(
    keys: dict[str, Any], expected: int
) -> None:
    members = [a_vf("net1"), a_vf("net2", pf=a_pf(1), link={"mtu": 1400})]

    assert a_plan(members, **keys).mtu == expected


@pytest.mark.parametrize(
    "asked", ["net2", "0000:0a:10.0", "0a:10.0", "0A:10.0", "0000:0A:10.0", "blue"]
)
def test_a_primary_is_named_by_interface_altname_or_pci_address(asked: str) -> None:
    members = [a_vf("net1"), a_vf("net2", pf=a_pf(9), link={"altnames": ("blue",)})]

    assert a_plan(members, primary=asked).value("primary") == "net2"


def test_a_primary_that_is_no_member_is_refused_with_the_members() -> None:
    with pytest.raises(ConfigError) as caught:
        a_plan(primary="net7")

    assert "cannot make 'net7' the primary" in caught.value.message
    assert "net1 (VF 0 of pf0, 0000:01:10.0), net2 (VF 0 of pf1" in caught.value.message


def test_a_plan_has_the_requested_options() -> None:
    plan = a_plan(mac=FIXED, memberAddresses="keep", updelay=200)

    assert (plan.name, plan.mode, plan.mac) == ("bond0", "active-backup", FIXED)
    assert plan.member_addresses is MemberAddresses.KEEP
    assert (plan.value("updelay"), plan.value("miimon"), plan.value("lp_interval")) == (
        200,
        100,
        None,
    )


@pytest.mark.parametrize(
    ("keys", "shared"),
    [
        ({}, None),
        ({"failOverMac": "follow"}, None),
        ({"failOverMac": "none"}, two_vfs()[0].link.mac),
        ({"mac": FIXED}, FIXED),
        ({"mode": "balance-rr"}, two_vfs()[0].link.mac),
        ({"mode": "balance-rr", "failOverMac": "follow"}, two_vfs()[0].link.mac),
        ({"mode": "balance-rr", "failOverMac": "active"}, two_vfs()[0].link.mac),
        ({"mode": "802.3ad", "mac": FIXED}, FIXED),
    ],
)
def test_bond_and_members_share_a_mac_unless_failovers_move_it(
    keys: dict[str, Any], shared: str | None
) -> None:
    assert a_plan(**keys).shared_mac == shared


def test_warnings_are_reported_once_though_judged_twice() -> None:
    rules = [warning.rule for warning in a_plan(miimon=0, bandwidth=1).warnings]

    assert sorted(rules) == ["no-link-monitoring", "unknown-key"]


PLANS: dict[str, dict[str, Any]] = {
    "default": {},
    "none": {"failOverMac": "none"},
    "follow": {"failOverMac": "follow"},
    "rr": {"mode": "balance-rr"},
    "alb": {"mode": "balance-alb"},
    "tlb": {"mode": "balance-tlb"},
    "lacp": {"mode": "802.3ad", "ad_actor_system": ELSE},
    "arp": {"arp_interval": 200, "arp_ip_target": ["192.0.2.1", "192.0.2.2"]},
    "primary": {"primary": "net2", "primary_reselect": "failure"},
}


@pytest.mark.parametrize("keys", PLANS.values(), ids=PLANS)
def test_a_bond_as_planned_has_no_difference(keys: dict[str, Any]) -> None:
    plan = a_plan(**keys)

    assert differences(plan, a_state(plan)) == ()


def changed_member(state: BondState, **facts: Any) -> BondState:  # noqa: ANN401 - MemberState's
    first, second = state.members
    return replace(state, members=(first, replace(second, **facts)))


@pytest.mark.parametrize(
    ("keys", "bond", "member", "words"),
    [
        ({}, {"is_up": False}, {}, "bond0 is down"),
        ({}, {"mtu": 1400}, {}, "the MTU of bond0 is 1400 instead of 1500"),
        ({"mac": FIXED}, {"mac": ELSE}, {}, f"the MAC of bond0 is {ELSE} instead of {FIXED}"),
        ({"mode": "balance-alb"}, {"mac": ELSE}, {}, f"the MAC of bond0 is {ELSE} instead of"),
        ({}, {}, {"is_up": False}, "net2 (VF 0 of pf1, 0000:02:10.0) is down"),
        (
            {},
            {},
            {"mtu": 1400},
            "the MTU of net2 (VF 0 of pf1, 0000:02:10.0) is 1400 instead of 1500",
        ),
        (
            {},
            {},
            {"mac": ELSE},
            f"the MAC of net2 (VF 0 of pf1, 0000:02:10.0) is {ELSE} instead of",
        ),
        (
            {"mode": "balance-xor"},
            {},
            {"mac": ELSE},
            f"is {ELSE} instead of {two_vfs()[0].link.mac}",
        ),
    ],
)
def test_each_difference_is_named(
    keys: dict[str, Any], bond: dict[str, Any], member: dict[str, Any], words: str
) -> None:
    plan = a_plan(**keys)
    state = replace(changed_member(a_state(plan), **member), **bond)

    told = differences(plan, state)

    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize(
    ("keys", "bond", "member"),
    [
        ({}, {"has_carrier": False}, {}),
        ({}, {"mac": ELSE}, {}),
        ({"failOverMac": "follow"}, {"mac": ELSE}, {"mac": FIXED}),
        ({"mode": "balance-alb"}, {}, {"mac": ELSE}),
        ({"mode": "balance-tlb"}, {}, {"mac": ELSE}),
        ({}, {}, {"has_carrier": False, "mii_up": False, "failures": 3}),
        ({}, {}, {"is_active": True}),
        ({}, {"index": 77}, {"index": 78, "device": "0000:02:10.1"}),
        ({}, {}, {"prio": 5, "queue_id": 2}),
    ],
)
def test_changes_that_happen_by_themselves_or_were_not_requested_are_no_difference(
    keys: dict[str, Any], bond: dict[str, Any], member: dict[str, Any]
) -> None:
    plan = a_plan(**keys)

    assert differences(plan, replace(changed_member(a_state(plan), **member), **bond)) == ()


def test_an_option_that_differs_is_named_with_both_values() -> None:
    plan = a_plan(arp_interval=200, arp_ip_target=["192.0.2.1"], lacp_active=None)
    state = a_state(plan)
    found = {**state.settings, "arp_ip_target": ("192.0.2.9",), "resend_igmp": 7}
    del found["arp_interval"]

    told = setting_differences(plan.settings, replace(state, settings=found))

    assert told == (
        "arp_interval is nothing instead of 200",
        "arp_ip_target is ('192.0.2.9',) instead of ('192.0.2.1',)",
    )


def test_members_that_left_or_came_are_named() -> None:
    plan = a_plan()
    state = a_state(plan)
    stranger = MemberState(index=5, name="eth9", mac=ELSE, mtu=1500, is_up=True, has_carrier=True)

    told = differences(plan, replace(state, members=(state.members[0], stranger)))

    assert told == (
        "net2 (VF 0 of pf1, 0000:02:10.0) is not in bond0",
        "eth9 is in bond0 and was not asked for",
    )


@pytest.mark.parametrize(("prio", "found"), [(5, 4), (5, None), (0, 4), (-1, 1)])
def test_a_members_prio_and_queue_are_compared_where_requested(
    prio: int, found: int | None
) -> None:
    first, second = two_vfs()
    plan = plan_bond("bond0", a_netconf(), (first, replace(second, prio=prio, queue_id=1)))
    state = changed_member(a_state(plan), prio=found, queue_id=2)

    told = differences(plan, state)

    words = "nothing" if found is None else found
    assert told == (
        f"prio of {second} is {words} instead of {prio}",
        f"queue_id of {second} is 2 instead of 1",
    )


def test_a_notice_is_reported_and_never_refused() -> None:
    notice = Finding("this may be meant for others", rule="some-rule", level=Level.NOTICE)
    config = replace(a_netconf(policy="strict"), warnings=(notice,))

    plan = plan_bond("bond0", config, two_vfs())

    assert notice in plan.warnings


def test_a_late_mac_is_seen_only_where_a_member_has_to_have_one() -> None:
    shared, own, free = (
        a_plan(failOverMac="none"),
        a_plan(),
        a_plan(mode="balance-alb"),
    )

    for plan, late in ((shared, True), (own, True), (free, False)):
        assert has_late_macs(plan, changed_member(a_state(plan), mac=ELSE)) is late
        assert not has_late_macs(plan, a_state(plan))


def held(member: Member) -> Member:
    """Return the VF with an administrative MAC of another, and without trust."""
    settings = VfSettings(0, ELSE, trust=False, spoofchk=True)
    return replace(member, settings=settings)


def test_members_that_came_back_are_judged_as_an_add_would() -> None:
    plan = a_plan(failOverMac="none")
    first, second = plan.members

    with pytest.raises(RefusedError, match=r"\[vf-mac-held-by-pf\]"):
        judge_again(plan, (first, held(second)))
    assert judge_again(plan, plan.members) == ()


@pytest.mark.parametrize("policy", ["default", "strict", "warn"])
def test_a_new_warning_is_reported_refused_or_ignored_by_policy(policy: str) -> None:
    plan = a_plan(policy=policy)
    first, second = plan.members
    untrusted = replace(second, settings=VfSettings(0, second.link.mac, trust=False))

    if policy == "strict":
        with pytest.raises(RefusedError, match=r"\[members-differ-trust\]"):
            judge_again(plan, (first, untrusted))
    else:
        rules = [one.rule for one in judge_again(plan, (first, untrusted))]
        assert rules == (["members-differ-trust"] if policy == "default" else [])


def test_the_outline_of_a_plan_has_no_addresses_and_no_routes() -> None:
    carried = (Carried("192.0.2.1/24", "00ff"),)
    link = {"addresses": carried, "routes": carried}
    plan = a_plan((a_vf("net1", link=link), a_vf("net2", pf=a_pf(1))), miimon=0)
    assert plan.warnings

    outline = plan.outline

    assert outline == replace(
        a_plan((a_vf("net1"), a_vf("net2", pf=a_pf(1))), miimon=0), warnings=()
    )


def test_findings_that_an_add_accepted_are_accepted_again() -> None:
    mixed = (a_vf("net1"), a_vf("net2", pf=a_pf(0), trust=False))
    plan = a_plan(mixed, miimon=0)

    assert judge_again(plan, mixed) == ()


def test_the_first_member_is_judged_by_the_mac_that_the_bond_has_and_not_by_its_new_one() -> None:
    mac, new = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
    first, second = (
        replace(a_vf(name, pf=pf, link={"mac": mac}, trust=False), administrative_mac=mac)
        for name, pf in (("net1", a_pf(0)), ("net2", a_pf(1)))
    )
    plan = a_plan((first, second), failOverMac="none")
    back = replace(first, link=replace(first.link, mac=new), administrative_mac=None)
    free = replace(back, settings=VfSettings(0, NO_MAC, trust=False))
    held_to_new = replace(back, settings=VfSettings(0, new, trust=False), administrative_mac=new)

    assert judge_again(plan, (free, second)) == ()
    with pytest.raises(RefusedError, match=rf"the VF net1 must take the MAC {mac}"):
        judge_again(plan, (held_to_new, second))
