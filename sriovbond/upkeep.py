"""What a bond needs between its ADD and its DEL: compared, repaired, announced, or released.

Each enters the pod for that moment only, by the record's path, and checks whom it found there.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import deviceinfo
from deviceinfo import PodRef
from sriovbond import candidates, log, records, release
from sriovbond.bond import plan as planning
from sriovbond.bond.happenings import Kind
from sriovbond.bond.links import Link, Member
from sriovbond.bond.plan import BondPlan, BondState
from sriovbond.errors import DriftError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import addresses, bonding, links, netns, vfs
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record
from sriovbond.release import Keeper


@dataclass(frozen=True, slots=True)
class Repairs:
    """What may be done to a bond that has lost members.

    `settings_of_pf` also has the PF's settings for a VF written as they were at ADD: another
    operator may be writing them, too. Devices that are passed over were taken out by somebody.
    """

    members: bool = True
    settings_of_pf: bool = False
    passing_over: frozenset[str] = frozenset()
    keeper: Keeper | None = None
    """Gives addresses back; IPAM is not asked here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found or done, in words; `member` names whom it is about.

    `sent_home` is the device that a failed repair moved to the pod and back.
    """

    kind: Kind
    text: str
    member: str = ""
    sent_home: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What an examination found and did; `drift` is what still stands otherwise than ADD had it."""

    findings: tuple[Finding, ...] = ()
    drift: tuple[str, ...] = ()


def examine(
    host: Host,
    container_id: str,
    ifname: str,
    repairs: Repairs,
    *,
    is_namespace_gone: bool = False,
) -> Examined:
    """Compare an attachment with its record, and mend what is safe to mend.

    One whose ADD was killed, or whose pod went without a DEL, is released as GC would.
    `is_namespace_gone` is the kernel's word; a path alone that is not there proves little.
    Raises TryLaterError while another call has the attachment, MachineError, KernelError.
    """
    with records.locked(host, container_id, ifname):
        record = records.read(host, container_id, ifname)
        if record is None:
            return Examined()
        if record.plan is None and repairs.keeper:
            return Examined()  # IPAM's part is the keeper's
        why = _why_left(host, record)
        if why or record.plan is None:
            return _released(host, record, why, repairs.keeper)
        try:
            with netns.opened(record.netns) as pod, netns.own() as home:
                if pod.identity == record.namespace:
                    return _Visit(host, pod, home, record, record.plan, repairs).examine()
        except netns.NamespaceGoneError:
            pass
        if is_namespace_gone or _have_left(host, record, record.plan):
            return _released(host, record, "its pod went without a DEL", repairs.keeper)
        return Examined(drift=(f"its namespace {record.netns} is not to be found",))


def announce(host: Host, container_id: str, ifname: str) -> None:
    """Announce the bond's addresses again, now that it has a carrier; best effort."""
    record = records.read(host, container_id, ifname)
    if record is None or record.plan is None or not record.is_complete:
        return
    with suppress(netns.NamespaceGoneError), netns.opened(record.netns) as pod:
        link = links.find(pod.netlink, ifname) if pod.identity == record.namespace else None
        if link:
            addresses.announce(pod, ifname, link.mac, record.lease)


def _why_left(host: Host, record: Record) -> str:
    """Say why what the record tells of is nobody's any more; empty where it may be somebody's."""
    if record.plan is None:
        return "its addresses were not given back"
    if not record.is_complete:
        return "its ADD was cut short"
    return "" if record.boot_id == host.boot_id() else "it is of an earlier boot of this node"


def _released(host: Host, record: Record, why: str, keeper: Keeper | None) -> Examined:
    outcome = release.release(host, record, keeper=keeper)
    outcome.tell()
    if outcome.problems:
        return Examined(drift=tuple(one.message for one in outcome.problems))
    text = f"{record.ifname}: {why}: what was left of it is put back"
    return Examined((Finding(Kind.RELEASED, text),))


