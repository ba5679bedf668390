"""The input of the rules: a configuration, and its selected members."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import Member
from sriovbond.bond.options import BondMode, Setting


class Redundancy(StrEnum):
    """How members that fail together are handled: refused, warned of, or ignored."""

    REQUIRE = "require"
    PREFER = "prefer"
    OFF = "off"


class RedundancyLevel(StrEnum):
    """What members must not share."""

    PF = "pf"
    NIC = "nic"


@dataclass(frozen=True, slots=True)
class Situation:
    """The input of the rules; `members` is empty when a configuration is judged alone.

    `entries` and `entry_settings` are the selectors of all entries of `links`, and their options;
    `later` are the pod's networks with a device that come after the bond; `is_mtu_asked`: `mtu` is
    the configuration's, not the members' smallest. `ipv6` is an IPv6 address requested for the
    bond; `most_members` the maximum number that names alone can select; `left_nothing` the places
    of entries with those of the earlier ones that take all their matches. `upon` are the pod's
    networks on top of the bond, each with its plugin's type; `switch_lag`: the switch has a LAG
    over the members' PFs; `ipam_type` is empty without IPAM.
    """

    mode: BondMode
    settings: dict[str, Setting]
    fail_over_mac: str
    mac: str | None = None
    mtu: int | None = None
    is_mtu_asked: bool = False
    members: Sequence[Member] = ()
    member_addresses: str = "flush"
    redundancy: Redundancy = Redundancy.PREFER
    redundancy_level: RedundancyLevel = RedundancyLevel.PF
    ipv6: str = ""
    min_members: int = 1
    most_members: int | None = None
    entries: tuple[str, ...] = ()
    left_nothing: tuple[tuple[int, int], ...] = ()
    entry_settings: tuple[Setting, ...] = ()
    later: tuple[str, ...] = ()
    upon: tuple[str, ...] = ()
    switch_lag: bool = False
    ipam_type: str = ""
    is_host_asked: bool = False

    def value(self, name: str, default: OptionValue) -> OptionValue:
        """Return the option's requested value, else `default`."""
        setting = self.settings.get(name)
        return setting.value if setting else default

    def number(self, name: str) -> int:
        """Return the option's requested number, 0 if it has none."""
        value = self.value(name, 0)
        return value if isinstance(value, int) else 0

    @property
    def shared_mac(self) -> str | None:
        """The MAC that every member has to take; None if each keeps its own."""
        if self.mode is BondMode.ACTIVE_BACKUP and self.fail_over_mac == "active":
            return None
        if self.mac:
            return self.mac
        return self.members[0].link.mac if self.members else None
