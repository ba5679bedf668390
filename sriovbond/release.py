"""Releases an attachment: restores every link from its record, releases IPAM's lease.

Used by a failed ADD, DEL, GC and the command line. Idempotent: what is gone counts as done.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from sriovbond import homecoming, ipam, log, records
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.cni.network import read_network
from sriovbond.cni.request import parse_request
from sriovbond.cni.wire import CniError
from sriovbond.errors import KernelError, MachineError, SriovbondError, TryLaterError
from sriovbond.host import Host
from sriovbond.kernel import bonding, ioctls, links, netns, snapshots
from sriovbond.kernel.bonding import Handle
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record

_Bond = TypeVar("_Bond", Link, Handle)


@dataclass(slots=True)
class Outcome:
    """What could not be restored: `problems` must be retried, `losses` are logged and left.

    A DEL must not be repeated for ever for an address that cannot be restored. `notes` are for
    information only.
    """

    problems: list[SriovbondError] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, step: Callable[[], object]) -> None:
        """Run a step whose failure must not stop the others; keep its error."""
        try:
            step()
        except SriovbondError as error:
            self.problems.append(error)

    def lose(self, refused: Iterable[SriovbondError]) -> None:
        """Record what could not be restored."""
        self.losses += [fault.message for fault in refused]

    def tell(self) -> None:
        """Log all of it."""
        self._report_rest()
        for problem in self.problems:
            log.event(logging.ERROR, problem.message)

    def finish(self) -> None:
        """Raise the first problem with the others in its details, and log the rest."""
        self._report_rest()
        if self.problems:
            first, *rest = self.problems
            first.details = "; ".join(
                [first.details, *(problem.message for problem in rest)]
            ).strip("; ")
            raise first

    def _report_rest(self) -> None:
        for note in self.notes:
            log.event(logging.INFO, note)
        for loss in self.losses:
            log.event(logging.WARNING, f"left as it is: {loss}")


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps unreleased leases after a call: the agent's, which retries until IPAM releases them.

    `keep` gets a record on disk that has only IPAM's part, and IPAM's error (None if not tried);
    `has_room` returns whether it can keep this one. With `asks_first` IPAM DEL is tried once
    before, and its failure is not the call's.
    """

    keep: Callable[[Record, SriovbondError | None], object]
    has_room: Callable[[Record], bool]
    asks_first: bool = True

    def after(self, cause: BaseException) -> "Keeper":
        """Return the keeper for a failed ADD: an IPAM plugin that hung is not run again at once."""
        has_hung = isinstance(cause, ipam.IpamHungError)
        return replace(self, asks_first=self.asks_first and not has_hung)


@contextmanager
def on_failure(
    host: Host, record: Record, descriptor: int | None = None, keeper: Keeper | None = None
) -> Iterator[None]:
    """Release the record if the block fails, so that all is as before.

    Raises the block's error, with what could not be released added to it.
    """
    try:
        yield
    except BaseException as cause:
        later = keeper.after(cause) if keeper else None
        outcome = release(host, record, record.netns, descriptor, later)
        if isinstance(cause, SriovbondError | CniError):
            faults = [*(problem.message for problem in outcome.problems), *outcome.losses]
            left = [f"and the way back failed: {fault}" for fault in faults]
            cause.details = "; ".join([*filter(None, [cause.details]), *left])
        else:
            outcome.tell()
        raise


