"""bond-cni's configurations build the same bond here, and our DEL deletes bonds made by it."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from sriovbond.bond.options import OPTIONS, BondMode
from sriovbond.bond.states import BondState
from tests.kernel.conftest import Wires
from tests.support.classic import (
    MACS,
    Call,
    Config,
    a_classic,
    bond_cni,
    macs,
    of_host,
    stands_on_host,
)
from tests.support.pods import Pod

SAME: dict[str, Config] = {
    **{str(mode): {"mode": str(mode), "failOverMac": None} for mode in BondMode},
    "failOverMac-0": {"failOverMac": 0},
    "failOverMac-1": {"failOverMac": 1},
    "failOverMac-2": {"failOverMac": 2},
    "miimon-250": {"miimon": "250"},
    "mtu": {"mtu": 1400},
    "hash-xor": {"mode": "balance-xor", "failOverMac": None, "xmitHashPolicy": "layer3+4"},
    "hash-lacp": {"mode": "802.3ad", "failOverMac": None, "xmitHashPolicy": "vlan+srcmac"},
    "hash-without-effect": {"xmitHashPolicy": "layer2+3"},
    "all-slaves": {"allSlavesActive": 1},
    "no-all-slaves": {"allSlavesActive": 0},
    "tlb-static": {"mode": "balance-tlb", "failOverMac": None, "tlbDynamicLb": 0},
    "alb-dynamic": {"mode": "balance-alb", "failOverMac": None, "tlbDynamicLb": 1},
    "mac-in-a-mode-without-it": {"mode": "balance-rr", "failOverMac": 2},
}
OTHERWISE = {"ad_actor_system", "num_grat_arp"}
"""Random for each bond; or our own default, so that a late carrier is announced."""


def comparable(state: BondState | None) -> dict[str, Any]:
    """Return the facts that two bonds of one configuration share: all but MACs and indices."""
    assert state is not None
    settings = {
        row.name: state.settings.get(row.name) for row in OPTIONS if row.name not in OTHERWISE
    }
    members = [(one.name, one.mtu, one.is_up) for one in state.members]
    return {"mtu": state.mtu, "is_up": state.is_up, "members": members, **settings}


@bond_cni
@pytest.mark.parametrize(
    "row",
    [
        *(row for row in SAME if row != "hash-lacp"),
        pytest.param(
            "hash-lacp",
            marks=pytest.mark.kernel_from("5.12", "does not know vlan+srcmac"),
        ),
    ],
)
def test_a_configuration_of_bond_cni_gives_the_same_bond(
    ours: Call, theirs: Call, wires: Wires, row: str
) -> None:
    config = a_classic(**SAME[row])
    if "failOverMac" in SAME[row] and config.get("failOverMac") is None:
        config["failOverMac"] = 0  # the default: 0 there, auto here, deliberately

    theirs("ADD", config).ok()
    made = comparable(wires.pod.bond())
    theirs("DEL", config).ok()
    ours("ADD", config).ok()

    assert comparable(wires.pod.bond()) == made
    ours("DEL", config).ok()


@bond_cni
def test_a_configuration_over_links_of_the_host_gives_the_same_bond(
    ours: Call, theirs: Call, pod: Pod, on_host: tuple[str, str]
) -> None:
    config = of_host(*on_host)

    theirs("ADD", config).ok()
    made = comparable(pod.bond())
    theirs("DEL", config).ok()
    ours("ADD", config).ok()

    assert comparable(pod.bond()) == made
    ours("DEL", config).ok()
    assert all(stands_on_host(name) for name in on_host)


@bond_cni
def test_the_members_macs_are_the_same_after_both(ours: Call, theirs: Call, wires: Wires) -> None:
    for call, mode in itertools.product((theirs, ours), ("active-backup", "balance-xor")):
        config = a_classic(mode=mode, failOverMac=0)
        call("ADD", config).ok()
        call("DEL", config).ok()

        assert macs(wires.pod) == list(MACS)


@bond_cni
def test_a_bond_of_bond_cni_is_deleted_by_ours(ours: Call, theirs: Call, wires: Wires) -> None:
    theirs("ADD", a_classic()).ok()

    ours("DEL", a_classic()).ok()

    assert wires.pod.bond() is None
    assert all(wires.pod.link(name) for name in wires.names)


@bond_cni
def test_links_of_the_host_come_home_from_a_bond_of_bond_cni(
    ours: Call, theirs: Call, pod: Pod, on_host: tuple[str, str]
) -> None:
    theirs("ADD", of_host(*on_host)).ok()

    ours("DEL", of_host(*on_host)).ok()

    assert pod.bond() is None
    assert all(stands_on_host(name) for name in on_host)


@bond_cni
def test_an_address_that_bond_cni_reserved_is_released_by_ours(
    ours: Call, theirs: Call, wires: Wires, tmp_path: Path
) -> None:
    ranges = [[{"subnet": "192.0.2.0/24"}]]
    ipam = {"type": "host-local", "dataDir": str(tmp_path / "ipam"), "ranges": ranges}
    config = a_classic(ipam=ipam)
    theirs("ADD", config).ok()
    folder = tmp_path / "ipam" / "bond-net1"
    assert list(folder.glob("192.0.2.*"))

    ours("DEL", config).ok()

    assert wires.pod.bond() is None
    assert not list(folder.glob("192.0.2.*"))
