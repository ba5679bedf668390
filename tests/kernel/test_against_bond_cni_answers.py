"""bond-cni's defects 7 to 10: accepted keys and answers. Shown on bond-cni if it is present."""

from pathlib import Path

import pytest

from tests.kernel.conftest import Wires
from tests.support.classic import (
    IPAM,
    MACS,
    Call,
    Config,
    a_classic,
    bond_cni,
    scripted,
    ups,
)
from tests.support.pods import Pod

# 7. Keys


PASSED_OVER: dict[str, object] = {
    "primary": "net2",
    "primary_reselect": "failure",
    "num_grat_arp": 3,
    "updelay": 200,
    "min_links": 1,
}


@pytest.mark.parametrize("key", PASSED_OVER)
def test_7_options_that_bond_cni_ignores_take_effect(ours: Call, wires: Wires, key: str) -> None:
    ours("ADD", a_classic(**{key: PASSED_OVER[key]})).ok()

    state = wires.pod.bond()
    assert state is not None
    assert state.settings[key] == PASSED_OVER[key]


@pytest.mark.parametrize("keys", [{"mode": 1}, {"mode": "1"}, {"miimon": 100}], ids=str)
def test_7_numbers_are_taken_as_numbers_and_as_text(ours: Call, wires: Wires, keys: Config) -> None:
    ours("ADD", a_classic(**keys)).ok()

    state = wires.pod.bond()
    assert state is not None
    assert (state.settings["mode"], state.settings["miimon"]) == ("active-backup", 100)


def test_7_a_missing_miimon_is_100(ours: Call, wires: Wires) -> None:
    ours("ADD", a_classic(miimon=None)).ok()

    state = wires.pod.bond()
    assert state is not None
    assert state.settings["miimon"] == 100


def test_7_a_bond_without_monitoring_is_refused_under_strict(ours: Call, wires: Wires) -> None:
    reply = ours("ADD", a_classic(miimon="0", policy="strict"))

    assert "[no-link-monitoring]" in reply.msg
    assert wires.pod.bond() is None


def test_7_a_near_miss_of_a_key_is_refused(ours: Call, wires: Wires) -> None:
    reply = ours("ADD", a_classic(primarry="net2"))

    assert (reply.code, "'primary'" in reply.msg) == (7, True)
    assert wires.pod.bond() is None


@bond_cni
def test_7_bond_cni_ignores_keys_silently(theirs: Call, wires: Wires) -> None:
    theirs("ADD", a_classic(**PASSED_OVER, arp_interval=500, lacp_rate="fast")).ok()

    state = wires.pod.bond()
    assert state is not None
    assert all(state.settings.get(key) != value for key, value in PASSED_OVER.items())


@bond_cni
@pytest.mark.parametrize(
    "keys", [{"mode": 1}, {"mode": "1"}, {"miimon": 100}, {"miimon": None}], ids=str
)
def test_7_bond_cni_refuses_numbers_and_a_missing_miimon(
    theirs: Call, wires: Wires, keys: Config
) -> None:
    assert theirs("ADD", a_classic(**keys)).status == 1
    assert wires.pod.bond() is None


@bond_cni
def test_7_bond_cni_makes_a_bond_without_monitoring(theirs: Call, wires: Wires) -> None:
    theirs("ADD", a_classic(miimon="0")).ok()

    state = wires.pod.bond()
    assert state is not None
    assert (state.settings["miimon"], state.settings["arp_interval"]) == (0, 0)


# 8. One link named twice


TWICE: Config = {"links": [{"name": "net1"}, {"name": "net1"}]}


def test_8_a_link_named_twice_is_refused(ours: Call, wires: Wires) -> None:
    reply = ours("ADD", a_classic(**TWICE))

    assert reply.code == 7
    assert "[member-twice]" in reply.msg
    assert wires.pod.bond() is None


@bond_cni
def test_8_bond_cni_makes_a_bond_of_one_link_named_twice(theirs: Call, wires: Wires) -> None:
    theirs("ADD", a_classic(**TWICE)).ok()

    state = wires.pod.bond()
    assert state is not None
    assert len(state.members) == 1
    assert state.members[0].mac != MACS[0]


# 9. CHECK, GC, STATUS


def test_9_check_fails_for_a_bond_that_is_gone(ours: Call, wires: Wires) -> None:
    config = a_classic(cniVersion="1.0.0")
    result = ours("ADD", config).ok()
    wires.pod.ip("link del bond0")

    reply = ours("CHECK", {**config, "prevResult": result})

    assert reply.code == 102
    assert "bond0 is gone" in reply.msg


def test_9_gc_releases_a_bond_whose_attachment_is_not_listed(ours: Call, wires: Wires) -> None:
    config = a_classic(cniVersion="1.1.0")
    ours("ADD", config).ok()

    ours("GC", {**config, "cni.dev/valid-attachments": []}).ok()

    assert wires.pod.bond() is None


