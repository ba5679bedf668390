"""The watch's view of the bonds on this node, and the events detected on them."""

from dataclasses import dataclass
from enum import StrEnum

from sriovbond.subject import Subject


class HappeningKind(StrEnum):
    """The type of an event; the name is also the reason of a Kubernetes Event."""

    FAILOVER = "BondFailover"
    """The active member has changed."""
    DEGRADED = "BondDegraded"
    """At most one working member is left."""
    RESTORED = "BondRestored"
    """All members work again."""
    MEMBER_DOWN = "BondMemberDown"
    MEMBER_UP = "BondMemberUp"
    MEMBER_GONE = "BondMemberGone"
    """A member is no longer in the bond: its PF was reset, its driver unbound."""
    REPAIRED = "BondRepaired"
    """The agent has put a missing member into the bond again."""
    REPAIR_REFUSED = "BondRepairRefused"
    """A missing member is back, and must not or cannot be put into the bond again; see the text."""
    DRIFT = "BondDrift"
    """Options or addresses differ from what ADD made."""
    RELEASED = "BondReleased"
    """The pod ended without a DEL, or an ADD was killed: its remains have been released."""
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
    """A member that ADD put into the bond, in its current state; `pf` is its PF's name or address.

    `is_up` is the bond's own verdict (MII status or ARP monitor), `is_in_aggregator` that of LACP,
    true outside 802.3ad; `is_set_down` has IFF_UP off; `failures` counts as the kernel
    does (IFLA_BOND_SLAVE_LINK_FAILURE_COUNT).
    """

    name: str
    device: str = ""
    pf: str = ""
    is_in_bond: bool = True
    is_up: bool = False
    is_in_aggregator: bool = True
    is_set_down: bool = False
    is_active: bool = False
    failures: int = 0

    @property
    def works(self) -> bool:
        """Whether it carries traffic, or would at once as the active one."""
        return self.is_in_bond and self.is_up and self.is_in_aggregator

    def __str__(self) -> str:
        """Return its name and device: net1 (0000:01:10.0 of pf0)."""
        details = " of ".join(filter(None, (self.device, self.pf)))
        return f"{self.name} ({details})" if details else self.name


@dataclass(frozen=True, slots=True)
class WatchedBond:
    """A bond as the watch last read it; times are seconds since the epoch, 0 for never.

    `index` is the link's, 0 without a link; `last_active` the name of the active member, or of the
    last one while none works; `refused` has the reasons why members that came back are not in the
    bond.
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
        """The number of members that can carry traffic."""
        return sum(member.works for member in self.members)


@dataclass(frozen=True, slots=True)
class Happening:
    """An event of a bond at a time, `text` for the operator.

    `member` is the one concerned, if it is one: of a failover the member that failed.
    """

    kind: HappeningKind
    subject: Subject
    text: str
    at: float
    member: WatchedMember | None = None

    @property
    def is_warning(self) -> bool:
        """Whether it needs an operator's attention."""
        return self.kind in WARNINGS
