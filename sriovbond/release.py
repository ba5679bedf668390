"""The one road out: put every link back as its record says, give IPAM its addresses back.

Failed ADD, DEL, GC and the command line all come here. Idempotent: what is gone is done.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from sriovbond import homecoming, ipam, log, records
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.cni.request import parse_request
from sriovbond.cni.wire import CniError
from sriovbond.errors import KernelError, MachineError, SriovbondError, TryLaterError
from sriovbond.host import Host
from sriovbond.kernel import bonding, links, netns, snapshots
from sriovbond.kernel.bonding import Handle
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record


@dataclass(slots=True)
class Outcome:
    """What could not be put back: `problems` must be tried again, `losses` are logged and left.

    A DEL must not be repeated for ever for an address that cannot be put back. `notes` are as they
    should be.
    """

    problems: list[SriovbondError] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def attempt(self, step: Callable[[], object]) -> None:
        """Run a step that others must not wait for; keep its error."""
        try:
            step()
        except SriovbondError as error:
            self.problems.append(error)

    def lose(self, refused: Iterable[SriovbondError]) -> None:
        """Take note of what could not be put back."""
        self.losses += [fault.message for fault in refused]

    def tell(self) -> None:
        """Log all of it."""
        self._tell_rest()
        for problem in self.problems:
            log.event(logging.ERROR, problem.message)

    def finish(self) -> None:
        """Raise the first problem with the others in its details, and log the rest."""
        self._tell_rest()
        if self.problems:
            first, *rest = self.problems
            first.details = "; ".join(
                [first.details, *(problem.message for problem in rest)]
            ).strip("; ")
            raise first

    def _tell_rest(self) -> None:
        for note in self.notes:
            log.event(logging.INFO, note)
        for loss in self.losses:
            log.event(logging.WARNING, f"left as it is: {loss}")


@dataclass(frozen=True, slots=True)
class Keeper:
    """Who gives addresses back after a call: the agent, which tries again until IPAM takes them.

    `keep` takes a record on disk that has IPAM's part only, and why ("" where IPAM was not
    asked); `has_room` says whether it takes this one. `asks_first` has IPAM asked
    once before, and its failure is none of the call's then.
    """

    keep: Callable[[Record, str], object]
    has_room: Callable[[Record], bool]
    asks_first: bool = True

    def after(self, cause: BaseException) -> "Keeper":
        """Return what an ADD that failed so needs: an IPAM that hung is not asked at once."""
        has_hung = isinstance(cause, ipam.IpamHungError)
        return replace(self, asks_first=self.asks_first and not has_hung)


@contextmanager
def on_failure(
    host: Host, record: Record, descriptor: int | None = None, keeper: Keeper | None = None
) -> Iterator[None]:
    """Release the record if the block fails; all is then as it was before.

    The block's error is the one that is raised; what the release could not do is added to it.
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
    """Undo the attachment, and forget it when nothing is left to undo.

    `netns_now` is the path by which the runtime knows the namespace by now, `descriptor` what was
    opened there. With a keeper the record stays, and it is no problem, where only IPAM fails.
    """
    outcome, before = Outcome(), record
    if record.plan and record.boot_id == host.boot_id():
        plan = record.plan
        seen = [(path, None) for path in host.paths_of(record.netns)]
        places = dict.fromkeys([(netns_now, descriptor), *seen])
        with log.step("release"):
            outcome.attempt(partial(_release_links, record, plan, outcome, places))
    if not outcome.problems:
        record = replace(record, plan=None)
    fault = _fault_of_ipam(host, record.ipam, keeper) if record.ipam else None
    if record.ipam and not fault:
        record = replace(record, ipam=None)
    with log.step("record"):
        if not (record.plan or record.ipam):
            outcome.attempt(partial(records.remove, host, record))
        # the agent takes a record that is written for news
        elif record != before or (keeper and not records.exists(host, record.key)):
            outcome.attempt(partial(records.write, host, record))
    if fault:
        _keep_or_tell(record, fault, keeper, outcome)
    return outcome


def _fault_of_ipam(
    host: Host, call: records.IpamCall, keeper: Keeper | None
) -> SriovbondError | None:
    """Give the addresses back; return why IPAM has not taken them."""
    if keeper and not keeper.asks_first:
        return TryLaterError("cannot release addresses now: IPAM is asked later")
    with log.step("ipam"):
        try:
            release_ipam(host, call)
        except SriovbondError as error:
            return error
    return None


def _keep_or_tell(
    record: Record, fault: SriovbondError, keeper: Keeper | None, outcome: Outcome
) -> None:
    """Leave IPAM's part to the keeper, if the record on disk has nothing else."""
    if keeper is None or outcome.problems or not keeper.has_room(record):
        outcome.problems.append(fault)
        return
    keeper.keep(record, fault.message if keeper.asks_first else "")
    outcome.notes.append(f"the addresses of {record.ifname} are released later: {fault.message}")


