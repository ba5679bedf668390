"""How LACP stands on the node's 802.3ad bonds: partner, aggregators, churn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sriovbond.bond.options import BondMode, option
from sriovbond.kernel import links, messages
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import (
    IFLA_INFO_DATA,
    IFLA_INFO_SLAVE_DATA,
    IFLA_MASTER,
    LinkMessage,
)
from sriovbond.kernel.netlink import Netlink

# include/uapi/linux/if_link.h
_AD_INFO: Final = 23
_AD_INFO_AGGREGATOR, _AD_INFO_PARTNER_MAC = 1, 5
_SLAVE_AGGREGATOR, _SLAVE_CHURN_ACTOR, _SLAVE_CHURN_PARTNER = 6, 11, 12
_CHURN: Final = 1  # AD_CHURN, include/net/bond_3ad.h
_NO_PARTNER: Final = bytes(6)


@dataclass(frozen=True, slots=True)
class LacpPort:
    """A port: the aggregator that it is in, and which of both ends are churned.

    Kernels before 6.18 do not report churn.
    """

    name: str
    aggregator: int
    churned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lacp:
    """A bond: whether its active aggregator has a partner, and its ports by name."""

    has_partner: bool
    aggregator: int
    ports: tuple[LacpPort, ...]


def read(netlink: Netlink) -> Mapping[str, Lacp]:
    """Return the 802.3ad bonds that are up, by name; one that is down does not speak LACP."""
    rows = links.read_all(netlink, "list the bonds")
    bonds = [row for row in rows if row.kind == "bond" and row.is_up]
    return {row.name: _read(row, rows) for row in bonds if _is_lacp(row)}


def _is_lacp(bond: LinkMessage) -> bool:
    mode = option("mode").decode(by_number(bond.info.get(IFLA_INFO_DATA, b"")))
    return mode == BondMode.LACP


def _read(bond: LinkMessage, rows: Iterable[LinkMessage]) -> Lacp:
    info = by_number(by_number(bond.info.get(IFLA_INFO_DATA, b"")).get(_AD_INFO, b""))
    members = [row for row in rows if row.number(IFLA_MASTER) == bond.index]
    return Lacp(
        has_partner=info.get(_AD_INFO_PARTNER_MAC, _NO_PARTNER) != _NO_PARTNER,
        aggregator=messages.whole(info.get(_AD_INFO_AGGREGATOR, b"")),
        ports=tuple(map(_port, sorted(members, key=lambda row: row.name))),
    )


def _port(member: LinkMessage) -> LacpPort:
    data = by_number(member.info.get(IFLA_INFO_SLAVE_DATA, b""))
    ends = (("actor", _SLAVE_CHURN_ACTOR), ("partner", _SLAVE_CHURN_PARTNER))
    churned = tuple(end for end, number in ends if messages.whole(data.get(number, b"")) == _CHURN)
    return LacpPort(member.name, messages.whole(data.get(_SLAVE_AGGREGATOR, b"")), churned)
