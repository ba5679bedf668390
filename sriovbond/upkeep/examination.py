"""Compares a bond with its record; has it repaired, or its remains released."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import deviceinfo
from sriovbond import records, release
from sriovbond.bond import plan as planning
from sriovbond.bond.states import BondState
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.kernel import addresses, bonding, links, netns
from sriovbond.records import Record
from sriovbond.release import Keeper
from sriovbond.upkeep.repair import Repair, Repairs, UpkeepNote, is_in

_MOST_DRIFT: Final = 100


@dataclass(frozen=True, slots=True)
class Examined:
    """The result of an examination; `drift` are remaining differences from ADD's bond, some of all.

    `missing` are the devices of members that are not in the bond.
    """

    notes: tuple[UpkeepNote, ...] = ()
    drift: tuple[str, ...] = ()
    missing: frozenset[str] = frozenset()


Doubt = Callable[[Record], str]
"""Returns why a record's pod may still run though its namespace is missing; "" if not."""


def no_doubt(_: Record) -> str:
    """Return no doubt: the kernel has reported the namespace's end (RTM_DELNSID)."""
    return ""


def examine(
    host: Host,
    key: str,
    repairs: Repairs,
    doubt: Doubt,
) -> Examined:
    """Compare an attachment with its record, and repair what is safe to repair.

    One whose ADD was killed, or whose pod ended without a DEL, is released as by GC; the latter if
    its namespace is missing, and `doubt` returns "".
    Raises TryLaterError while another call has the attachment, MachineError, KernelError.
    """
    with records.locked(host, key):
        record = records.read(host, key)
        if record is None:
            return Examined()
        if record.plan is None and repairs.keeper:
            return Examined()  # IPAM's part is the keeper's
        why = _why_left(host, record)
        if why or record.plan is None:
            return _release(host, record, why, repairs.keeper)
        paths = host.paths_of(record.netns)
        with netns.identified(paths, record.namespace) as pod, netns.own() as home:
            if pod:
                return _look_after(Repair(host, pod, home, record, record.plan, repairs))
        why = doubt(record)
        if why:
            text = f"its namespace {record.netns} is missing, and it may still run: {why}"
            return Examined(drift=(text,))
        return _release(host, record, "its pod went without a DEL", repairs.keeper)


def _why_left(host: Host, record: Record) -> str:
    """Return why no pod has the record's bond any more; empty if one may have it."""
    if record.plan is None:
        return "its addresses were not released"
    if not record.is_complete:
        return "its ADD was cut short"
    return "" if record.boot_id == host.boot_id() else "it is of an earlier boot of this node"


def _release(host: Host, record: Record, why: str, keeper: Keeper | None) -> Examined:
    outcome = release.release(host, record, keeper=keeper)
    outcome.tell()
    if outcome.problems:
        return Examined(drift=tuple(problem.message for problem in outcome.problems))
    text = f"{record.ifname}: {why}: what was left of it is put back"
    return Examined((UpkeepNote(HappeningKind.RELEASED, text),))


def _look_after(repair: Repair) -> Examined:
    """Put lost members back if allowed, and compare the bond with its plan."""
    notes: list[UpkeepNote] = []
    state = bonding.observe(repair.pod.netlink, repair.plan.name)
    if state and repair.repairs.members:
        notes += repair.bring_back(state)
        if not all(note.is_put_off for note in notes):
            state = bonding.observe_settled(repair.pod.netlink, repair.plan)
    if state is None:
        return Examined(tuple(notes), (f"{repair.plan.name} is gone, or is no bond",))
    repair.note_refusals(notes, state)
    missing = {member.device for member in repair.plan.members if not is_in(member, state)}
    return Examined(tuple(notes), some_of(_drift(repair, state)), frozenset(missing - {""}))


def some_of(drift: Iterable[str]) -> tuple[str, ...]:
    """Return the first differences: of a bond with thousands of routes all may be missing."""
    first = tuple(islice(drift, _MOST_DRIFT + 1))
    return (*first[:_MOST_DRIFT], "and more") if len(first) > _MOST_DRIFT else first


def _drift(repair: Repair, state: BondState) -> Iterator[str]:
    """Yield the differences from the plan, except members that are missing in the pod."""
    netlink, plan = repair.pod.netlink, repair.plan
    pod_links = links.dump_like(netlink, [member.link for member in plan.members])
    present = tuple(member for member in plan.members if links.find_again(pod_links, member.link))
    lost = {member.name for member in plan.members} - {member.name for member in present}
    settings = [
        setting
        for setting in plan.settings
        if setting.name != "primary" or setting.value not in lost
    ]
    # of all members, not only the present ones
    mac = _find_later_mac(repair, state) or plan.mac or plan.shared_mac
    expected = replace(plan, members=present, settings=tuple(settings), mac=mac)
    yield from planning.differences(expected, state)
    yield from addresses.differences(
        netlink, state.name, state.index, repair.record.lease, may_change=True
    )


def _find_later_mac(repair: Repair, state: BondState) -> str | None:
    """Return the MAC that a later plugin of the chain has set, as CHECK has it by prevResult."""
    if repair.plan.shared_mac in (None, state.mac):
        return None
    reading = deviceinfo.read_results(repair.host.places.results, repair.record.container_id)
    ifname = repair.record.ifname
    macs = (statement.mac for statement in reading.statements if statement.interface == ifname)
    return next(filter(None, macs), None)
