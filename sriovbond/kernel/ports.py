"""What links are in (a bond, team, bridge, Open vSwitch), and which stand for a VF on the host."""

import re
from collections.abc import Sequence
from typing import Final

from sriovbond.bond.links import Master
from sriovbond.bond.options import option
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Answer

_IFINFOMSG_BYTES: Final = 16
_IFLA_LINKINFO: Final = 18  # include/uapi/linux/if_link.h
_IFLA_INFO_DATA: Final = 2
# __devlink_port_phys_port_name_get(), net/devlink/port.c: the representor of a VF or sub-function
_REPRESENTOR: Final = re.compile(r"(c[0-9]+)?pf[0-9]+[vs]f[0-9]+")


def masters(answers: Sequence[Answer]) -> dict[int, Master]:
    """Return, by index, the links that have others in them."""
    inside: dict[int, list[str]] = {}
    for one in answers:
        if one.attribute("IFLA_MASTER"):
            inside.setdefault(one.attribute("IFLA_MASTER"), []).append(one.text("IFLA_IFNAME"))
    return {
        one.message["index"]: Master(
            name=one.text("IFLA_IFNAME"),
            kind=one.attribute("IFLA_LINKINFO", "IFLA_INFO_KIND") or "",
            mode=_bond_mode(one),
            ports=tuple(inside[one.message["index"]]),
        )
        for one in answers
        if one.message["index"] in inside
    }


def representors(answers: Sequence[Answer]) -> set[int]:
    """Return the indexes of links that are the host's end of a VF (switchdev mode)."""
    return {
        one.message["index"]
        for one in answers
        if _REPRESENTOR.fullmatch(one.text("IFLA_PHYS_PORT_NAME"))
    }


def _bond_mode(answer: Answer) -> str:
    """Return a bond's mode, empty for other links.

    It is read from the bytes: pyroute2's own reading of them depends on who was imported before.
    """
    if answer.attribute("IFLA_LINKINFO", "IFLA_INFO_KIND") != "bond":
        return ""
    row = option("mode")
    payload = answer.body[_IFINFOMSG_BYTES:]
    for wanted in (_IFLA_LINKINFO, _IFLA_INFO_DATA, row.number):
        payload = next((part for one, _, part in nl.attributes(payload, 0) if one == wanted), b"")
    return str(row.kind.decode(payload)) if payload else ""
