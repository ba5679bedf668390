"""A bond as the document has it: the kernel's options by the one table, those of its mode."""

from collections.abc import Iterator
from typing import Final

from sriovbond.bond.options import BondMode, Setting, option
from sriovbond.bond.states import BondState
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, LinkMessage, text
from sriovbond.nodenet.model import BondOptions, BondPort, LinkAggregation

_IFLA_BOND_SLAVE_PERM_HWADDR: Final = 4  # include/uapi/linux/if_link.h


def permanent(port: LinkMessage) -> bytes:
    """Return the MAC that a bond's port had before it became one; empty for another interface."""
    if text(port.info.get(IFLA_INFO_SLAVE_KIND, b"")) != "bond":
        return b""
    data = by_number(port.info.get(IFLA_INFO_SLAVE_DATA, b""))
    return data.get(_IFLA_BOND_SLAVE_PERM_HWADDR, b"")


def link_aggregation(bond: BondState) -> LinkAggregation:
    """Return mode, options and ports of a bond; options that its mode has not are left out."""
    mode = str(bond.settings.get("mode", ""))
    members = sorted(bond.members, key=lambda member: member.name)
    return LinkAggregation(
        mode=mode,
        options=BondOptions(tuple(_settings(bond, mode))),
        port=tuple(member.name for member in members),
        ports_config=tuple(
            BondPort(
                name=member.name,
                priority=member.prio if mode in option("prio").modes else None,
                queue_id=member.queue_id,
            )
            for member in members
        ),
    )


def _settings(bond: BondState, mode: str) -> Iterator[Setting]:
    for name, value in sorted(bond.settings.items()):
        setting = Setting(name, value)
        if name != "mode" and BondMode(mode) in setting.option.modes and _can_be_requested(setting):
            yield setting


def _can_be_requested(setting: Setting) -> bool:
    """Return whether a document may have the value: an address of zeros is the kernel's none."""
    value = list(setting.value) if isinstance(setting.value, tuple) else setting.value
    try:
        return setting.option.kind.parse(value) == setting.value
    except ValueError:
        return False
