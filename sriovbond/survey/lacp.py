"""The state of LACP on the node's 802.3ad bonds: partner, aggregators, churn."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from deviceinfo import plainfile
from deviceinfo.plainfile import UnreadableError
from sriovbond.bond.options import BondMode, option
from sriovbond.kernel import links, messages
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import (
    IFLA_INFO_DATA,
    IFLA_INFO_SLAVE_DATA,
    IFLA_MASTER,
    LinkMessage,
)
from sriovbond.kernel.netns import Namespace

# include/uapi/linux/if_link.h
_AD_INFO: Final = 23
_AD_INFO_AGGREGATOR, _AD_INFO_PARTNER_MAC = 1, 5
_SLAVE_AGGREGATOR: Final = 6
_NO_PARTNER: Final = bytes(6)
_FILES: Final = "/proc/thread-self/net/bonding"
_MOST_BYTES: Final = 1 << 20
_ENDS: Final = {"Actor Churn State": "actor", "Partner Churn State": "partner"}


@dataclass(frozen=True, slots=True)
class LacpPort:
    """A port: the aggregator that it is in, and which of both ends are churned."""

    name: str
    aggregator: int
    churned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lacp:
    """A bond: whether its active aggregator has a partner, and its ports by name."""

    has_partner: bool
    aggregator: int
    ports: tuple[LacpPort, ...]


def read(node: Namespace) -> Mapping[str, Lacp]:
    """Return the 802.3ad bonds that are up, by name; one that is down does not speak LACP.

    Churn is in the driver's file: netlink has it since Linux 6.18 only.
    """
    rows = links.read_all(node.netlink, "list the bonds")
    bonds = [row for row in rows if row.kind == "bond" and row.is_up and _is_lacp(row)]
    files = node.run(lambda: {row.name: _read_file(row.name) for row in bonds})
    return {row.name: _read(row, rows, files[row.name]) for row in bonds}


def _read_file(name: str) -> str:
    with suppress(OSError, UnreadableError):
        return plainfile.read(f"{_FILES}/{name}", _MOST_BYTES).decode("utf-8", "replace")
    return ""


def _is_lacp(bond: LinkMessage) -> bool:
    mode = option("mode").decode(by_number(bond.info.get(IFLA_INFO_DATA, b"")))
    return mode == BondMode.LACP


def _read(bond: LinkMessage, rows: Iterable[LinkMessage], file: str) -> Lacp:
    churned = read_churned(file)
    info = by_number(by_number(bond.info.get(IFLA_INFO_DATA, b"")).get(_AD_INFO, b""))
    members = [row for row in rows if row.number(IFLA_MASTER) == bond.index]
    return Lacp(
        has_partner=info.get(_AD_INFO_PARTNER_MAC, _NO_PARTNER) != _NO_PARTNER,
        aggregator=messages.whole(info.get(_AD_INFO_AGGREGATOR, b"")),
        ports=tuple(_port(row, churned) for row in sorted(members, key=lambda row: row.name)),
    )


def _port(member: LinkMessage, churned: Mapping[str, tuple[str, ...]]) -> LacpPort:
    data = by_number(member.info.get(IFLA_INFO_SLAVE_DATA, b""))
    aggregator = messages.whole(data.get(_SLAVE_AGGREGATOR, b""))
    return LacpPort(member.name, aggregator, churned.get(member.name, ()))


def read_churned(file: str) -> dict[str, tuple[str, ...]]:
    """Return by port which ends are churned, of a file in /proc/net/bonding (bond_procfs.c)."""
    churned: dict[str, tuple[str, ...]] = {}
    port = ""
    for line in file.splitlines():
        key, _, value = line.partition(": ")
        if key == "Slave Interface":
            port = value
        elif key in _ENDS and value == "churned":
            churned[port] = (*churned.get(port, ()), _ENDS[key])
    return churned
