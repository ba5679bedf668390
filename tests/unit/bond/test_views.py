"""Differences between PFs' settings of the members; an unreported setting differs from none."""

from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.links import Master, Member
from sriovbond.bond.options import BondMode
from tests.support.builders import a_member, a_pf, a_plan, a_vf

PORTS = ("pf0", "pf1")
LAG = ["pf-in-host-lag"]
GROUPED = {BondMode.BALANCE_RR, BondMode.BALANCE_XOR, BondMode.BROADCAST, BondMode.LACP}
VLAN = ["members-differ-vlan"]
TRUST = ["members-differ-trust"]
OUTER, INNER = {"vlan": 7, "vlan_proto": "802.1ad"}, {"vlan": 7, "vlan_proto": "802.1Q"}


def rules(*members: Member, **keys: object) -> list[str]:
    return [one.rule for one in a_plan(members, **keys).warnings]


def told(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    return rules(a_vf("net1", pf=a_pf(0), **first), a_vf("net2", pf=a_pf(1), **second))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {"vlan": 100}, VLAN),
        ({"vlan": 100}, {"vlan": 100, "qos": 3}, VLAN),
        (OUTER, INNER, VLAN),
        (OUTER, {"vlan": 7}, []),
        ({"vlan_proto": "802.1ad"}, {"vlan_proto": "802.1Q"}, []),  # a protocol without a VLAN
        ({"trust": True}, {"trust": False}, TRUST),
        ({"trust": None}, {"trust": False}, []),
    ],
)
def test_settings_of_the_pfs_for_their_vfs_must_be_equal(
    first: dict[str, Any], second: dict[str, Any], expected: list[str]
) -> None:
    assert told(first, second) == expected
    assert told(second, first) == expected


def test_a_third_member_that_differs_is_reported_with_all_others() -> None:
    members = [a_vf(f"net{at}", pf=a_pf(at), vlan=at // 2) for at in range(3)]

    (warning,) = a_plan(members).warnings

    assert [str(one) in warning.text for one in members] == [True] * 3


def test_a_member_without_a_visible_pf_differs_from_nothing() -> None:
    seen = a_vf("net1", pf=a_pf(0), vlan=100, trust=True)
    hidden = replace(a_vf("net2", pf=a_pf(1, name=None, mtu=0)), settings=None)

    assert rules(seen, hidden) == ["pf-not-visible"]
    assert rules(seen, replace(a_member("net2"), is_vf=True)) == ["pf-not-visible"]


def test_mtus_that_differ_are_settled_by_the_configuration() -> None:
    members = (
        a_vf("net1", pf=a_pf(0, mtu=9000), link={"mtu": 9000}),
        a_vf("net2", pf=a_pf(1, mtu=4000)),
    )

    assert rules(*members) == ["members-differ-mtu"] * 2
    assert rules(*members, mtu=4000) == []


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        *((Master("lag0", "bond", mode, PORTS), LAG) for mode in sorted(GROUPED)),
        *((Master("lag0", "bond", mode, PORTS), []) for mode in sorted(set(BondMode) - GROUPED)),
        (Master("lag0", "bond", "802.3ad", PORTS[:1]), []),
        (Master("team0", "team", "", PORTS), []),
        (Master("br0", "bridge", "", PORTS), []),
        (Master("ovs-system", "openvswitch", "", PORTS), []),
        (None, []),
    ],
    ids=str,
)
def test_a_pf_in_a_lag_is_reported_where_the_switch_must_group_the_ports(
    master: Master | None, expected: list[str]
) -> None:
    assert rules(a_vf("net1", pf=a_pf(0, master=master)), a_vf("net2", pf=a_pf(1))) == expected


def test_a_lag_under_representors_is_the_nics_own_affair() -> None:
    lag = Master("lag0", "bond", "802.3ad", PORTS)
    pfs = [a_pf(at, master=lag, has_representors=True) for at in (0, 1)]

    assert rules(a_vf("net1", pf=pfs[0]), a_vf("net2", pf=pfs[1])) == []
