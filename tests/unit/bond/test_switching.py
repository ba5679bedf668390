"""Each mode's requirement on the switch behind its PFs: the table, cell by cell, as in ADD."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from sriovbond.bond.checks import judge
from sriovbond.bond.links import Master, Member
from sriovbond.bond.neighbours import Neighbour, find_mixed
from sriovbond.bond.options import BondMode
from sriovbond.bond.plan import plan_bond
from sriovbond.bond.switching import TABLE, Lag
from sriovbond.cli.reference import switching
from sriovbond.errors import RefusedError, TryLaterError
from tests.support.builders import a_netconf, a_pf, a_vf

TOLD = {"switch-lag-needed", "switch-lag-unwanted", "pf-in-host-lag", "lacp-over-vf"}
SAID = {"switchLag": True}


def over(*lags: Master | None) -> tuple[Member, ...]:
    return tuple(
        a_vf(f"net{number + 1}", pf=a_pf(number, master=lag)) for number, lag in enumerate(lags)
    )


def lag(*ports: str, mode: str = "802.3ad") -> Master:
    return Master("lag0", "bond", mode, ports)


EXACT = over(*[lag("pf0", "pf1")] * 2)
MEMBERS: Mapping[Lag, Sequence[Sequence[Member]]] = {
    Lag.NONE: (over(None, None), over(*[lag("pf0", "pf1", mode="active-backup")] * 2)),
    Lag.EXACT: (EXACT, over(*[lag("pf1", "pf0", mode="balance-xor")] * 2)),
    Lag.OTHERS: (
        over(*[lag("pf0", "pf1", "pf2")] * 2),
        over(lag("pf0", "pf2"), None),
        over(lag("pf0", "pf2"), lag("pf1", "pf3")),
    ),
    Lag.SINGLE: (over(lag("pf0"), lag("pf1")),),
    Lag.SAID: (over(None, None), over(lag("pf0"), lag("pf1"))),
}
CASES = [(mode, lag, members) for mode in BondMode for lag in Lag for members in MEMBERS[lag]]


def fired(mode: BondMode, members: Sequence[Member], *, is_said: bool) -> list[str]:
    config = a_netconf(mode=mode, **(SAID if is_said else {}))
    situation = replace(config.situation, members=members, mtu=1500)
    return [one.rule for one in judge(situation)]


@pytest.mark.parametrize(("mode", "lag", "members"), CASES)
def test_each_cell_of_the_table_has_the_rules_that_fire(
    mode: BondMode, lag: Lag, members: Sequence[Member]
) -> None:
    rules = fired(mode, members, is_said=lag is Lag.SAID)

    assert set(rules) & TOLD == {rule.id for rule in TABLE[mode][lag].rules}


@pytest.mark.parametrize("mode", ["balance-rr", "balance-xor", "broadcast"])
def test_a_lag_on_the_switch_alone_passes_strict_where_it_is_declared(mode: str) -> None:
    keys = {"mode": mode, "policy": "strict"}

    with pytest.raises(RefusedError, match="switch-lag-needed"):
        plan_bond("bond0", a_netconf(**keys), over(None, None))

    assert plan_bond("bond0", a_netconf(**keys, **SAID), over(None, None)).warnings == ()


def test_a_lag_over_exactly_these_pfs_needs_no_word() -> None:
    keys = {"mode": "balance-xor", "policy": "strict"}

    assert plan_bond("bond0", a_netconf(**keys), EXACT).warnings == ()


def test_a_lag_of_vfs_in_the_nic_suits_active_backup() -> None:
    switchdev = [replace(one, pf=replace(one.pf, has_representors=True)) for one in EXACT if one.pf]

    assert fired(BondMode.ACTIVE_BACKUP, switchdev, is_said=False) == []


def test_members_without_a_switch_port_need_no_lag() -> None:
    veths = [replace(one, is_vf=False, pf=None, settings=None) for one in over(None, None)]

    assert "switch-lag-needed" not in fired(BondMode.BALANCE_XOR, veths, is_said=False)


@pytest.mark.parametrize("redundancy", ["prefer", "off"])
@pytest.mark.parametrize("keys", [{"mode": "balance-xor"}, {"failOverMac": "none"}], ids=str)
def test_one_mac_twice_on_one_pf_is_reported_with_any_redundancy(
    redundancy: str, keys: dict[str, str]
) -> None:
    members = (a_vf("net1", 0), a_vf("net2", 1))

    plan = plan_bond("bond0", a_netconf(**keys, redundancy=redundancy), members)

    (warning,) = [one for one in plan.warnings if one.rule == "one-mac-twice"]
    assert f"would all have the MAC {members[0].link.mac} on one PF" in warning.text
    assert "net1 (VF 0 of pf0" in warning.text
    assert "net2 (VF 1 of pf0" in warning.text


@pytest.mark.parametrize("keys", [{}, {"mode": "balance-alb"}, {"failOverMac": "follow"}], ids=str)
def test_vfs_of_one_pf_that_keep_their_macs_have_none_twice(keys: dict[str, str]) -> None:
    plan = plan_bond("bond0", a_netconf(**keys), (a_vf("net1", 0), a_vf("net2", 1)))

    assert "one-mac-twice" not in {one.rule for one in plan.warnings}


def test_a_vf_that_a_relay_disabled_is_reported_and_left_to_it() -> None:
    first, second = over(lag("pf0"), lag("pf1"))
    assert second.settings is not None
    members = (first, replace(second, settings=replace(second.settings, link_state="disable")))

    (warning,) = plan_bond("bond0", a_netconf(), members).warnings

    assert warning.rule == "vf-disabled-by-relay"
    assert "net2 (VF 0 of pf1" in warning.text
    assert "PF Status Relay" in warning.text
    assert "to auto" not in warning.text
    with pytest.raises(TryLaterError, match="vf-disabled-by-relay"):
        plan_bond("bond0", a_netconf(policy="strict"), members)


SPREAD, ONE_PORT = (BondMode.BALANCE_RR, BondMode.BALANCE_XOR), (BondMode.ACTIVE_BACKUP,)


@pytest.mark.parametrize(
    ("mode", "other", "is_told"),
    [
        *((mode, other, True) for mode in SPREAD for other in ONE_PORT),
        *((mode, other, True) for mode in ONE_PORT for other in SPREAD),
        (BondMode.BALANCE_RR, BondMode.BROADCAST, False),
        (BondMode.ACTIVE_BACKUP, BondMode.BALANCE_TLB, False),
    ],
)
def test_bonds_of_both_kinds_on_one_pf_are_reported(
    mode: BondMode, other: BondMode, *, is_told: bool
) -> None:
    members = over(None, None)

    told = list(find_mixed(mode, members, [Neighbour("bond0 of default/nf2", other, members[1:])]))

    words = f"bond0 of default/nf2 has mode {other} over 0000:02:00.0, this bond would have mode"
    assert [(one.text, one.rule) for one in told] == (
        [(f"{words} {mode}", "bonds-of-both-kinds")] if is_told else []
    )
    assert list(find_mixed(mode, members[:1], [Neighbour("x", other, members[1:])])) == []


def test_the_readme_table_has_every_mode_and_its_sources() -> None:
    lines = switching().splitlines()

    assert [line.split("`")[1] for line in lines[2:]] == [mode.value for mode in BondMode]
    assert all("bonding.rst" in line or "bond-cni issue 149" in line for line in lines[2:])
