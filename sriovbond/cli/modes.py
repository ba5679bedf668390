"""The modes of a bond for who chooses one: what the switch must do, and what VFs need."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from sriovbond.bond.options import MODE_NUMBERS, BondMode


class ModeRow(NamedTuple):
    """A mode: what it does, what the switch must do (bonding.rst), what VFs as ports need."""

    what: str
    switch: str
    vfs: str


HEADS: Final = ("mode", "what it does", "the switch", "VFs as ports")
_NO_GROUP: Final = "nothing: separate ports, with the same VLANs; also of two switches"
_STATIC_GROUP: Final = "a static group (EtherChannel, port-channel mode on) over all ports"
_ONE_MAC: Final = (
    "trust, or no administrative MAC, for they share one; the PFs' switch ports grouped as the "
    "mode needs, and VFs of different PFs"
)
MODES: Final[Mapping[BondMode, ModeRow]] = MappingProxyType(
    {
        BondMode.BALANCE_RR: ModeRow(
            "packets in turn over all ports; they may arrive out of order", _STATIC_GROUP, _ONE_MAC
        ),
        BondMode.ACTIVE_BACKUP: ModeRow(
            "one port carries all, another takes over",
            _NO_GROUP,
            "nothing with fail_over_mac active; trust with none; follow is not for VFs",
        ),
        BondMode.BALANCE_XOR: ModeRow("flows spread by xmit_hash_policy", _STATIC_GROUP, _ONE_MAC),
        BondMode.BROADCAST: ModeRow("each packet over every port", _STATIC_GROUP, _ONE_MAC),
        BondMode.LACP: ModeRow(
            "flows spread by xmit_hash_policy over the ports of one LACP group",
            "an LACP group over all ports, of one switch or one multi-chassis LAG",
            "not for VFs: a PF's embedded switch keeps LACPDUs; bond the PFs",
        ),
        BondMode.BALANCE_TLB: ModeRow(
            "outgoing flows spread by load, incoming ones over the active port",
            f"{_NO_GROUP}; drivers that report their speed",
            "MACs of their own, and trust: at a failover one takes the MAC of another",
        ),
        BondMode.BALANCE_ALB: ModeRow(
            "as balance-tlb, and incoming IPv4 spread by ARP answers",
            f"{_NO_GROUP}; drivers that report their speed",
            "MACs of their own, and trust: at a failover one takes the MAC of another",
        ),
    }
)


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Yield a row of texts for each mode, in the order of their numbers."""
    for mode, row in MODES.items():
        yield f"{mode} ({MODE_NUMBERS[mode]})", row.what, row.switch, row.vfs


def markdown() -> str:
    """Return the table for a page of the docs."""
    lines = [f"| {' | '.join(HEADS)} |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows())])