def test_9_status_asks_ipam(ours: Call, tmp_path: Path) -> None:
    found = scripted(
        tmp_path, """echo '{"cniVersion":"1.1.0","code":50,"msg":"the pool is empty"}'; exit 1"""
    )

    reply = ours("STATUS", a_classic(cniVersion="1.1.0", **IPAM), **found)

    assert (reply.code, "the pool is empty" in reply.msg) == (50, True)


@bond_cni
def test_9_bond_cni_confirms_a_bond_that_is_gone(theirs: Call, wires: Wires) -> None:
    config = a_classic(cniVersion="1.0.0")
    result = theirs("ADD", config).ok()
    wires.pod.ip("link del bond0")

    theirs("CHECK", {**config, "prevResult": result}).ok()


@bond_cni
def test_9_bond_cni_collects_nothing(theirs: Call, wires: Wires) -> None:
    config = a_classic(cniVersion="1.1.0")
    theirs("ADD", config).ok()

    theirs("GC", {**config, "cni.dev/valid-attachments": []}).ok()
    theirs("STATUS", config).ok()

    assert wires.pod.bond() is not None


# 10. MTU, up and down, addresses, the requested MAC, the errors


@pytest.mark.parametrize("mtu", [1400, 9000])
def test_10_without_mtu_the_bond_has_that_of_its_members(
    ours: Call, wires: Wires, mtu: int
) -> None:
    set_mtu(wires, mtu)

    ours("ADD", a_classic()).ok()

    state = wires.pod.bond()
    assert state is not None
    assert {state.mtu, *(member.mtu for member in state.members)} == {mtu}


def test_10_members_are_down_after_del(ours: Call, wires: Wires) -> None:
    for name in wires.names:
        wires.pod.ip(f"link set {name} down")

    ours("ADD", a_classic()).ok()
    ours("DEL", a_classic()).ok()

    assert ups(wires.pod) == [False, False]


def test_10_addresses_of_members_are_taken_away(ours: Call, wires: Wires) -> None:
    wires.pod.ip("addr add 198.51.100.9/24 dev net1")

    ours("ADD", a_classic()).ok()

    assert own_addresses(wires.pod) == []


def test_10_the_mac_of_the_runtime_is_the_bonds(ours: Call, wires: Wires) -> None:
    asked = "02:00:00:00:0c:0c"

    ours("ADD", a_classic(failOverMac=None, runtimeConfig={"mac": asked})).ok()

    state = wires.pod.bond()
    assert state is not None
    assert state.mac == asked


def test_10_errors_have_the_codes_of_the_specification(ours: Call, wires: Wires) -> None:
    replies = [
        ours("ADD", a_classic(mode="no-such-mode")),
        ours("ADD", a_classic(), CNI_IFNAME=""),
        ours("ADD", a_classic(cniVersion="9.9.9")),
    ]

    assert [reply.code for reply in replies] == [7, 4, 1]
    assert all("&{" not in reply.msg and "{NetConf:" not in reply.msg for reply in replies)
    assert wires.pod.bond() is None


def set_mtu(wires: Wires, mtu: int) -> None:
    for name in wires.names:
        wires.pod.ip(f"link set {name} mtu {mtu}")


def own_addresses(pod: Pod) -> list[str]:
    (link,) = pod.ip("-j addr show net1")
    return [one["local"] for one in link["addr_info"] if one["scope"] == "global"]


@bond_cni
def test_10_bond_cni_refuses_small_members_and_cuts_large_ones(theirs: Call, wires: Wires) -> None:
    set_mtu(wires, 1400)
    refused = theirs("ADD", a_classic())
    set_mtu(wires, 9000)
    theirs("ADD", a_classic()).ok()

    state = wires.pod.bond()
    assert (refused.status, refused.code) == (1, 999)
    assert state is not None
    assert state.mtu == 1500


@bond_cni
def test_10_bond_cni_leaves_members_up_that_were_down(theirs: Call, wires: Wires) -> None:
    for name in wires.names:
        wires.pod.ip(f"link set {name} down")

    theirs("ADD", a_classic()).ok()
    theirs("DEL", a_classic()).ok()

    assert ups(wires.pod) == [True, True]


@bond_cni
def test_10_bond_cni_leaves_addresses_on_members_and_ignores_the_mac(
    theirs: Call, wires: Wires
) -> None:
    wires.pod.ip("addr add 198.51.100.9/24 dev net1")
    asked = "02:00:00:00:0c:0c"

    theirs("ADD", a_classic(failOverMac=0, runtimeConfig={"mac": asked})).ok()

    state = wires.pod.bond()
    assert own_addresses(wires.pod) == ["198.51.100.9"]
    assert state is not None
    assert state.mac != asked


@bond_cni
def test_10_bond_cni_prints_its_struct_for_an_error(theirs: Call, wires: Wires) -> None:
    reply = theirs("ADD", a_classic(links=[{"name": "net1"}, {"name": "missing1"}]))

    assert reply.code == 999
    assert "{NetConf:{" in reply.msg, wires
