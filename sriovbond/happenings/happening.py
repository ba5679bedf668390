"""What the agent's watch knows of the bonds on this node, and what it saw happen to them."""

from dataclasses import dataclass
from enum import StrEnum

from sriovbond.subject import Subject


class HappeningKind(StrEnum):
    """What happened; the name is also the reason of a Kubernetes Event."""

    FAILOVER = "BondFailover"
    """Another member is the active one."""
    DEGRADED = "BondDegraded"
    """One member that works is left, or none."""
    RESTORED = "BondRestored"
    """All members work again."""
    MEMBER_DOWN = "BondMemberDown"
    MEMBER_UP = "BondMemberUp"
    MEMBER_GONE = "BondMemberGone"
    """A member is not in the bond any more: its PF was reset, its driver unbound."""
    REPAIRED = "BondRepaired"
    """What was gone is in the bond again, by the agent's doing."""
    REPAIR_REFUSED = "BondRepairRefused"
    """What was gone is back, and must or can not be put into the bond again; the text says why."""
    DRIFT = "BondDrift"
    """Options or addresses differ from what ADD made."""
    RELEASED = "BondReleased"
    """The pod went without a DEL, or an ADD was killed: what was left has been put back."""
    ADDRESSES_KEPT = "BondAddressesKept"
    """The bond is gone, and IPAM has not released its addresses yet."""
    ADDRESSES_RETURNED = "BondAddressesReturned"
    """IPAM has released them."""


WARNINGS = frozenset(
    {
        HappeningKind.FAILOVER,
        HappeningKind.DEGRADED,
        HappeningKind.MEMBER_DOWN,
        HappeningKind.MEMBER_GONE,
        HappeningKind.REPAIR_REFUSED,
        HappeningKind.DRIFT,
        HappeningKind.RELEASED,
        HappeningKind.ADDRESSES_KEPT,
    }
)
"""What an operator should look at; the others say that it is well again."""


@dataclass(frozen=True, slots=True)
class WatchedMember:
    """A member that ADD put into the bond, as it is now; `pf` is its PF's name or address.

    `is_up` is the bond's own verdict (MII status or ARP monitor), `is_in_aggregator` that of LACP,
    true outside 802.3ad; `failures` counts as the kernel does (IFLA_BOND_SLAVE_LINK_FAILURE_COUNT).
    """

    name: str
    device: str = ""
    pf: str = ""
    is_in_bond: bool = True
    is_up: bool = False
    is_in_aggregator: bool = True
    is_active: bool = False
    failures: int = 0

    @property
    def works(self) -> bool:
        """True where it carries traffic, or would at once if it were the active one."""
        return self.is_in_bond and self.is_up and self.is_in_aggregator

    def __str__(self) -> str:
        """Tell which one is meant: net1 (0000:01:10.0 of pf0)."""
        details = " of ".join(filter(None, (self.device, self.pf)))
        return f"{self.name} ({details})" if details else self.name


@dataclass(frozen=True, slots=True)
class WatchedBond:
    """A bond as the watch last saw it; times are seconds since the epoch, 0 for never.

    `index` is the link's, 0 where there is none; `last_active` the name of the member that is
    active, or was before none worked; `refused` says of members that came back why they are not
    in the bond.
    """

    subject: Subject
    mode: str
    has_carrier: bool
    members: tuple[WatchedMember, ...] = ()
    index: int = 0
    last_active: str = ""
    failovers: int = 0
    failed_over_at: float = 0.0
    drift: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    @property
    def working(self) -> int:
        """How many members could carry traffic."""
        return sum(member.works for member in self.members)


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a bond at a time, `text` in words for the operator.

    `member` is whom it is about, where it is about one: of a failover the member that failed.
    """

    kind: HappeningKind
    subject: Subject
    text: str
    at: float
    member: WatchedMember | None = None

    @property
    def is_warning(self) -> bool:
        """True for what an operator should look at."""
        return self.kind in WARNINGS
