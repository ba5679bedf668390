"""What each mode requires of the switch behind its PFs: a LAG over exactly these, or none."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from sriovbond.bond import rules
from sriovbond.bond.links import Master, Member
from sriovbond.bond.options import ADAPTIVE, BACKUP, LACP, BondMode
from sriovbond.bond.rules import Rule
from sriovbond.bond.situation import Situation

# Modes for which the switch must group its ports (bonding.rst, "Switch Configuration"); under the
# others it sends a MAC's frames to the port where it has learned that MAC, which is the VF's.
SPREADING: Final = frozenset({BondMode.BALANCE_RR, BondMode.BALANCE_XOR, BondMode.BROADCAST})
_OVER_A_LAG: Final = SPREADING | LACP


class Lag(StrEnum):
    """What is known of LAGs at the switch ports of the members' PFs."""

    NONE = "no LAG"
    EXACT = "a LAG of the host over exactly these PFs"
    OTHERS = "a LAG of the host over other PFs, too, or not over all of these"
    SINGLE = "a LAG of its own for each PF"
    SAID = "`switchLag: true`, and none seen"


class Cell(NamedTuple):  # a dataclass would cost each ADD of thin mode a millisecond
    """The warnings for a mode over such a LAG, none if they match; with the source."""

    rules: tuple[Rule, ...]
    source: str


_RST: Final = "bonding.rst, Switch Configuration"
_FLOWS: Final = "bond-cni issue 22"
_ALL_PFS: Final = "openshift-docs PR 118392"
_RELAY: Final = "openshift/pf-status-relay, README"
_ACTORS: Final = "bond-cni issue 149"

_ONE_PORT: Final = {
    Lag.NONE: Cell((), _RST),
    Lag.EXACT: Cell((rules.PF_IN_HOST_LAG,), f"{_FLOWS}; {_ALL_PFS}"),
    Lag.OTHERS: Cell((rules.PF_IN_HOST_LAG,), _FLOWS),
    Lag.SINGLE: Cell((), _RELAY),
    Lag.SAID: Cell((rules.SWITCH_LAG_UNWANTED,), _ALL_PFS),
}
_SPREAD: Final = {
    Lag.NONE: Cell((rules.SWITCH_LAG_NEEDED,), f"{_RST}; {_ALL_PFS}"),
    Lag.EXACT: Cell((), f"{_ALL_PFS}; {_ACTORS}"),
    Lag.OTHERS: Cell((rules.PF_IN_HOST_LAG,), _ALL_PFS),
    Lag.SINGLE: Cell((rules.SWITCH_LAG_NEEDED,), _ALL_PFS),
    Lag.SAID: Cell((), _ALL_PFS),
}
_LACP: Final = {
    Lag.NONE: Cell((rules.LACP_OVER_VF,), _ACTORS),
    Lag.EXACT: Cell((rules.LACP_OVER_VF, rules.PF_IN_HOST_LAG), f"{_ACTORS}; {_FLOWS}"),
    Lag.OTHERS: Cell((rules.LACP_OVER_VF, rules.PF_IN_HOST_LAG), f"{_ACTORS}; {_FLOWS}"),
    Lag.SINGLE: Cell((rules.LACP_OVER_VF,), _ACTORS),
    Lag.SAID: Cell((rules.LACP_OVER_VF,), _ACTORS),
}
TABLE: Final[Mapping[BondMode, Mapping[Lag, Cell]]] = MappingProxyType(
    {
        mode: _LACP if mode in LACP else _ONE_PORT if mode in BACKUP | ADAPTIVE else _SPREAD
        for mode in BondMode
    }
)


def lag_of(situation: Situation) -> Lag:
    """Return what is known of LAGs under the members."""
    lags = [_lag(member) for member in situation.members]
    if _is_exact(situation.members, lags):
        return Lag.EXACT
    if any(lag and len(lag.ports) > 1 for lag in lags):
        return Lag.OTHERS
    if situation.switch_lag:
        return Lag.SAID
    return Lag.SINGLE if any(lags) else Lag.NONE