def release(
    host: Host,
    record: Record,
    netns_now: str = "",
    descriptor: int | None = None,
    keeper: Keeper | None = None,
) -> Outcome:
    """Release the attachment, and remove its record when nothing is left to release.

    IPAM comes last, so that it keeps no bond alive, but for one that needs the bond to be there.
    `netns_now` is the runtime's current path of the namespace, `descriptor` the one opened there.
    With a keeper the record stays, and it is no problem, if only IPAM fails.
    """
    outcome, before = Outcome(), record
    call = record.ipam
    is_first = call is not None and ipam.needs_interface(config_of(call))
    fault = _fault_of_ipam(host, call, keeper) if call and is_first else None
    if record.plan and record.boot_id == host.boot_id():
        plan = record.plan
        seen = [(path, None) for path in host.paths_of(record.netns)]
        places = dict.fromkeys([(netns_now, descriptor), *seen])
        with log.step("release"):
            outcome.attempt(partial(_release_links, host, record, plan, outcome, places))
    if not outcome.problems:
        record = replace(record, plan=None)
    if call and not is_first:
        fault = _fault_of_ipam(host, call, keeper)
    if call and not fault:
        record = replace(record, ipam=None)
    with log.step("record"):
        if not (record.plan or record.ipam):
            outcome.attempt(partial(records.remove, host, record))
        # the agent handles a rewritten record as changed
        elif record != before or (keeper and not records.exists(host, record.key)):
            outcome.attempt(partial(records.write, host, record))
    if fault:
        _keep_or_report(record, fault, keeper, outcome)
    return outcome


def config_of(call: records.IpamCall) -> Mapping[str, object]:
    """Return the network configuration that a call was made with, empty where it is none."""
    with suppress(CniError):
        return read_network(call.stdin.encode("utf-8", "surrogateescape")).config
    return {}


def _fault_of_ipam(
    host: Host, call: records.IpamCall, keeper: Keeper | None
) -> SriovbondError | None:
    """Run IPAM DEL; return why it failed, None if it did not."""
    if keeper and not keeper.asks_first:
        return TryLaterError("cannot release addresses now: IPAM is asked later")
    with log.step("ipam"):
        try:
            release_ipam(host, call)
        except SriovbondError as error:
            return error
    return None


def _keep_or_report(
    record: Record, fault: SriovbondError, keeper: Keeper | None, outcome: Outcome
) -> None:
    """Leave the lease to the keeper, if the record on disk has nothing else."""
    if keeper is None or outcome.problems or not keeper.has_room(record):
        outcome.problems.append(fault)
        return
    keeper.keep(record, fault if keeper.asks_first else None)
    outcome.notes.append(f"the addresses of {record.ifname} are released later: {fault.message}")


def release_ipam(host: Host, call: records.IpamCall) -> None:
    """Release this call's lease. Raises as ipam.delete, which is idempotent."""
    environment = {**call.environment, "CNI_COMMAND": "DEL"}
    try:
        request = parse_request(environment, call.stdin.encode())
    except CniError as error:
        raise MachineError(f"cannot release IPAM's part by its record: {error.msg}") from error
    ipam.delete(request, host)


def _release_links(
    host: Host,
    record: Record,
    plan: BondPlan,
    outcome: Outcome,
    places: Iterable[tuple[str, int | None]],
) -> None:
    for path, descriptor in places:
        with suppress(netns.NamespaceGoneError), netns.opened(path, descriptor) as pod:
            if pod.identity == record.namespace:
                for bond in _bonds(pod, record, plan, partial(_names_of_others, host, record)):
                    bonding.delete(pod.netlink, bond)
                _release_in(pod, record, plan, outcome)
                return
    outcome.notes.append(f"the namespace {record.netns} is gone")
    homecoming.wait(plan)
    homecoming.restore(plan, outcome.lose)


def _release_in(pod: Namespace, record: Record, plan: BondPlan, outcome: Outcome) -> None:
    """Restore the members, which are in no bond of the attachment any more."""
    if record.is_complete and _are_restored(pod, plan):
        return
    present = _dump_members(pod, plan)
    for member in plan.members:
        link = _in_pod(present, member)
        if link and link.master and member.place is Place.POD:
            outcome.losses.append(_elsewhere(pod, member, link))
        elif link:
            outcome.attempt(partial(_release_member, pod, record, member, link, outcome))
    if not record.is_complete:
        in_pod = [member for member in plan.members if member.place is Place.POD]
        pairs = [(_in_pod(present, member), member.link) for member in in_pod]
        came = [(link, was) for link, was in pairs if link]
        outcome.lose(snapshots.restore_spanning(pod.netlink, came))
    homecoming.restore(plan, outcome.lose)


