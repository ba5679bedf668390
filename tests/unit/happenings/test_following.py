from dataclasses import replace
from typing import Any

import pytest

from deviceinfo import PodRef
from sriovbond.cni.attachment import Attachment
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond
from sriovbond.subject import Subject
from tests.support.builders import a_member, a_plan, a_vf, two_vfs

SUBJECT = Subject(Attachment("c1", "bond0"), "net", PodRef("ns", "nf1"))
PLAN = a_plan()
BOND, NET1, NET2 = 9, 11, 12
Links = dict[int, Heard]


def links(*, active: int = NET1, **changed: dict[str, Any]) -> Links:
    """Return the links of a bond with working members, except for `changed` of net1, net2."""
    members = {
        index: Heard(
            index, member.name, master=BOND, has_carrier=True, device=member.device, mii_up=True
        )
        for index, member in zip((NET1, NET2), PLAN.members, strict=True)
    }
    bond = Heard(BOND, "bond0", kind="bond", has_carrier=True, active=active)
    told = {index: replace(one, **changed.get(one.name, {})) for index, one in members.items()}
    return {BOND: bond, **told}


def bond(found: Links) -> WatchedBond:
    return following.observe(SUBJECT, PLAN, found)


def told(before: Links, now: Links, *, is_reread: bool = False) -> list[Happening]:
    return list(following.follow(bond(before), bond(now), 1.0, is_reread=is_reread)[1])


DOWN: dict[str, Any] = {"has_carrier": False, "mii_up": False, "failures": 1}


def test_a_bond_is_derived_from_the_links_of_its_namespace() -> None:
    found = bond(links(net2=DOWN))

    assert (found.mode, found.has_carrier, found.working) == ("active-backup", True, 1)
    assert [(one.name, one.pf, one.is_up, one.is_active) for one in found.members] == [
        ("net1", "pf0", True, True),
        ("net2", "pf1", False, False),
    ]


def test_a_member_is_found_by_its_device_under_another_name() -> None:
    found = bond(links(net1={"name": "eth7"}))

    assert found.working == 2


def test_a_member_is_found_by_its_name_where_the_kernel_reports_no_devices() -> None:
    found = bond(links(net1={"device": ""}, net2={"device": ""}))

    assert found.working == 2


def test_a_link_of_another_device_is_no_member_whatever_its_name() -> None:
    found = bond(links(net1={"device": "0000:99:00.0"}))

    assert [one.is_in_bond for one in found.members] == [False, True]


def test_members_without_a_device_are_distinguished_by_name() -> None:
    plan = a_plan([a_member("net1"), a_member("net2")])

    found = following.observe(SUBJECT, plan, links(net1={"device": ""}, net2={"device": ""}))

    assert found.working == 2


def test_a_failover_names_the_member_that_failed_and_its_pf() -> None:
    after, (failover,) = following.follow(bond(links()), bond(links(active=NET2)), 7.0)

    assert failover.kind is HappeningKind.FAILOVER
    assert failover.member is not None
    assert failover.member.name == "net1"
    assert "net2 (0000:02:10.0 of pf1) is the active member now" in failover.text
    assert "moved by hand" in failover.text
    assert (after.failovers, after.failed_over_at) == (1, 7.0)


def test_a_failover_of_a_dead_member_says_where_to_look() -> None:
    happenings = told(links(), links(active=NET2, net1=DOWN))

    assert [one.kind for one in happenings] == [
        HappeningKind.FAILOVER,
        HappeningKind.MEMBER_DOWN,
        HappeningKind.DEGRADED,
    ]
    assert "look at pf0, its cable and its switch port" in happenings[0].text
    assert "only net2 (0000:02:10.0 of pf1) is left" in happenings[2].text
    assert all(one.is_warning for one in happenings)


def test_a_member_that_was_set_down_is_no_matter_of_cables() -> None:
    happenings = told(links(), links(active=NET2, net1={**DOWN, "is_set_down": True}))

    assert [one.kind for one in happenings[:2]] == [
        HappeningKind.FAILOVER,
        HappeningKind.MEMBER_DOWN,
    ]
    for happening in happenings[:2]:
        assert "net1 (0000:01:10.0 of pf0) is administratively down" in happening.text
        assert "`ip link set net1 up`" in happening.text
        assert "cable" not in happening.text


def test_a_bond_without_a_member_that_works_is_reported() -> None:
    happenings = told(links(net1=DOWN), links(net1=DOWN, net2=DOWN))

    assert happenings[-1].kind is HappeningKind.DEGRADED
    assert "the pod has no network here" in happenings[-1].text


def test_a_bond_that_is_whole_again_is_reported() -> None:
    happenings = told(links(active=NET2, net1=DOWN), links(active=NET2, net1={"failures": 1}))

    assert [one.kind for one in happenings] == [HappeningKind.MEMBER_UP, HappeningKind.RESTORED]
    assert not any(one.is_warning for one in happenings)


def test_a_member_that_vanished_is_gone_and_not_merely_down() -> None:
    now = links(active=NET2)
    del now[NET1]

    happenings = told(links(), now)

    assert [one.kind for one in happenings] == [
        HappeningKind.FAILOVER,
        HappeningKind.MEMBER_GONE,
        HappeningKind.DEGRADED,
    ]
    assert "has failed" in happenings[0].text


