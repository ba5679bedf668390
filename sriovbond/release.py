"""The one road out: put every link back as its record says, give IPAM its addresses back.

Failed ADD, DEL, GC and the command line all come here. Idempotent: what is gone is done.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from sriovbond import ipam, log, records
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.cni.request import parse_request
from sriovbond.cni.wire import CniError
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import bonding, links, netns
from sriovbond.kernel.messages import LinkMessage
from sriovbond.kernel.netlink import Netlink
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record

_HOMECOMING_S: Final = 3.0  # a dying namespace hands its devices back from a work queue
_PAUSE_S: Final = 0.05


@dataclass(slots=True)
class Outcome:
    """What could not be put back: `problems` must be tried again, `losses` are told and left.

    A DEL must not be repeated for ever for an address that cannot be put back. `notes` need nobody.
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

    def restore(self, netlink: Netlink, found: Link, wanted: Link) -> None:
        """Make a link what it was; what the kernel refuses is a loss."""
        for fault in links.restore(netlink, found, wanted):
            self.losses.append(fault.message)

    def restore_itself(self, netlink: Netlink, found: Link, wanted: Link) -> None:
        """Make a link what it was, but down, and without what it carried; likewise."""
        for fault in links.restore_itself(netlink, found, wanted):
            self.losses.append(fault.message)

    def restore_spanning(self, netlink: Netlink, pairs: Sequence[tuple[Link, Link]]) -> None:
        """Set the routes over several links again, when all are restored; likewise."""
        for fault in links.restore_spanning(netlink, pairs):
            self.losses.append(fault.message)

    def restore_sysctls(self, home: Namespace, found: Link, wanted: Link) -> None:
        """Give a link its sysctls again, before it comes up; likewise."""
        try:
            home.set_link_sysctls(found.name, wanted.sysctls)
        except MachineError as error:
            self.losses.append(error.message)

    def tell(self) -> None:
        """Log all of it."""
        self._tell_rest()
        for problem in self.problems:
            log.event(logging.ERROR, problem.message)

    def finish(self) -> None:
        """Raise the first problem with the others in its details, and log the rest."""
        self._tell_rest()
        if self.problems:
            first, *others = self.problems
            first.details = "; ".join([first.details, *(one.message for one in others)]).strip("; ")
            raise first

    def _tell_rest(self) -> None:
        for note in self.notes:
            log.event(logging.INFO, note)
        for loss in self.losses:
            log.event(logging.WARNING, f"left as it is: {loss}")


@contextmanager
def on_failure(host: Host, record: Record, descriptor: int | None = None) -> Iterator[None]:
    """Release the record if the block fails; what stands then is what stood before.

    The block's error is the one that is raised; what the release could not do is added to it.
    """
    try:
        yield
    except BaseException as cause:
        outcome = release(host, record, record.netns, descriptor)
        if isinstance(cause, SriovbondError | CniError):
            faults = [*(one.message for one in outcome.problems), *outcome.losses]
            left = [f"and the way back failed: {fault}" for fault in faults]
            cause.details = "; ".join([*filter(None, [cause.details]), *left])
        else:
            outcome.tell()
        raise


def release(
    host: Host, record: Record, netns_now: str = "", descriptor: int | None = None
) -> Outcome:
    """Undo the attachment, and forget it when nothing is left to undo.

    `netns_now` is the path by which the runtime knows the namespace by now, `descriptor` what was
    opened there.
    """
    outcome, before = Outcome(), record
    if record.plan and record.boot_id == host.boot_id():
        plan = record.plan
        places = dict.fromkeys([(netns_now, descriptor), (record.netns, None)])
        with log.step("release"):
            outcome.attempt(partial(_release_links, record, plan, outcome, places))
    if not outcome.problems:
        record = replace(record, plan=None)
    if record.ipam:
        call, faults = record.ipam, len(outcome.problems)
        with log.step("ipam"):
            outcome.attempt(partial(_release_ipam, host, call))
        if len(outcome.problems) == faults:
            record = replace(record, ipam=None)
    with log.step("record"):
        if not (record.plan or record.ipam):
            outcome.attempt(partial(records.remove, host, record))
        elif record != before:  # the agent takes a record that is written for news
            outcome.attempt(partial(records.write, host, record))
    return outcome


def _release_ipam(host: Host, call: records.IpamCall) -> None:
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
    _await_homecoming(plan)
    _restore_at_home(plan, outcome)


