"""What a bond's options cannot be together: those of a document beside those that it has.

The kernel refuses such options, rounds them, or takes another one back without a word.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sriovbond.bond import checks as pods
from sriovbond.bond import rules
from sriovbond.bond.options import DELAYS, BondMode, Setting
from sriovbond.bond.situation import Situation
from sriovbond.nodenet.bondoptions import (
    is_at_default,
    is_in_mode,
    kernel_default,
    merged,
)
from sriovbond.nodenet.checks import Complaint, Path, ports_of
from sriovbond.nodenet.model import BondOptions, LinkAggregation, NodeLink
from sriovbond.nodenet.pairs import Joined, Pair
from sriovbond.nodenet.routing import ABSENT

_FOLLOWING: Final = (*DELAYS, "arp_validate")
"""What changes with the monitoring, unasked."""
_SUBJECTS: Final = {
    rules.TWO_MONITORS: (("miimon", "arp_interval"),),
    rules.PROBES_WITHOUT_TARGET: (("arp_interval", "arp_ip_target", "ns_ip6_target"),),
    rules.VALIDATE_WITHOUT_PROBES: (("arp_validate", "arp_interval"),),
    rules.DELAY_NO_MULTIPLE: tuple((name, "miimon") for name in DELAYS),
}
"""Of each rule the options that its findings are about; one is at the first that is mentioned."""
_TAKEN: Final = (rules.PROBES_WITHOUT_TARGET, rules.VALIDATE_WITHOUT_PROBES)
"""What the kernel takes, though no port of such a bond works as meant."""


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what of a document's bonds cannot be; what is so already is left alone."""
    for number, link in enumerate(joined.desired.interfaces or ()):
        pair = joined.pair(link.label)
        wish = pair.target.link_aggregation if pair else None
        if pair and wish and pair.target.state != ABSENT:
            now = pair.current.link_aggregation if pair.current else None
            mode = wish.mode or (now or wish).mode
            for row in (
                *_of_options(now, wish, mode),
                *_of_primary(pair, wish),
                *_of_priority(wish, mode),
            ):
                path = ("interfaces", number, "link-aggregation", *row.path)
                yield replace(row, path=path, text=f"{pair.name}: {row.text}")


def _of_options(
    now: LinkAggregation | None, wish: LinkAggregation, mode: str | None
) -> Iterator[Complaint]:
    if mode is None:
        return
    for row in wish.settings if wish.mode is None else ():
        if not is_in_mode(row.name, mode):
            yield Complaint(
                ("options", row.name), f"{row.name} is not for mode {mode}, which it has"
            )
    before = {row.text for row in _findings(now, wish)} if now else set()
    yield from (row for row in _findings(merged(now, wish), wish) if row.text not in before)


def _findings(bond: LinkAggregation, wish: LinkAggregation) -> list[Complaint]:
    """Return what a bond's options cannot be; what follows another is judged where it is asked."""
    if bond.mode is None:
        return []
    mentioned = {row.name for row in wish.settings}
    settings = {
        row.name: row
        for row in bond.settings
        if not is_at_default(row) and (row.name in mentioned or row.name not in _FOLLOWING)
    }
    if all(row.name != "miimon" for row in bond.settings):
        settings |= _kernels_miimon(bond.mode)
    situation = Situation(BondMode(bond.mode), settings, "none")
    return [
        Complaint(_path(names, mentioned), f"{text}; {rule.remedy}", is_taken=rule in _TAKEN)
        for rule, check in pods.CHECKS
        for names in _SUBJECTS.get(rule, ())
        for text in check(_with_no_delay_but(names, situation))
    ]


def _with_no_delay_but(names: tuple[str, ...], situation: Situation) -> Situation:
    """Return it without the delays that are not among these, each of which has its own finding."""
    settings = situation.settings.items()
    kept = {name: row for name, row in settings if name in names or name not in DELAYS}
    return replace(situation, settings=kept)


def _path(names: tuple[str, ...], mentioned: set[str]) -> Path:
    """Return where the options of a finding are in the document."""
    return ("options", *[name for name in names if name in mentioned][:1])


def _kernels_miimon(mode: str) -> dict[str, Setting]:
    """Return miimon where the kernel sets it by itself (bond_option_mode_set())."""
    setting = Setting("miimon", kernel_default("miimon", mode))
    return {} if is_at_default(setting) else {"miimon": setting}


def _of_priority(wish: LinkAggregation, mode: str | None) -> Iterator[Complaint]:
    for number, port in enumerate(wish.ports_config or ()):
        if port.priority is not None and mode and not is_in_mode("prio", mode):
            text = f"the priority of {port.name} is not for mode {mode}"
            yield Complaint(("ports-config", number), text)


def _of_primary(pair: Pair, wish: LinkAggregation) -> Iterator[Complaint]:
    """Yield that a primary is none of the ports: the kernel would never report it."""
    primary = str((wish.options or BondOptions()).value("primary") or "")
    ports = ports_of(pair.target)
    if ports is None:
        ports = ports_of(pair.current or NodeLink())
    if primary and primary not in (ports or ()):
        yield Complaint(("options", "primary"), f"primary {primary} is none of its ports")
