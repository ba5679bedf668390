from dataclasses import replace
from typing import Any

import pytest

from sriovbond.bond.links import NO_MAC, Place, VfSettings
from sriovbond.bond.returned import as_it_is, choose_mac, lacking, to_write
from tests.support.builders import a_vf

MAC = "02:00:00:00:00:01"
AFTER_RESET: dict[str, Any] = {
    "trust": False,
    "spoofchk": True,
    "link_state": "auto",
    "vlan_proto": "802.1Q",
    "min_tx_rate": 0,
    "max_tx_rate": 0,
}
AT_ADD: dict[str, Any] = {
    "trust": True,
    "spoofchk": False,
    "vlan": 7,
    "qos": 3,
    "vlan_proto": "802.1ad",
    "link_state": "enable",
    "min_tx_rate": 100,
    "max_tx_rate": 1000,
}


def a_view(**told: Any) -> VfSettings:  # noqa: ANN401 - VfSettings' fields
    return VfSettings(0, MAC, **{**AFTER_RESET, **told})


def test_all_but_link_state_and_mac_is_written_again_where_the_reset_took_it() -> None:
    was = replace(a_view(**AT_ADD), mac="02:00:00:00:00:99")

    wanted = to_write(was, a_view(), "igbvf")

    assert wanted == replace(was, mac=MAC, link_state="auto")


@pytest.mark.parametrize(
    "later",
    [
        {"vlan": 8},
        {"qos": 5},
        {"min_tx_rate": 0, "max_tx_rate": 500},
        {"min_tx_rate": 50},
    ],
)
def test_settings_changed_since_are_kept(later: dict[str, Any]) -> None:
    now = a_view(**{**AT_ADD, **later})

    assert to_write(a_view(**AT_ADD), now, "igbvf") == now


@pytest.mark.parametrize(
    ("driver", "was", "now", "written"),
    [
        ("igbvf", False, True, False),
        ("igbvf", True, False, False),  # disabled by an administrator
        ("iavf", False, True, False),
        ("mlx5_core", True, False, True),
        ("mlx5_core", False, True, True),  # enabled by an administrator
        ("who_knows", False, True, True),
        ("who_knows", True, False, False),
    ],
)
def test_spoof_checking_is_written_only_with_its_place_as_that_drivers_reset_leaves_it(
    driver: str, *, was: bool, now: bool, written: bool
) -> None:
    wanted = to_write(a_view(spoofchk=was), a_view(spoofchk=now), driver)

    assert wanted.spoofchk is written


def test_trust_that_a_pf_does_not_report_is_not_written() -> None:
    now = a_view(trust=None)

    assert to_write(a_view(trust=True), now, "igbvf") == now


@pytest.mark.parametrize(
    ("unknown", "words"),
    [
        ({"trust": None}, "trust"),
        ({"spoofchk": None}, "spoofchk"),
        ({"min_tx_rate": None, "max_tx_rate": None}, "rates"),
    ],
)
def test_settings_that_add_did_not_see_are_neither_written_nor_missed(
    unknown: dict[str, Any], words: str
) -> None:
    was, now = a_view(**unknown), a_view(max_tx_rate=700, spoofchk=True)

    assert to_write(was, now, "igbvf") == now
    assert not any(words in told for told in lacking(was, now))


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ({"vlan": 7}, {}, "no VLAN where ADD found VLAN 7, qos 0, 802.1Q"),
        ({}, {"vlan": 7}, "VLAN 7, qos 0, 802.1Q where ADD found no VLAN"),
        (
            {"vlan": 7, "qos": 1},
            {"vlan": 7},
            "VLAN 7, qos 0, 802.1Q where ADD found VLAN 7, qos 1, 802.1Q",
        ),
        ({"trust": True}, {}, "trust off where ADD found trust on"),
        ({"trust": True}, {"trust": None}, "trust off where ADD found trust on"),
        ({"spoofchk": False}, {}, "spoofchk on where ADD found spoofchk off"),
        (
            {"max_tx_rate": 1000},
            {},
            "rates from 0 to any Mbit/s where ADD found rates from 0 to 1000 Mbit/s",
        ),
    ],
)
def test_missing_vf_settings_are_named_with_the_former_ones(
    was: dict[str, Any], now: dict[str, Any], words: str
) -> None:
    assert list(lacking(a_view(**was), a_view(**now))) == [words]


@pytest.mark.parametrize(
    ("was", "now"),
    [({}, {}), ({}, {"trust": True}), ({}, {"spoofchk": False}), ({}, {"link_state": "disable"})],
)
def test_more_than_it_had_is_not_reported(was: dict[str, Any], now: dict[str, Any]) -> None:
    assert list(lacking(a_view(**was), a_view(**now))) == []


def test_a_pf_that_reports_nothing_counts_as_missing() -> None:
    (words,) = lacking(a_view(), None)

    assert words == "settings that the PF does not report"


def test_a_member_that_came_back_has_its_name_place_and_options() -> None:
    member = replace(a_vf("net1"), prio=5, queue_id=2)
    seen = replace(a_vf("eth3"), place=Place.HOST)

    now = as_it_is(member, replace(seen, place=Place.HOST))

    assert (now.name, now.place, now.prio, now.queue_id) == ("net1", Place.POD, 5, 2)


@pytest.mark.parametrize(("entry", "held"), [(MAC, MAC), ("00:00:00:00:00:00", None)])
def test_an_administrative_mac_counts_only_where_the_pf_still_has_it(
    entry: str, held: str | None
) -> None:
    seen = replace(a_vf("eth3", mac=entry), administrative_mac=MAC)

    assert as_it_is(a_vf("net1"), seen).administrative_mac == held


OTHER_MAC, NEW_MAC = "02:00:00:00:00:02", "02:00:00:00:00:03"


@pytest.mark.parametrize(
    ("planned", "now", "chosen"),
    [
        ((MAC, OTHER_MAC), NEW_MAC, NEW_MAC),
        ((MAC, OTHER_MAC), OTHER_MAC, MAC),
        ((MAC, OTHER_MAC), NO_MAC, MAC),
        ((OTHER_MAC, OTHER_MAC), OTHER_MAC, OTHER_MAC),
        ((OTHER_MAC, OTHER_MAC), NO_MAC, OTHER_MAC),
        ((NO_MAC, NO_MAC), OTHER_MAC, None),
    ],
)
def test_a_vf_that_came_back_has_no_other_members_mac_but_where_add_took_both_with_it(
    planned: tuple[str, str], now: str, chosen: str | None
) -> None:
    members = [a_vf(link={"mac": mac}) for mac in planned]

    assert choose_mac(members, members[0], now, {OTHER_MAC}) == chosen
