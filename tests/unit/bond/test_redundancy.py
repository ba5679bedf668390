"""Redundancy by PF and by NIC, with unknown PFs, and the pools to separate."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sriovbond.bond import redundancy
from sriovbond.bond.links import Allocation, Member, PhysicalFunction, Place
from sriovbond.bond.plan import plan_bond
from sriovbond.errors import RefusedError
from tests.support.builders import a_link, a_member, a_netconf, a_pf, a_vf

PORT_0, PORT_1 = PhysicalFunction("0000:01:00.0", "pf0"), PhysicalFunction("0000:01:00.1", "pf1")
OTHER = PhysicalFunction("0000:02:00.0", "pf2")
IDS = ("redundancy-required", "redundancy-unproved", "no-redundancy")


def on(*pfs: PhysicalFunction | None) -> list[Member]:
    """Return a VF on each of the PFs, None for a VF inside a VM."""
    made = [a_vf(f"net{at}", at, pf=pf) for at, pf in enumerate(pfs, 1)]
    return [
        one if pf else replace(one, pf=None, vf_number=None, settings=None)
        for one, pf in zip(made, pfs, strict=True)
    ]


def a_nic(device: str, name: str = "net1") -> Member:
    return Member(a_link(name, device=device), Place.POD)


def simulated(vf: int, nic: int) -> Member:
    link = a_link(f"net{vf}", device=f"netdevsim{nic}/pf0vf{vf}")
    return Member(link, Place.POD, is_vf=True, pf=PhysicalFunction(f"netdevsim{nic}/p1"))


def found(members: Sequence[Member], **keys: str) -> list[str]:
    """Return which of the rules are violated."""
    try:
        warnings = plan_bond("bond0", a_netconf(**keys), members).warnings
    except RefusedError as refusal:
        return [one for one in IDS if f"[{one}]" in refusal.message]
    return [one.rule for one in warnings if one.rule in IDS]


SHARED = {"require": ["redundancy-required"], "prefer": ["no-redundancy"], "off": []}
OPEN = {"require": ["redundancy-unproved"], "prefer": [], "off": []}
STANDS: dict[str, list[str]] = {"require": [], "prefer": [], "off": []}


@pytest.mark.parametrize("asked", SHARED)
@pytest.mark.parametrize(
    ("members", "level", "expected"),
    [
        pytest.param(on(PORT_0, PORT_0), "pf", SHARED, id="two on one PF"),
        pytest.param(on(PORT_0, PORT_0, PORT_0), "pf", SHARED, id="three on one PF"),
        pytest.param(on(PORT_0, PORT_0, PORT_0, OTHER), "pf", STANDS, id="four on two PFs"),
        pytest.param(on(PORT_0, PORT_1), "pf", STANDS, id="two ports"),
        pytest.param(on(PORT_0, PORT_1), "nic", SHARED, id="two ports of one NIC"),
        pytest.param(on(PORT_0, PORT_1, OTHER), "nic", STANDS, id="three ports of two NICs"),
        pytest.param(on(PORT_0), "pf", SHARED, id="one alone"),
        pytest.param(on(None), "pf", SHARED, id="one alone in a VM"),
        pytest.param(on(None, None), "pf", OPEN, id="two in a VM"),
        pytest.param(on(None, None), "nic", OPEN, id="two in a VM by NIC"),
        pytest.param(on(PORT_0, None, PORT_0), "pf", OPEN, id="one known, one not"),
        pytest.param(on(PORT_0, None, OTHER), "pf", STANDS, id="two known, one not"),
        pytest.param(on(PORT_0, None, PORT_1), "nic", OPEN, id="two of a NIC, one not known"),
        pytest.param([a_member("net1"), a_member("net2")], "pf", OPEN, id="veths"),
        pytest.param([a_nic("virtio0"), a_nic("virtio1", "net2")], "pf", OPEN, id="virtio"),
        pytest.param(
            [a_nic("0000:01:00.0"), a_nic("0000:01:00.1", "net2")], "pf", STANDS, id="PFs"
        ),
        pytest.param(
            [a_nic("0000:01:00.0"), a_nic("0000:01:00.1", "net2")], "nic", SHARED, id="ports"
        ),
        pytest.param(
            [a_nic("0000:01:00.0", "net2"), *on(PORT_0)], "pf", SHARED, id="a PF and its VF"
        ),
        pytest.param([simulated(0, 10), simulated(1, 10)], "pf", SHARED, id="simulated"),
        pytest.param([simulated(0, 10), simulated(1, 10)], "nic", SHARED, id="simulated NIC"),
        pytest.param([simulated(0, 10), simulated(1, 11)], "nic", STANDS, id="simulated NICs"),
    ],
)
def test_members_are_redundant_where_two_of_their_pfs_or_nics_differ(
    members: Sequence[Member], level: str, expected: dict[str, list[str]], asked: str
) -> None:
    assert found(members, redundancy=asked, redundancyLevel=level) == expected[asked]


@pytest.mark.parametrize(
    ("allocations", "words"),
    [
        (
            [Allocation("rig.io/a"), Allocation("rig.io/b")],
            "make the pools rig.io/a, rig.io/b select VFs of different PFs (pfNames)",
        ),
        (
            [Allocation("rig.io/a"), Allocation("rig.io/a")],
            "make of the pool rig.io/a, which gave them all, one for each PF (pfNames)",
        ),
        (
            [Allocation("rig.io/a"), Allocation(network="default/b")],
            "the resource of net2 (network default/b) is unknown: make the pools",
        ),
        (
            [Allocation(), Allocation()],
            "the resource of net1, net2 is unknown: make the pools",
        ),
    ],
)
def test_a_refusal_names_the_pools_to_separate(
    allocations: Sequence[Allocation], words: str
) -> None:
    members = [
        replace(one, allocation=given)
        for one, given in zip(on(PORT_0, PORT_0), allocations, strict=True)
    ]

    with pytest.raises(RefusedError) as refusal:
        plan_bond("bond0", a_netconf(redundancy="require"), members)

    assert "are all on the PF 0000:01:00.0 (pf0); " + words in refusal.value.message


def test_a_refusal_by_nic_names_slot_ports_and_nics() -> None:
    with pytest.raises(RefusedError) as refusal:
        plan_bond(
            "bond0", a_netconf(redundancy="require", redundancyLevel="nic"), on(PORT_0, PORT_1)
        )

    assert "are all on the NIC 0000:01:00 (pf0, pf1); " in refusal.value.message
    assert "select VFs of different NICs (pfNames)" in refusal.value.message


def test_links_of_the_host_came_from_no_pool() -> None:
    members = [replace(one, place=Place.HOST) for one in on(PORT_0, PORT_0)]

    with pytest.raises(RefusedError) as refusal:
        plan_bond("bond0", a_netconf(redundancy="require"), members)

    assert "pool" not in refusal.value.message


def test_numa_nodes_are_reported_where_they_are_known() -> None:
    first, second = on(PORT_0, OTHER)
    near = replace(second, pf=a_pf(1, numa_node=1))

    assert redundancy.numa_nodes([first, second]) == ""
    assert redundancy.numa_nodes([first, near]) == f"{near} on node 1"