def _lag(member: Member) -> Master | None:
    master = member.pf.master if member.pf else None
    return master if master and master.mode in _OVER_A_LAG else None


def _is_exact(members: Sequence[Member], lags: Sequence[Master | None]) -> bool:
    names = {member.pf.name for member in members if member.pf}
    ports = {lag.ports if lag else () for lag in lags}
    return len(names) > 1 and len(ports) == 1 and set(next(iter(ports))) == names


def _asks(situation: Situation, rule: Rule) -> bool:
    return rule in TABLE[situation.mode][lag_of(situation)].rules


def host_lag(situation: Situation) -> Iterator[str]:
    """Yield each member whose PF is in a LAG of the host that does not match the mode.

    Not for VFs with representors: their traffic is switched by the host then, or the NIC has a LAG
    for its VFs.
    """
    if not _asks(situation, rules.PF_IN_HOST_LAG):
        return
    for member in situation.members:
        lag = _lag(member)
        if member.pf and lag and len(lag.ports) > 1 and not member.pf.has_representors:
            other_ports = ", ".join(port for port in lag.ports if port != member.pf.name)
            lag_words = f"the host's {lag.name} (mode {lag.mode}) with {other_ports}"
            yield f"in mode {situation.mode}: {member}: {member.pf.name} is in {lag_words}"


def needed_lag(situation: Situation) -> Iterator[str]:
    """Yield the VFs whose switch ports must be in a LAG, if none is known."""
    if situation.mode not in SPREADING:
        return
    spread = [member for member in situation.members if member.is_vf]
    ports = {member.pf_address for member in spread}
    if (
        (len(ports) > 1 or ports == {""})
        and len(spread) > 1
        and _asks(situation, rules.SWITCH_LAG_NEEDED)
    ):
        senders = ", ".join(map(str, spread))
        why = "no LAG over exactly their PFs is seen"
        yield f"mode {situation.mode} sends one MAC from {senders}; {why}"


def unwanted_lag(situation: Situation) -> Iterator[str]:
    """Yield a switch's LAG that the configuration declares and that does not match the mode."""
    if situation.switch_lag and _asks(situation, rules.SWITCH_LAG_UNWANTED):
        yield f"switchLag is true, and in mode {situation.mode} each VF has its own switch port"


def one_mac_twice(situation: Situation) -> Iterator[str]:
    """Yield VFs of one PF that would have the same MAC."""
    if situation.mode in ADAPTIVE or situation.fail_over_mac == "follow":
        return
    sharing: dict[tuple[str, str], list[Member]] = {}
    for member in situation.members:
        if member.is_vf and member.pf_address:
            mac = situation.shared_mac or member.link.mac
            sharing.setdefault((member.pf_address, mac), []).append(member)
    for (_, mac), members in sharing.items():
        if len(members) > 1:
            yield f"{', '.join(map(str, members))} would all have the MAC {mac} on one PF"


def disabled_by_relay(situation: Situation) -> Iterator[str]:
    """Yield each VF that is disabled while its PF is in a bond that runs LACP."""
    for member in situation.members:
        lag = _lag(member)
        if is_disabled(member) and member.pf and lag and lag.mode in LACP:
            place = f"{member.pf.name} is in the host's {lag.name} (802.3ad)"
            why = "as PF Status Relay leaves them while LACP is down"
            yield f"{member} has link state disable, and {place}, {why}"


def is_disabled(member: Member) -> bool:
    """Return whether the PF gives the VF no carrier at all."""
    return member.settings is not None and member.settings.link_state == "disable"


def is_relayed(member: Member) -> bool:
    """Return whether the PF is in a bond that runs LACP, whose state a relay may pass to the VF."""
    lag = _lag(member)
    return lag is not None and lag.mode in LACP