def release_ipam(host: Host, call: records.IpamCall) -> None:
    """Have IPAM give back what this call reserved. Raises as ipam.delete, which is idempotent."""
    environment = {**call.environment, "CNI_COMMAND": "DEL"}
    try:
        request = parse_request(environment, call.stdin.encode())
    except CniError as error:
        raise MachineError(f"cannot release IPAM's part by its record: {error.msg}") from error
    ipam.delete(request, host)


def _release_links(
    record: Record, plan: BondPlan, outcome: Outcome, places: Iterable[tuple[str, int | None]]
) -> None:
    for path, descriptor in places:
        with suppress(netns.NamespaceGoneError), netns.opened(path, descriptor) as pod:
            if pod.identity == record.namespace:
                _release_in(pod, record, plan, outcome)
                return
    outcome.notes.append(f"the namespace {record.netns} is gone")
    homecoming.wait(plan)
    homecoming.restore(plan, outcome.lose)


def _release_in(pod: Namespace, record: Record, plan: BondPlan, outcome: Outcome) -> None:
    for bond in _bonds(pod, record, plan):
        bonding.delete(pod.netlink, bond)
    if record.is_complete and _are_restored(pod, plan):
        return
    present = links.dump(pod.netlink)
    for member in plan.members:
        link = _in_pod(present, member)
        if link and link.master and member.place is Place.POD:
            outcome.losses.append(_elsewhere(member, link, present))
        elif link:
            outcome.attempt(partial(_release_member, pod, record, member, link, outcome))
    if not record.is_complete:
        in_pod = [member for member in plan.members if member.place is Place.POD]
        pairs = [(_in_pod(present, member), member.link) for member in in_pod]
        came = [(link, was) for link, was in pairs if link]
        outcome.lose(snapshots.restore_spanning(pod.netlink, came))
    homecoming.restore(plan, outcome.lose)


def _are_restored(pod: Namespace, plan: BondPlan) -> bool:
    """Tell whether the bond's end was all that there was to do, as it mostly is."""
    return all(
        member.place is Place.POD and snapshots.is_restored(pod.netlink, member.link)
        for member in plan.members
    )


def _bonds(pod: Namespace, record: Record, plan: BondPlan) -> Sequence[Link | Handle]:
    """Return what is to be deleted: the bond, also where it has been renamed since.

    Where ADD did not succeed, one with members that are not ours may be what was in its way.
    """
    if record.is_complete:
        named = bonding.find(pod.netlink, record.ifname)
        if named:
            return [named]
    present = links.dump(pod.netlink)
    ours = [link for link in (_in_pod(present, member) for member in plan.members) if link]
    bonds = [link for link in present if link.kind == "bond"]
    if record.is_complete:
        masters = {link.master for link in ours}
        return [bond for bond in bonds if bond.index in masters]
    foreign = {link.master for link in present if link not in ours}
    return [bond for bond in bonds if bond.name == record.ifname and bond.index not in foreign]


def _in_pod(present: Sequence[Link], member: Member) -> Link | None:
    """Find a member in the pod; one without a device by its index, if it was born there."""
    if member.link.device or member.place is Place.HOST:
        return links.find_again(present, member.link)
    identity = (member.link.index, member.link.kind)
    return next((link for link in present if (link.index, link.kind) == identity), None)


def _elsewhere(member: Member, link: Link, present: Sequence[Link]) -> str:
    """Say where a member of the pod is that was put into another interface since."""
    masters = (upper.name for upper in present if upper.index == link.master)
    where = next(masters, "another interface")
    return f"{member} is in {where}, which is none of ours: name, MAC and MTU are not put back"


def _release_member(
    pod: Namespace, record: Record, member: Member, link: Link, outcome: Outcome
) -> None:
    if member.place is Place.HOST:
        if not member.device:
            _make_known(pod, member, link, outcome)
        homecoming.send_link(pod, link, member.link)
    elif record.is_complete:
        # down, for the mover's own DEL; bringing it up could fail and block us (bond-cni #51)
        outcome.lose(snapshots.restore_itself(pod.netlink, link, member.link))
    else:
        outcome.lose(snapshots.restore(pod.netlink, link, member.link))


def _make_known(pod: Namespace, member: Member, link: Link, outcome: Outcome) -> None:
    """Give a link without a device its MAC, by which it will be known at home."""
    if link.master:  # a bond would change the MAC again when the move takes the link out
        with suppress(KernelError):
            links.leave(pod.netlink, link)
        link = links.find(pod.netlink, link.name) or link
    outcome.lose(snapshots.restore_itself(pod.netlink, link, member.link))
