"""Masters of links (bond, team, bridge, Open vSwitch), and representors of VFs on the host."""

import re
from collections.abc import Sequence
from typing import Final

from sriovbond.bond.links import Master
from sriovbond.bond.options import option
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import (
    IFLA_INFO_DATA,
    IFLA_MASTER,
    IFLA_PHYS_PORT_NAME,
    LinkMessage,
)

# __devlink_port_phys_port_name_get(), net/devlink/port.c: the representor of a VF or sub-function
_REPRESENTOR: Final = re.compile(r"(c[0-9]+)?pf[0-9]+[vs]f[0-9]+")


def masters(link_messages: Sequence[LinkMessage]) -> dict[int, Master]:
    """Return, by index, the links that have others in them."""
    inside: dict[int, list[str]] = {}
    for message in link_messages:
        if IFLA_MASTER in message.attributes:
            inside.setdefault(message.number(IFLA_MASTER), []).append(message.name)
    return {
        message.index: Master(
            name=message.name,
            kind=message.kind,
            mode=_bond_mode(message),
            ports=tuple(inside[message.index]),
        )
        for message in link_messages
        if message.index in inside
    }


def representors(link_messages: Sequence[LinkMessage]) -> set[int]:
    """Return the indices of links that are representors of a VF (switchdev mode).

    Judged by their port names: reading devlink would cost an ADD pyroute2. `explain` reads it, and
    reports where it differs.
    """
    named = [message for message in link_messages if IFLA_PHYS_PORT_NAME in message.attributes]
    return {
        message.index
        for message in named
        if _REPRESENTOR.fullmatch(message.text(IFLA_PHYS_PORT_NAME))
    }


def _bond_mode(message: LinkMessage) -> str:
    """Return a bond's mode, empty for other links."""
    if message.kind != "bond":
        return ""
    mode = option("mode").decode(by_number(message.info.get(IFLA_INFO_DATA, b"")))
    return "" if mode is None else str(mode)