def _have_left(host: Host, record: Record, plan: BondPlan) -> bool:
    """Tell whether the devices that were in the pod stand elsewhere: then their namespace died.

    They are on the host, or with bonds of other pods by now. Without the mount of /run/netns a
    container finds no namespace; that must release nothing.
    """
    devices = {member.device for member in plan.members} - {""}
    with netns.own() as home:
        elsewhere = {link.device for link in links.dump(home.netlink)}
    if devices <= elsewhere:
        return bool(devices)
    for other in records.read_all(host)[0]:
        members = other.plan.members if other.plan and other.key != record.key else ()
        if not (devices - elsewhere).isdisjoint(member.device for member in members):
            elsewhere |= _devices_in(other)
    return devices <= elsewhere


def _devices_in(record: Record) -> set[str]:
    """Return the devices in the record's namespace; none where that is not to be found."""
    with suppress(SriovbondError), netns.opened(record.netns) as pod:
        if pod.identity == record.namespace:
            return {link.device for link in links.dump(pod.netlink)}
    return set()


@dataclass(frozen=True, slots=True)
class _Visit:
    """One bond, with its namespace and the host's open."""

    host: Host
    pod: Namespace
    home: Namespace
    record: Record
    plan: BondPlan
    repairs: Repairs

    def examine(self) -> Examined:
        """Bring lost members back where that is allowed, and compare what stands."""
        findings: list[Finding] = []
        state = bonding.observe(self.pod.netlink, self.plan.name)
        if state and self.repairs.members:
            findings += self._bring_back(state)
            state = bonding.observe(self.pod.netlink, self.plan.name)
        if state is None:
            return Examined(tuple(findings), (f"{self.plan.name} is gone, or is no bond",))
        return Examined(tuple(findings), tuple(self._drift(state)))

    def _drift(self, state: BondState) -> Iterator[str]:
        """Yield what stands otherwise; of members that are nowhere in the pod is told elsewhere."""
        standing = links.dump(self.pod.netlink)
        here = tuple(one for one in self.plan.members if links.find_again(standing, one.link))
        lost = {one.name for one in self.plan.members} - {one.name for one in here}
        settings = [
            one for one in self.plan.settings if one.name != "primary" or one.value not in lost
        ]
        mac = self.plan.mac or self.plan.shared_mac  # of all members, not of those that are here
        plan = replace(self.plan, members=here, settings=tuple(settings), mac=mac)
        yield from planning.differences(plan, state)
        yield from addresses.differences(
            self.pod.netlink, state.name, state.index, self.record.lease, in_any_table=True
        )

    def _bring_back(self, state: BondState) -> Iterator[Finding]:
        """Put members that are back on the host into the bond again; tell of each."""
        lost = [one for one in self.plan.members if one.device and not _is_in(one, state)]
        if not lost:
            return
        in_pod = links.dump(self.pod.netlink)
        at_home = links.dump(self.home.netlink, with_vfs=True)
        for member in lost:
            stranded = links.find_again(in_pod, member.link)
            found = links.find_again(at_home, member.link)
            if found and not stranded and member.device not in self.repairs.passing_over:
                yield self._brought_back(member, found, at_home)
            # a repair was killed when it had moved the link, and not named it yet
            elif stranded and not stranded.is_up and stranded.name != member.name:
                yield self._brought_back(member, stranded, at_home, is_in_pod=True)

    def _brought_back(
        self, member: Member, found: Link, at_home: Sequence[Link], *, is_in_pod: bool = False
    ) -> Finding:
        against, sent_home = self._against(member, found), ""
        try:
            if not against:
                if self.repairs.settings_of_pf:
                    self._restore_settings(member, at_home)
                against = self._rejoin(member, found, is_in_pod=is_in_pod)
                sent_home = member.device if against else ""
        except SriovbondError as error:
            against = error.message
        told = f"{self.plan.name}: {member}"
        if against:
            text = f"{told} is back, and cannot be in the bond again: {against}"
            return Finding(Kind.REPAIR_REFUSED, text, member.name, sent_home)
        text = f"{told} was gone, came back, and is in the bond again"
        return Finding(Kind.REPAIRED, text, member.name)

    def _against(self, member: Member, found: Link) -> str:
        """Say why the link is not to be touched, empty where nothing is against it."""
        if found.master:
            return f"on the host {found.name} is in another interface"
        for other in records.read_all(self.host)[0]:
            theirs = other.plan.members if other.plan else ()
            if other.key != self.record.key and member.device in {one.device for one in theirs}:
                return f"it is {other.ifname}'s of container {other.container_id} now"
        namespace, name, uid = self.record.pod
        pod = PodRef(namespace, name, uid, self.record.container_id, self.record.netns)
        lying = candidates.lying([found])
        told = deviceinfo.find_devices(pod, self.host.places, lying)
        given = told.get(member.device)
        if given and given.claims and not given.is_allocated:
            return f"{given.claims[0].pod} was given it ({given.claims[0].source})"
        return ""

    def _restore_settings(self, member: Member, at_home: Sequence[Link]) -> None:
        """Have the PF treat the VF as at ADD; its MAC too where that is known to have been set."""
        pfs = (one for one in at_home if member.pf and one.device == member.pf.device and one.vfs)
        pf = next(pfs, None)
        now = next((one for one in pf.vfs if one.number == member.vf_number), None) if pf else None
        if pf and now and member.settings:
            wanted = replace(member.settings, mac=member.administrative_mac or now.mac)
            for fault in vfs.restore(self.home.netlink, pf, now, wanted):
                log.event(logging.WARNING, fault.message, pci=member.device)

    def _rejoin(self, member: Member, found: Link, *, is_in_pod: bool) -> str:
        """Give the link what it had, and put it into the bond; return why it is sent home again.

        It is found by its device each time: in the pod others may give and take names.
        """
        bond = bonding.observe(self.pod.netlink, self.plan.name)
        if bond is None:
            raise DriftError(f"{self.plan.name} is gone meanwhile")
        if not is_in_pod:
            self._prepare(member, found, bond)
        try:
            if not is_in_pod:
                # by its own only once it is there: so a repair that was killed is known
                links.free_names(self.home.netlink, found, links.names(self.pod.netlink))
                name = release.a_substitute()
                links.move(self.home.netlink, found, self.pod.descriptor, "pod", name)
            self._join(member, bond)
        except SriovbondError as error:
            here = self._in_pod(member)
            if here is None:
                raise
            release.send_link_home(self.pod, here, found)
            return error.message
        return ""

    def _join(self, member: Member, bond: BondState) -> None:
        here = self._in_pod(member)
        if here is None:
            raise DriftError(f"{member} has vanished from the pod meanwhile")
        if here.name != member.name:
            links.rename(self.pod.netlink, here, member.name)
        self._restore_mac(bond)
        bonding.add_member(self.pod.netlink, member, here.index, bond)
        if self.plan.value("primary") == member.name:
            bonding.set_primary(self.pod.netlink, bond, member.name, here.index)

    def _in_pod(self, member: Member) -> Link | None:
        found = links.find_again(links.dump(self.pod.netlink), member.link)
        return found if found and found.device == member.device else None

    def _prepare(self, member: Member, found: Link, bond: BondState) -> None:
        """Give the link, still on the host, its MAC and MTU; down, as some drivers want it."""
        if found.is_up:
            links.set_down(self.home.netlink, found)
        mac = member.link.mac
        if self.plan.value("fail_over_mac") == "follow":
            # the bond's own MAC is another member's by now
            taken = {one.mac for one in bond.members}
            free = (one.link.mac for one in self.plan.members if one.link.mac not in taken)
            mac = mac if mac not in taken else next(free, mac)
        was = replace(member.link, mac=mac, name=found.name)
        for fault in links.restore_itself(self.home.netlink, replace(found, is_up=False), was):
            raise fault

    def _restore_mac(self, bond: BondState) -> None:
        """Give a bond the MAC that it shares with its members: without any it gets another one."""
        mac = self.plan.shared_mac
        link = links.find(self.pod.netlink, bond.name)
        if link and mac and not bond.members and link.mac != mac:
            links.set_mac(self.pod.netlink, link, mac)


def _is_in(member: Member, state: BondState) -> bool:
    """Tell whether a member is in the bond; before 5.14 the kernel tells no devices."""
    return any(
        one.device == member.device if one.device else one.name == member.name
        for one in state.members
    )