def _release_in(pod: Namespace, record: Record, plan: BondPlan, outcome: Outcome) -> None:
    for bond in _bonds(pod, record, plan):
        bonding.delete(pod.netlink, bond)
    standing = links.dump(pod.netlink)
    for member in plan.members:
        found = _in_pod(standing, member)
        if found and not found.master:
            outcome.attempt(partial(_release_member, pod, record, member, found, outcome))
    if not record.is_complete:
        in_pod = [member for member in plan.members if member.place is Place.POD]
        pairs = [(_in_pod(standing, member), member.link) for member in in_pod]
        outcome.restore_spanning(pod.netlink, [(found, was) for found, was in pairs if found])
    _restore_at_home(plan, outcome)


def _bonds(pod: Namespace, record: Record, plan: BondPlan) -> Sequence[Link | LinkMessage]:
    """Return what is to be deleted: the bond, also under the name that somebody gave it since.

    Where ADD did not succeed, one with members that are not ours may be what was in its way.
    """
    if record.is_complete:
        named = links.read(pod.netlink, record.ifname)
        if named and (named.kind, named.name) == ("bond", record.ifname):
            return [named]
    standing = links.dump(pod.netlink)
    ours = [link for link in (_in_pod(standing, member) for member in plan.members) if link]
    bonds = [link for link in standing if link.kind == "bond"]
    if record.is_complete:
        masters = {link.master for link in ours}
        return [one for one in bonds if one.index in masters]
    foreign = {link.master for link in standing if link not in ours}
    return [one for one in bonds if one.name == record.ifname and one.index not in foreign]


def _in_pod(standing: Sequence[Link], member: Member) -> Link | None:
    """Find a member in the pod; one without a device by its index, if it was born there."""
    if member.link.device or member.place is Place.HOST:
        return links.find_again(standing, member.link)
    wanted = (member.link.index, member.link.kind)
    return next((one for one in standing if (one.index, one.kind) == wanted), None)


def _release_member(
    pod: Namespace, record: Record, member: Member, found: Link, outcome: Outcome
) -> None:
    if member.place is Place.HOST:
        outcome.restore_itself(pod.netlink, found, member.link)
        send_link_home(pod, links.find_again(links.dump(pod.netlink), member.link) or found)
    elif record.is_complete:
        # down, for the mover's own DEL; bringing it up could fail and block us (bond-cni #51)
        outcome.restore_itself(pod.netlink, found, member.link)
    else:
        outcome.restore(pod.netlink, found, member.link)


def send_home(pod: Namespace, name: str) -> None:
    """Move a link of the pod to the host, where it stays down; nothing if it is not there."""
    found = links.find(pod.netlink, name)
    if found:
        send_link_home(pod, found)


def send_link_home(pod: Namespace, found: Link) -> None:
    """Move this link of the pod to the host, under another name where its own is taken."""
    with netns.own() as home:
        if found.is_up:
            links.set_down(pod.netlink, found)
        if links.find(home.netlink, found.name):
            links.rename(pod.netlink, found, _substitute(found.name))
        links.move(pod.netlink, found, home.descriptor, "host")


def _substitute(name: str) -> str:
    """Return the name that a link comes home with when its own is taken there."""
    return f"sb-{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def _restore_at_home(plan: BondPlan, outcome: Outcome) -> None:
    at_home = [member for member in plan.members if member.place is Place.HOST]
    if not at_home:
        return
    with netns.own() as home:
        standing = links.dump(home.netlink)
        pairs = [(_at_home(standing, member.link), member.link) for member in at_home]
        came = [(found, was) for found, was in pairs if found]
        for found, was in came:
            outcome.restore_sysctls(home, found, was)
            outcome.restore(home.netlink, found, was)
        outcome.restore_spanning(home.netlink, came)


def _at_home(standing: Sequence[Link], wanted: Link) -> Link | None:
    """Find a link at home; one without a device by its MAC too: its name may be another's now."""
    if wanted.device:
        return links.find_again(standing, wanted)
    alike = [one for one in standing if (one.kind, one.mac) == (wanted.kind, wanted.mac)]
    names = (wanted.name, _substitute(wanted.name))
    return next((one for name in names for one in alike if one.name == name), None)


def _await_homecoming(plan: BondPlan) -> None:
    """Wait a bounded time for devices that the kernel hands back after a namespace's end."""
    expected = [
        member.link for member in plan.members if member.place is Place.HOST and member.link.device
    ]
    deadline = time.monotonic() + _HOMECOMING_S
    while expected and time.monotonic() < deadline:
        with netns.own() as home:
            standing = links.dump(home.netlink)
        if all(links.find_again(standing, link) for link in expected):
            return
        time.sleep(_PAUSE_S)
