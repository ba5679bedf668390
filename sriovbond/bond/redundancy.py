"""Redundancy: members on two PFs, or on two NICs, so that one may fail without the other.

An unknown PF counts neither as the same nor as a different one.
"""

from collections.abc import Iterator, Sequence

from sriovbond.bond.links import Member, Place, nic_of
from sriovbond.bond.situation import Redundancy, RedundancyLevel, Situation


def required_and_missing(situation: Situation) -> Iterator[str]:
    """Yield what the members share when `redundancy` is require."""
    if situation.redundancy is Redundancy.REQUIRE:
        yield from _lacking(situation)


def preferred_and_missing(situation: Situation) -> Iterator[str]:
    """Yield what the members share when `redundancy` is prefer."""
    if situation.redundancy is Redundancy.PREFER:
        yield from _lacking(situation)


def required_and_unproven(situation: Situation) -> Iterator[str]:
    """Yield members with unknown PFs when `redundancy` is require and depends on them."""
    unknown = [member for member in situation.members if not member.pf_address]
    is_open = len(situation.members) > 1 and len(_parts(situation) - {""}) < 2  # noqa: PLR2004 - redundancy
    if situation.redundancy is Redundancy.REQUIRE and is_open and unknown:
        yield f"the PF of {_list_members(unknown)} is unknown"


def numa_nodes(members: Sequence[Member]) -> str:
    """Return the NUMA nodes of the members' PFs, empty if one is unknown."""
    return ", ".join(
        f"{member} on node {member.pf.numa_node}"
        for member in members
        if member.pf and member.pf.numa_node is not None
    )


def _lacking(situation: Situation) -> Iterator[str]:
    parts = _parts(situation)
    if len(situation.members) == 1:
        yield f"{situation.members[0]} is the only member"
    elif len(parts) == 1 and "" not in parts:
        members, part = _list_members(situation.members), _name_part(situation, *parts)
        shared = f"{members} are all on the {_kind(situation)} {part}"
        vfs = [member for member in situation.members if member.is_vf and member.place is Place.POD]
        yield f"{shared}; {_pools(vfs, _kind(situation))}" if vfs else shared


def _parts(situation: Situation) -> set[str]:
    """Return the PFs or NICs of the members, "" for unknown ones."""
    pfs = {member.pf_address for member in situation.members}
    return {nic_of(pf) for pf in pfs} if situation.redundancy_level is RedundancyLevel.NIC else pfs


def _kind(situation: Situation) -> str:
    return situation.redundancy_level.upper()


def _name_part(situation: Situation, part: str) -> str:
    names = dict.fromkeys(
        member.pf.name for member in situation.members if member.pf and member.pf.name
    )
    return f"{part} ({', '.join(names)})" if names else part


def _pools(vfs: Sequence[Member], kind: str) -> str:
    """Return which resource pools of the SR-IOV device plugin must be separated."""
    resources = list(dict.fromkeys(member.allocation.resource for member in vfs))
    silent = [_by_network(member) for member in vfs if not member.allocation.resource]
    if silent:
        advice = (
            f"the resource of {', '.join(silent)} is unknown: make the pools that they came from"
        )
    elif len(resources) == 1:
        return (
            f"make of the pool {resources[0]}, which gave them all, one for each {kind} (pfNames)"
        )
    else:
        advice = f"make the pools {', '.join(resources)}"
    return f"{advice} select VFs of different {kind}s (pfNames)"


def _by_network(member: Member) -> str:
    network = member.allocation.network
    return f"{member.name} (network {network})" if network else member.name


def _list_members(members: Sequence[Member]) -> str:
    return ", ".join(map(str, members))
