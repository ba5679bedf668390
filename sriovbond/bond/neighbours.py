"""Bonds that share a PF, but require different switch configurations."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sriovbond.bond import rules
from sriovbond.bond.links import Member
from sriovbond.bond.options import BondMode
from sriovbond.bond.rules import Finding
from sriovbond.bond.switching import SPREADING


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another bond on this node."""

    whose: str
    mode: BondMode
    members: Sequence[Member]


def find_mixed(
    mode: BondMode, members: Sequence[Member], neighbours: Iterable[Neighbour]
) -> Iterator[Finding]:
    """Yield the bonds on the same PFs that need a LAG where this one must have none, or vice versa.

    Not for ADD, which would have to read the records of all bonds on the node.
    """
    pfs = {member.pf_address for member in members} - {""}
    for other in neighbours:
        shared = pfs & {member.pf_address for member in other.members}
        if shared and _is_spreading(mode) is not _is_spreading(other.mode):
            yield rules.BONDS_OF_BOTH_KINDS.finding(
                f"{other.whose} has mode {other.mode} over {', '.join(sorted(shared))}, "
                f"this bond would have mode {mode}"
            )


def _is_spreading(mode: BondMode) -> bool:
    return mode in SPREADING