def test_a_member_that_was_taken_out_is_gone_too() -> None:
    happenings = told(links(), links(net2={"master": 0}))

    assert [one.kind for one in happenings] == [HappeningKind.MEMBER_GONE, HappeningKind.DEGRADED]


@pytest.mark.parametrize(("is_reread", "count"), [(True, 1), (False, 0)])
def test_a_failover_there_and_back_is_known_by_the_count_of_failures(
    is_reread: bool,  # noqa: FBT001 - a parameter of the test
    count: int,
) -> None:
    happenings = told(links(), links(net1={"failures": 1}), is_reread=is_reread)

    assert [one.kind for one in happenings] == [HappeningKind.FAILOVER] * count


def test_a_failover_by_way_of_none_is_one() -> None:
    none = links(active=0, net1=DOWN, net2=DOWN)
    dead, _ = following.follow(bond(links()), bond(none), 1.0)

    after, happenings = following.follow(dead, bond(links(active=NET2, net1=DOWN)), 2.0)

    assert [one.kind for one in happenings] == [HappeningKind.FAILOVER, HappeningKind.MEMBER_UP]
    assert (after.failovers, after.last_active) == (1, "net2")


def test_a_bond_with_other_members_is_another_one() -> None:
    other = following.observe(SUBJECT, a_plan([a_member("d1"), a_member("d2")]), {})

    assert following.follow(bond(links()), other, 1.0)[1] == ()


def test_a_link_without_a_device_is_not_taken_for_a_vf_of_its_name() -> None:
    found = bond({**links(net1={"name": "eth7"}), 13: Heard(13, "net1")})

    assert found.working == 2


def test_a_first_active_member_is_no_failover() -> None:
    assert told(links(active=0), links()) == []


def test_one_of_three_members_less_is_not_yet_degraded() -> None:
    plan = a_plan([*two_vfs(), a_vf("net3", 1)])
    third = plan.members[2]
    heard = Heard(13, "net3", master=BOND, device=third.device, mii_up=True)
    before = following.observe(SUBJECT, plan, {**links(), 13: heard})
    now = following.observe(SUBJECT, plan, {**links(net2=DOWN), 13: heard})

    happenings = following.follow(before, now, 1.0)[1]

    assert [one.kind for one in happenings] == [HappeningKind.MEMBER_DOWN]


def test_another_bond_of_the_same_name_is_no_news() -> None:
    now = links(net1={"master": 10, "mii_up": False}, net2={"master": 10})
    now[10] = replace(now.pop(BOND), index=10, active=0)

    assert told(links(), now) == []


def test_a_bond_that_is_gone_has_lost_its_members() -> None:
    now = links(net1={"master": 0}, net2={"master": 0})
    del now[BOND]

    kinds = [one.kind for one in told(links(), now)]

    assert kinds == [HappeningKind.MEMBER_GONE, HappeningKind.MEMBER_GONE, HappeningKind.DEGRADED]


def test_failovers_and_drift_are_carried_on() -> None:
    before = replace(bond(links()), failovers=3, failed_over_at=5.0, drift=("mtu",))

    after, happenings = following.follow(before, bond(links()), 7.0)

    assert (after, happenings) == (before, ())


def of_lacp(found: Links) -> WatchedBond:
    return following.observe(SUBJECT, a_plan(mode="802.3ad"), found)


def test_a_member_outside_the_active_aggregator_does_not_work() -> None:
    out = links(active=0, net2={"is_backup": True})

    now, happenings = following.follow(of_lacp(links(active=0)), of_lacp(out), 1.0)

    assert now.working == 1
    assert [one.kind for one in happenings] == [HappeningKind.MEMBER_DOWN, HappeningKind.DEGRADED]
    assert "LACP has it outside the active aggregator" in happenings[0].text
    assert "the switch port of pf1" in happenings[0].text


def test_a_member_works_again_only_within_the_aggregator() -> None:
    down = of_lacp(links(active=0, net2={**DOWN, "is_backup": True}))
    outside = of_lacp(links(active=0, net2={"is_backup": True}))

    assert following.follow(down, outside, 1.0)[1] == ()
    back = following.follow(outside, of_lacp(links(active=0)), 2.0)[1]
    assert [one.kind for one in back] == [HappeningKind.MEMBER_UP, HappeningKind.RESTORED]


def test_a_backup_of_another_mode_works() -> None:
    assert bond(links(net2={"is_backup": True})).working == 2


def test_a_bond_that_never_came_up_is_reported() -> None:
    (happening,) = following.judge_settled(bond(links(net2=DOWN)), 1.0)

    assert happening.kind is HappeningKind.DEGRADED
    assert following.judge_settled(bond(links()), 1.0) == ()


def test_refusals_of_members_are_kept_until_all_work() -> None:
    lacking = replace(bond(links(net2=DOWN)), refused=("net2 has no VLAN",))

    still, _ = following.follow(lacking, bond(links(net2=DOWN)), 1.0)
    whole, _ = following.follow(lacking, bond(links()), 1.0)

    assert (still.refused, whole.refused) == (lacking.refused, ())
