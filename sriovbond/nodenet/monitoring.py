"""What a bond's options cannot be together: those of a document beside those that it has.

The kernel refuses such options, rounds them, or takes another one back without a word.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sriovbond.bond import checks as pods
from sriovbond.bond import rules
from sriovbond.bond.options import BondMode, Setting, option
from sriovbond.bond.situation import Situation
from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.comparing import is_at_default
from sriovbond.nodenet.model import BondOptions, LinkAggregation, NodeLink
from sriovbond.nodenet.pairs import Joined, Pair
from sriovbond.nodenet.routing import ABSENT

MONITORED: Final = frozenset({BondMode.LACP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB})
"""Modes in which the kernel sets miimon by itself (bond_option_mode_set())."""
KERNELS_MIIMON: Final = 100
_RULES: Final = (
    rules.TWO_MONITORS,
    rules.PROBES_WITHOUT_TARGET,
    rules.VALIDATE_WITHOUT_PROBES,
    rules.DELAY_NO_MULTIPLE,
)
_IN_ANY_MODE: Final = ((), "off")


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what of a document's bonds cannot be; what is so already is left alone."""
    for number, link in enumerate(joined.desired.interfaces or ()):
        pair = joined.pair(link.label)
        wish = pair.target.link_aggregation if pair else None
        if pair and wish and pair.target.state != ABSENT:
            now = pair.current.link_aggregation if pair.current else None
            mode = wish.mode or (now or wish).mode
            texts = (
                *_of_options(now, wish, mode),
                *_of_primary(pair, wish),
                *_of_priority(wish, mode),
            )
            yield from (Complaint(("interfaces", number), f"{pair.name}: {row}") for row in texts)


def merged(now: LinkAggregation | None, wish: LinkAggregation) -> LinkAggregation:
    """Return a bond with the options of a document; another mode drops those of the one before."""
    if now is None or wish.mode not in (None, now.mode):
        return wish
    settings = {row.name: row for row in (now.options or BondOptions()).settings}
    settings |= {row.name: row for row in (wish.options or BondOptions()).settings}
    is_reset = wish.options is not None and not wish.options.settings
    return replace(now, options=BondOptions(() if is_reset else tuple(settings.values())))


def _of_options(
    now: LinkAggregation | None, wish: LinkAggregation, mode: str | None
) -> Iterator[str]:
    if mode is None:
        return
    for row in (wish.options or BondOptions()).settings if wish.mode is None else ():
        if BondMode(mode) not in row.option.modes and row.value not in _IN_ANY_MODE:
            yield f"{row.name} is not for mode {mode}, which it has"
    before = set(_findings(now)) if now else set()
    yield from (text for text in _findings(merged(now, wish)) if text not in before)


def _findings(bond: LinkAggregation) -> list[str]:
    if bond.mode is None:
        return []
    rows = (bond.options or BondOptions()).settings
    settings = {row.name: row for row in rows if not is_at_default(row)}
    if bond.mode in MONITORED:
        settings.setdefault("miimon", Setting("miimon", KERNELS_MIIMON))
    situation = Situation(BondMode(bond.mode), settings, "none")
    return [
        f"{text}; {rule.remedy}"
        for rule, check in pods.CHECKS
        if rule in _RULES
        for text in check(situation)
    ]


def _of_priority(wish: LinkAggregation, mode: str | None) -> Iterator[str]:
    for port in wish.ports_config or ():
        if port.priority and mode and BondMode(mode) not in option("prio").modes:
            yield f"the priority of {port.name} is not for mode {mode}"


def _of_primary(pair: Pair, wish: LinkAggregation) -> Iterator[str]:
    """Yield that a primary is none of the ports: the kernel would never report it."""
    primary = str((wish.options or BondOptions()).value("primary") or "")
    ports = ports_of(pair.target)
    if ports is None:
        ports = ports_of(pair.current or NodeLink())
    if primary and primary not in (ports or ()):
        yield f"primary {primary} is none of its ports"
