"""Write down what the running kernel takes of bonding: `python -m tests.kernels.measure FILE`.

For root, in the VM. Each option is set on a bond, with each value and in each mode, and read back.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import Member, Place
from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, BondMode, Option, option
from sriovbond.errors import KernelError, RefusedError
from sriovbond.kernel import bonding, netns
from tests.kernels.table import Measured, Outcome
from tests.support.bonds import VALUES, Bench, member_of_a_bond, members_of
from tests.support.pods import Pod, a_pod

MEMBER_VALUES: dict[str, OptionValue] = {"queue_id": 3, "prio": -7, "actor_port_prio": 1000}

SetOption = Callable[[BondMode, OptionValue], OptionValue | None]
"""Sets an option in a mode; returns what the kernel then reports of it, None for nothing."""


def measure() -> dict[str, Measured]:
    """Return what this kernel takes, by the option's name."""
    with a_pod("measure") as pod:
        pod.ip("link add net1 type dummy")
        with netns.opened(pod.path) as inside:
            bench = Bench(inside.netlink)
            measured = {name: _on_a_bond(bench, option(name)) for name in VALUES}
        measured["primary"] = _judge(option("primary"), ["net1"], _primary_of(pod))
        for row in MEMBER_OPTIONS:
            measured[row.name] = _judge(row, [MEMBER_VALUES[row.name]], _member_option(pod, row))
    return {
        row.name: measured[row.name] for row in (*OPTIONS, *MEMBER_OPTIONS) if row.name != "mode"
    }


def _on_a_bond(bench: Bench, row: Option) -> Measured:
    values = [value.value for value in VALUES[row.name]]
    return _judge(row, values, lambda mode, value: bench.set(row, mode, value))


def _primary_of(pod: Pod) -> SetOption:
    def set_primary(mode: BondMode, _name: OptionValue) -> OptionValue | None:
        with member_of_a_bond(pod, mode) as (netlink, bond, link):
            bonding.add_member(netlink, Member(link, Place.POD), link.index, bond)
            bonding.set_primary(netlink, bond, link.name, link.index)
            state = bonding.observe(netlink, bond.name)
            return state.settings.get("primary") if state else None

    return set_primary


def _member_option(pod: Pod, row: Option) -> SetOption:
    def set_option(mode: BondMode, value: OptionValue) -> OptionValue | None:
        with member_of_a_bond(pod, mode) as (netlink, bond, link):
            member = Member(link, Place.POD, **{row.name: value})  # type: ignore[arg-type] # by name
            bonding.add_member(netlink, member, link.index, bond)
            reported: OptionValue | None = getattr(members_of(netlink)[0], row.name)
            return reported

    return set_option


def _judge(row: Option, values: list[OptionValue], set_option: SetOption) -> Measured:
    best = min(row.effective)
    outcomes = {_words(value): _outcome(set_option, best, value) for value in values}
    taken = (value for value in values if outcomes[_words(value)] is Outcome.TAKEN)
    proof = next(taken, None)
    modes = [
        mode
        for mode in BondMode
        if proof is not None and _outcome(set_option, mode, proof) is Outcome.TAKEN
    ]
    return Measured(modes=[mode.value for mode in modes], values=outcomes)


def _outcome(set_option: SetOption, mode: BondMode, value: OptionValue) -> Outcome:
    try:
        reported = set_option(mode, value)
    except RefusedError:
        return Outcome.DROPPED
    except KernelError:
        return Outcome.REFUSED
    return Outcome.TAKEN if reported == value else Outcome.DROPPED


def _words(value: OptionValue) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def main() -> int:
    """Write the file that the command line names."""
    document = {"release": os.uname().release, "options": measure()}
    Path(sys.argv[1]).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