def _are_restored(pod: Namespace, plan: BondPlan) -> bool:
    """Return whether deleting the bond restored everything, as it mostly does."""
    return all(
        member.place is Place.POD and snapshots.is_restored(pod.netlink, member.link)
        for member in plan.members
    )


def _bonds(
    pod: Namespace, record: Record, plan: BondPlan, others: Callable[[], Collection[str]]
) -> Sequence[Link | Handle]:
    """Return the links to delete: the bond, even if it was renamed since.

    If the ADD failed, a bond with foreign members may be an earlier one that was in its way. Before
    it no member was in any bond. `others` returns the names of other attachments' bonds, which may
    have taken the members meanwhile.
    """
    if record.is_complete:
        named = bonding.find(pod.netlink, record.ifname)
        return [named] if named else _renamed(pod, plan, others)
    present = links.dump(pod.netlink)
    ours = [link for link in (_in_pod(present, member) for member in plan.members) if link]
    foreign = {link.master for link in present if link not in ours}
    indices = {link.master for link in ours}
    bonds = [
        link
        for link in present
        if link.kind == "bond"
        and link.index not in foreign
        and (link.name == record.ifname or link.index in indices)
    ]
    return _leave_out(bonds, others)


def _renamed(pod: Namespace, plan: BondPlan, others: Callable[[], Collection[str]]) -> list[Handle]:
    """Return the bonds that the members are in."""
    present = _dump_members(pod, plan)
    ours = [link for link in (_in_pod(present, member) for member in plan.members) if link]
    names = {ioctls.name(pod.netlink, link.master) for link in ours if link.master}
    bonds = (bonding.find(pod.netlink, name) for name in names)
    return _leave_out([bond for bond in bonds if bond], others)


def _leave_out(bonds: list[_Bond], others: Callable[[], Collection[str]]) -> list[_Bond]:
    names = others() if bonds else ()
    return [bond for bond in bonds if bond.name not in names]


def _names_of_others(host: Host, record: Record) -> frozenset[str]:
    """Return the names of the bonds that other attachments have in the record's namespace."""
    with suppress(MachineError):
        return frozenset(
            other.ifname
            for other in records.each(host, [])
            if other.key != record.key
            and other.plan
            and (other.namespace, other.boot_id) == (record.namespace, record.boot_id)
        )
    return frozenset()


def _dump_members(pod: Namespace, plan: BondPlan) -> list[Link]:
    return links.dump_like(pod.netlink, [member.link for member in plan.members])


def _in_pod(present: Sequence[Link], member: Member) -> Link | None:
    """Find a member in the pod; one without a device by its index, if it was created there."""
    if member.link.device or member.place is Place.HOST:
        return links.find_again(present, member.link)
    identity = (member.link.index, member.link.kind)
    return next((link for link in present if (link.index, link.kind) == identity), None)


def _elsewhere(pod: Namespace, member: Member, link: Link) -> str:
    """Return a text if a member in the pod was put into another interface since."""
    where = ioctls.name(pod.netlink, link.master) or "another interface"
    return f"{member} is in {where}, which is none of ours: name, MAC and MTU are not put back"


def _release_member(
    pod: Namespace, record: Record, member: Member, link: Link, outcome: Outcome
) -> None:
    if member.place is Place.HOST:
        if not member.device:
            _make_known(pod, member, link, outcome)
        homecoming.send_link(pod, link, member.link)
    elif record.is_complete:
        # leave it down, for the mover's own DEL; bringing it up could fail and block us (bond-cni
        # #51)
        outcome.lose(snapshots.restore_itself(pod.netlink, link, member.link))
    else:
        outcome.lose(snapshots.restore(pod.netlink, link, member.link))


def _make_known(pod: Namespace, member: Member, link: Link, outcome: Outcome) -> None:
    """Restore the MAC of a link without a device, by which it is identified on the host."""
    if link.master:  # the bond would change the MAC again when the link leaves it
        with suppress(KernelError):
            links.leave(pod.netlink, link)
        link = links.find(pod.netlink, link.name) or link
    outcome.lose(snapshots.restore_itself(pod.netlink, link, member.link))
