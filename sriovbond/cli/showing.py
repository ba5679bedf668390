"""A pod's bond as the kernel tells it, and what the NICs under it tell of themselves."""

import dataclasses
from dataclasses import dataclass

from rich.console import Console

from sriovbond import records
from sriovbond.bond.plan import BondState
from sriovbond.cli import nics, tables
from sriovbond.host import Host
from sriovbond.kernel import bonding, netns
from sriovbond.nic import asking
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function


@dataclass(frozen=True, slots=True)
class Shown:
    """The bond, its members that are missing, and a function for each member and each PF."""

    state: BondState
    missing: tuple[str, ...]
    functions: tuple[Function, ...]


def look(host: Host, ifname: str, path: str) -> Shown | None:
    """Return the bond of that name in the namespace; None where there is none."""
    with netns.own() as home, netns.opened(path) as pod:
        state = bonding.observe(pod.netlink, ifname)
        if state is None:
            return None
        targets = [Target(member.device, member.name, pod) for member in state.members]
        missing = tuple(records.missing(host, pod.identity, state))
        return Shown(state, missing, asking.ask(host.places.sysfs, home, targets))


def print_tables(shown: Shown, console: Console | None = None) -> None:
    """Print the bond and its members, and then what the NICs tell."""
    console = console or Console()
    tables.print_bond(shown.state, console, missing=shown.missing)
    nics.print_nics(shown.functions, console)


def print_json(shown: Shown) -> None:
    """Print the bond as JSON, with what is missing, and the NICs, beside its own keys."""
    state = dataclasses.asdict(shown.state)
    tables.print_json({**state, "missing": shown.missing, "nics": shown.functions})
