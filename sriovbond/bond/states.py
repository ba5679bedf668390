"""A bond and its members as the kernel reports them."""

from dataclasses import dataclass

from sriovbond.bond.kinds import OptionValue


@dataclass(frozen=True, slots=True)
class MemberState:
    """A member that is in the bond, as the kernel reports it (IFLA_BOND_SLAVE_*)."""

    index: int
    name: str
    mac: str
    mtu: int
    is_up: bool
    has_carrier: bool
    device: str = ""
    mii_up: bool = False
    is_active: bool = False
    failures: int = 0
    queue_id: int = 0
    actor_port_prio: int | None = None
    prio: int | None = None


@dataclass(frozen=True, slots=True)
class BondState:
    """A bond as the kernel reports it; `settings` by option name, as the table decodes them."""

    index: int
    name: str
    mac: str
    mtu: int
    is_up: bool
    has_carrier: bool
    settings: dict[str, OptionValue]
    members: tuple[MemberState, ...] = ()
