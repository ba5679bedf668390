"""A bond's options as the kernel has them: their defaults, and what else changes with one of them.

Source: drivers/net/bonding/bond_options.c and bond_netlink.c.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from sriovbond.bond import options
from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.options import DELAYS, BondMode, Setting
from sriovbond.nodenet.model import BondOptions, LinkAggregation, NodeLink

MONITORED: Final = frozenset({BondMode.LACP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB})
"""Modes in which the kernel sets miimon by itself (bond_option_mode_set())."""
KERNELS_MIIMON: Final = 100
_OF_THE_KERNEL: Final[Mapping[str, OptionValue]] = {
    "miimon": 0,
    "fail_over_mac": "none",
    "num_grat_arp": 1,
}
"""Where the kernel's default is not that of a pod's bond (bond_main.c, bond_check_params())."""


def kernel_default(name: str, mode: str | None = None) -> OptionValue:
    """Return the value that an option has in a new bond of the kernel's."""
    row = options.option(name)
    default: OptionValue = _OF_THE_KERNEL.get(name, row.default)
    if name == "miimon" and mode in MONITORED:
        return KERNELS_MIIMON
    return row.kind.parse(default) if default != "" else ()


def is_at_default(setting: Setting) -> bool:
    """Return whether an option has what a new bond has."""
    return setting.value == kernel_default(setting.name)


def is_in_mode(name: str, mode: str) -> bool:
    """Return whether the kernel takes an option in a mode."""
    return BondMode(mode) in options.option(name).modes


def of_mode(bond: LinkAggregation, mode: str | None) -> LinkAggregation:
    """Return a document's bond without defaults that its mode has not got, which say nothing."""
    if mode is None:
        return bond
    rows = bond.settings
    kept = tuple(row for row in rows if is_in_mode(row.name, mode) or not is_at_default(row))
    ports = bond.ports_config
    if ports is not None and not is_in_mode("prio", mode):
        ports = tuple(replace(port, priority=port.priority or None) for port in ports)
    wish = bond.options if kept == rows else BondOptions(kept) if kept else None
    return replace(bond, options=wish, ports_config=ports)


def whole(bond: BondOptions | None, name: str, mode: str | None) -> int:
    """Return the value of an option that is a number; what is not mentioned has its default."""
    value = (bond or BondOptions()).value(name)
    value = kernel_default(name, mode) if value is None else value
    return value if isinstance(value, int) else 0


def is_following(name: str, now: BondOptions) -> bool:
    """Return whether a delay changes with miimon; what it was without miimon is not to be seen."""
    return name in DELAYS and bool(now.value(name) or not now.value("miimon"))


def followers(now: BondOptions, wish: BondOptions) -> Iterator[Setting]:
    """Yield what a present bond's options get that are not mentioned, and would not stay.

    Delays stay where they can be multiples of another miimon, which has to be written; else the
    kernel's word holds: it keeps the multiple. Without miimon they are 0. With miimon probes end,
    and so does arp_validate (bond_option_miimon_set()).
    """
    miimon, former = wish.value("miimon"), now.value("miimon") or 0
    if not isinstance(miimon, int) or not isinstance(former, int) or miimon == former:
        return
    unmentioned = {row.name: row.value for row in now.settings if wish.value(row.name) is None}
    for name in DELAYS:
        delay = unmentioned.get(name)
        if isinstance(delay, int) and is_following(name, now):
            yield Setting(name, _delay(delay, former, miimon))
    if miimon and now.value("arp_interval") and "arp_validate" in unmentioned:
        yield Setting("arp_validate", kernel_default("arp_validate"))


def merged(now: LinkAggregation | None, wish: LinkAggregation) -> LinkAggregation:
    """Return a bond with the options of a document; another mode drops those of the one before."""
    if now is None or wish.mode not in (None, now.mode):
        return wish
    if wish.options is not None and not wish.options.settings:
        return replace(now, options=BondOptions())
    present, options_ = now.options or BondOptions(), wish.options or BondOptions()
    rows = (*present.settings, *followers(present, options_), *options_.settings)
    settings = {row.name: row for row in rows}
    return replace(now, options=BondOptions(tuple(settings.values())))


def bond_after(target: NodeLink, now: NodeLink | None) -> LinkAggregation | None:
    """Return the bond that an interface is to be, with the options that it keeps."""
    wish, present = target.link_aggregation, now.link_aggregation if now else None
    return merged(present, wish) if wish else present


def takes_ports_mac(bond: LinkAggregation | None) -> bool:
    """Return whether a bond has the MAC of its active port, and the kernel gives it no other.

    So bond_set_mac_address() has it: it succeeds, and sets nothing.
    """
    is_backup = bond is not None and bond.mode == BondMode.ACTIVE_BACKUP
    options_ = (bond.options if bond else None) or BondOptions()
    return is_backup and options_.value("fail_over_mac") == "active"


def _delay(delay: int, former: int, miimon: int) -> int:
    if not miimon:
        return 0
    return delay if delay % miimon == 0 or not former else delay // former * miimon
