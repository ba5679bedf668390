"""Speed and link modes of netdevs, by ethtool's generic netlink (Linux 5.6)."""

import errno
import re
from collections.abc import Mapping, Sequence
from typing import Final

from pyroute2.netlink.exceptions import NetlinkError
from pyroute2.netlink.generic.ethtool import (
    ETHTOOL_GENL_NAME,
    ETHTOOL_GENL_VERSION,
    ETHTOOL_MSG_LINKMODES_GET,
    ethtool_linkmode_msg,
)

from sriovbond.kernel.netns import Namespace
from sriovbond.nic import genetlink
from sriovbond.nic.facts import Ethtool
from sriovbond.nic.genetlink import Channel, Family, Message

FAMILY: Final = Family(ETHTOOL_GENL_NAME, ethtool_linkmode_msg)
_SPEED_UNKNOWN: Final = 0xFFFFFFFF  # include/uapi/linux/ethtool.h
_DUPLEX: Final[Mapping[int, str]] = {0: "half", 1: "full"}
_SPEED: Final = re.compile("[0-9]+")


def read(namespace: Namespace, drivers: Mapping[str, str]) -> dict[str, Ethtool]:
    """Return ethtool's facts about netdevs of the namespace; `drivers` by the netdev's name."""

    async def ask(channel: Channel, name: str) -> Ethtool:
        return await _ask(channel, name, drivers[name])

    return genetlink.ask_each(namespace, FAMILY, drivers, ask, _without)


def _without(_name: str, reason: str) -> Ethtool:
    return Ethtool(problem=reason)


async def _ask(channel: Channel, name: str, driver: str) -> Ethtool:
    try:
        return parse(await channel.get(question(name)))
    except NetlinkError as error:
        if error.code == errno.ENODEV:
            return Ethtool(problem="the interface is missing")
        return Ethtool(problem=genetlink.in_words(error, driver))


def question(name: str) -> Message:
    """Return the request for a netdev's link modes."""
    message = ethtool_linkmode_msg()
    message["cmd"], message["version"] = ETHTOOL_MSG_LINKMODES_GET, ETHTOOL_GENL_VERSION
    header = {"attrs": [["ETHTOOL_A_HEADER_DEV_NAME", name]]}
    message["attrs"].append(("ETHTOOL_A_LINKMODES_HEADER", header))
    return message


def parse(answer: Message) -> Ethtool:
    """Return the facts in the kernel's response."""
    speed = answer.get_attr("ETHTOOL_A_LINKMODES_SPEED")
    autonegotiation = answer.get_attr("ETHTOOL_A_LINKMODES_AUTONEG")
    bits = _bits(answer.get_attr("ETHTOOL_A_LINKMODES_OURS"))
    return Ethtool(
        speed_mbps=None if speed in (None, 0, _SPEED_UNKNOWN) else speed,
        duplex=_DUPLEX.get(answer.get_attr("ETHTOOL_A_LINKMODES_DUPLEX")),
        autonegotiation=None if autonegotiation is None else bool(autonegotiation),
        supported=_modes(tuple(bits)),
        advertised=_modes([name for name, is_advertised in bits.items() if is_advertised]),
    )


def _bits(bitset: Message) -> dict[str, bool]:
    """Return the bits of the mask by name, and whether each is set in the value."""
    bits = bitset.get_attr("ETHTOOL_A_BITSET_BITS") if bitset else None
    return {
        bit.get_attr("ETHTOOL_A_BITSET_BIT_NAME"): bit.get_attr("ETHTOOL_A_BITSET_BIT_VALUE")
        is not None
        for bit in (bits.get_attrs("ETHTOOL_A_BITSET_BITS_BIT") if bits else ())
    }


def _modes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the speeds' names, the fastest first: the bits of ports and pause are left out."""
    modes = [name for name in names if _SPEED.match(name) and "base" in name]
    return tuple(sorted(modes, key=lambda name: -int(name.partition("base")[0])))
