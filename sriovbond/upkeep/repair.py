"""Puts members that vanished and came back into their bond again, completely or not at all.

The PF's settings that its reset cleared are restored; then the member is judged as by ADD. Only
one that passes is moved into the pod: a `primary` carries traffic at once.
"""

import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import deviceinfo
from deviceinfo import PodDevices, Sandbox
from sriovbond import candidates, homecoming, log, records
from sriovbond.bond import plan as planning
from sriovbond.bond import returned
from sriovbond.bond.links import NO_MAC, Link, Member, Place
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.states import BondState
from sriovbond.candidates import Sources
from sriovbond.errors import DriftError, RefusedError, SriovbondError
from sriovbond.happenings.happening import HappeningKind
from sriovbond.host import Host
from sriovbond.kernel import bonding, links, vfs
from sriovbond.kernel.netns import Namespace
from sriovbond.lending import Lender
from sriovbond.records import Record
from sriovbond.release import Keeper

IsAtRest = Callable[[str], bool]


def any_device(_: str) -> bool:
    """Return that each device is at rest."""
    return True


@dataclass(frozen=True, slots=True)
class Repairs:
    """The permitted repairs of a bond that has lost members.

    `settings_of_pf`: the PF's settings for a VF may be restored too. `is_at_rest` returns whether a
    device may be put back: not one that was taken out of the pod, or lost a moment ago. `at_work`
    returns what another operator is doing to the node's VFs, empty if nothing.
    """

    members: bool = True
    settings_of_pf: bool = True
    is_at_rest: IsAtRest = any_device
    at_work: Callable[[], str] = str
    keeper: Keeper | None = None
    """Keeps the leases of a release; IPAM does not run here."""


@dataclass(frozen=True, slots=True)
class UpkeepNote:
    """A finding or a change, as text; `member` names the one concerned.

    `sent_home` is the device that a failed repair moved to the pod and back. `is_put_off`: it is no
    refusal, for another operator is at work; it is to be looked at again soon.
    """

    kind: HappeningKind
    text: str
    member: str = ""
    sent_home: str = ""
    is_put_off: bool = False


@dataclass(slots=True)
class Repair:
    """The repair of one bond, with its namespace and the host's open; `record` is kept current."""

    host: Host
    pod: Namespace
    home: Namespace
    record: Record
    plan: BondPlan
    repairs: Repairs

    def bring_back(self, state: BondState) -> Iterator[UpkeepNote]:
        """Put members that are back on the host into the bond again; yield a note of each."""
        lost = [
            member for member in self.plan.members if member.device and not is_in(member, state)
        ]
        if not lost:
            return
        in_pod = links.dump_like(self.pod.netlink, [member.link for member in lost])
        at_home = links.read_related(self.home.netlink)
        for member in lost:
            stranded = links.find_again(in_pod, member.link)
            back = links.find_again(at_home, member.link)
            if back and not stranded and self.repairs.is_at_rest(member.device):
                yield self._take_back(member, back, is_in_pod=False)
            elif stranded and not stranded.is_up and self._is_unfinished(member, stranded):
                yield self._take_back(member, stranded, is_in_pod=True)

    def _is_unfinished(self, member: Member, link: Link) -> bool:
        """Return whether a repair was killed after moving the link, before it was in the bond."""
        is_returning = member.name in self.record.returning
        return link.name != member.name or (is_returning and not link.master)

    def _take_back(self, member: Member, back: Link, *, is_in_pod: bool) -> UpkeepNote:
        words, sent_home, against = f"{self.plan.name}: {member}", "", ""
        if busy := self.repairs.at_work():
            text = f"{words} is back, and is not in the bond yet: {busy}"
            return UpkeepNote(HappeningKind.REPAIR_REFUSED, text, member.name, is_put_off=True)
        try:
            devices = self._require_ours(member, back)
            seen = self._judge(member, back, devices, is_in_pod=is_in_pod)
            against = self._rejoin(member, seen, is_in_pod=is_in_pod)
            sent_home = member.device if against else ""
        except SriovbondError as error:
            against = error.message
        if against:
            text = f"{words} is back, and cannot be in the bond again: {against}"
            return UpkeepNote(HappeningKind.REPAIR_REFUSED, text, member.name, sent_home)
        text = f"{words} was gone, came back, and is in the bond again"
        mac = self._find(member).link.mac
        if mac != member.link.mac:
            text += f", with the MAC {mac} where it had {member.link.mac}"
        return UpkeepNote(HappeningKind.REPAIRED, text, member.name)

    def _find(self, member: Member) -> Member:
        return next(planned for planned in self.plan.members if planned.device == member.device)

    def note_refusals(self, notes: Collection[UpkeepNote], state: BondState) -> None:
        """Store in the record why each missing member was last refused.

        One that a killed repair has left in the pod, and that cannot be finished now, is returning
        still: nothing else would show that it is unfinished.
        """
        new = {
            note.member: note.text for note in notes if note.kind is HappeningKind.REPAIR_REFUSED
        }
        lost = [member.name for member in self.plan.members if not is_in(member, state)]
        reasons = {**self.record.refused, **new}
        refused = {name: reasons[name] for name in lost if name in reasons}
        left = {note.member for note in notes if note.member in new and not note.sent_home}
        returning = tuple(name for name in dict.fromkeys(self.record.returning) if name in left)
        noted = replace(self.record, refused=refused, returning=returning)
        if noted != self.record:
            self.record = noted
            records.write(self.host, self.record)

    # checks before a member's return

    def _require_ours(self, member: Member, back: Link) -> PodDevices:
        """Return the readings of the device by the node's sources. RefusedError: another pod's."""
        if back.master:
            raise RefusedError(f"on the host {back.name} is in another interface")
        for other in records.every(self.host):
            theirs = other.plan.members if other.plan else ()
            if other.key != self.record.key and member.device in {
                other_member.device for other_member in theirs
            }:
                owner = f"{other.ifname}'s of container {other.container_id}"
                raise RefusedError(f"it is {owner} now")
        sandbox = Sandbox(self.record.pod, self.record.container_id, self.record.netns)
        devices = deviceinfo.find_devices(
            sandbox,
            self.host.places,
            candidates.state_host_links([back]),
            kubelet_timeout_s=self.host.kubelet_timeout_s,
        )
        device = devices.get(member.device)
        if device and device.claims and not device.is_allocated:
            claim = device.claims[0]
            raise RefusedError(f"{claim.pod} was given it ({claim.source})")
        if device and device.device and device.device.vdpa:
            raise RefusedError("it is used as a vDPA device now")
        return devices

    def _judge(
        self, member: Member, back: Link, devices: PodDevices, *, is_in_pod: bool
    ) -> "_Returned":
        """Return the member's current state, its PF's settings restored, judged by ADD's rules.

        Raises what ADD would, and RefusedError if the PF's settings differ from those at ADD.
        """
        seen = self._look_at(member, back, devices)
        if member.place is Place.HOST and not is_in_pod:  # the node may use it since it came back
            Lender(self.host, self.home, devices).refuse_what_changed([seen.now])
        if member.settings:
            if self.repairs.settings_of_pf and self._restore_at_pf(member, seen):
                seen = self._look_at(member, back, devices)
            lacks = "; ".join(returned.lacking(member.settings, seen.now.settings))
            if lacks:
                pf = (member.pf.name if member.pf else None) or "its PF"
                raise RefusedError(
                    f"{pf} has it with {lacks}; set it as it was, or restart the pod"
                )
        members = [seen.now if planned is member else planned for planned in self.plan.members]
        for warning in planning.judge_again(self.plan, members):
            log.event(logging.WARNING, warning.words, rule=warning.rule, pci=member.device)
        return seen

    def _look_at(self, member: Member, back: Link, devices: PodDevices) -> "_Returned":
        """Return the member with its current link and PF, and with its future MAC."""
        sources = Sources(self.home.netlink, devices)
        now = returned.as_it_is(member, sources.as_member(back, member.place))
        pf = sources.pf(now.pf.device) if now.pf else None
        return _Returned(
            replace(now, link=replace(now.link, mac=self._choose_mac(member, now))), back, pf
        )

    def _restore_at_pf(self, member: Member, seen: "_Returned") -> bool:
        """Restore the VF's settings that a reset has cleared; return whether any changed."""
        before, now = member.settings, seen.now.settings
        if not (before and now and seen.pf):
            return False
        repaired = returned.to_write(before, now, seen.now.driver)
        for fault in vfs.restore(self.home.netlink, seen.pf, now, repaired):
            log.event(logging.WARNING, fault.message, pci=member.device)
        return repaired != now

    def _choose_mac(self, member: Member, now: Member) -> str:
        """Return its MAC for joining: its own current one, if the bond may have it.

        The kernel sets a MAC that members share; a member held to its MAC by its PF needs it before
        the PF holds it again.
        """
        if self.plan.shared_mac:
            return self._find_administrative_mac(member, now) or now.link.mac
        bond = bonding.observe(self.pod.netlink, self.plan.name)
        in_use = {in_bond.mac for in_bond in (bond.members if bond else ())}
        free = returned.choose_mac(self.plan.members, member, now.link.mac, in_use)
        if free is None:
            raise RefusedError(
                f"its MAC {now.link.mac} is another member's; give it one of its own"
            )
        return free

    def _find_administrative_mac(self, member: Member, now: Member) -> str | None:
        """Return the administrative MAC that a reset has cleared at the PF, if any."""
        is_free = now.settings and now.settings.mac in (NO_MAC, now.link.mac)
        return member.administrative_mac if is_free and self.repairs.settings_of_pf else None

    # putting it back

    def _rejoin(self, member: Member, seen: "_Returned", *, is_in_pod: bool) -> str:
        """Put the link into the bond; return why it was sent home again, or "".

        It is found by its device at each step: others in the pod may rename links.
        """
        bond = bonding.observe(self.pod.netlink, self.plan.name)
        if bond is None:
            raise DriftError(f"{self.plan.name} is gone meanwhile")
        if not is_in_pod:
            self._prepare(member, seen)
        try:
            if not is_in_pod:
                # its own name only once it is there: so an unfinished repair can be detected
                links.free_names(self.home.netlink, seen.back, links.names(self.pod.netlink))
                name = homecoming.a_substitute()
                links.move(self.home.netlink, seen.back, self.pod.descriptor, "pod", name)
            alias = self._choose_alias(member, seen, is_in_pod=is_in_pod)
            self._join(member, seen, bond, alias)
        except SriovbondError as error:
            link = self._in_pod(member)
            if link is None:
                raise
            # by a name of the host's: an unfinished repair has given it that of the pod
            name = homecoming.a_substitute() if is_in_pod else seen.back.name
            if not is_in_pod and link.alias != seen.back.alias:
                with suppress(SriovbondError):
                    links.set_alias(self.pod.netlink, link, seen.back.alias)
            homecoming.send_link(self.pod, link, replace(seen.back, name=name))
            return error.message
        return ""

    def _prepare(self, member: Member, seen: "_Returned") -> None:
        """Set the link down on the host, as some drivers require, and set its MAC there."""
        if seen.back.is_up:
            links.set_down(self.home.netlink, seen.back)
        if seen.back.mac != seen.now.link.mac:
            links.set_mac(self.home.netlink, seen.back, seen.now.link.mac)
        settings = seen.now.settings
        if settings and seen.pf and self.plan.shared_mac:
            administrative_mac = self._find_administrative_mac(member, seen.now)
            restored = replace(settings, mac=administrative_mac or settings.mac)
            for fault in vfs.restore(self.home.netlink, seen.pf, settings, restored):
                raise fault

    def _join(self, member: Member, seen: "_Returned", bond: BondState, alias: str) -> None:
        link = self._in_pod(member)
        if link is None:
            raise DriftError(f"{member} has disappeared from the pod meanwhile")
        self._note(member, seen, replace(link, name=member.name, alias=alias))
        if link.alias != alias:
            links.set_alias(self.pod.netlink, link, alias)
        if link.name != member.name:
            links.rename(self.pod.netlink, link, member.name)
        self._restore_mac(bond)
        bonding.add_member(self.pod.netlink, member, link.index, bond)
        if self.plan.value("primary") == member.name:
            bonding.set_primary(self.pod.netlink, bond, member.name, link.index)

    def _note(self, member: Member, seen: "_Returned", link_in_pod: Link) -> None:
        """Store the member's current state in the record, which a later DEL restores.

        And that it is being put back. The PF's settings are kept from ADD except for the MAC, which
        is never restored.
        """
        before, now = member.settings, seen.now.settings
        settings = replace(before, mac=now.mac) if before and now else before
        link = replace(member.link, mac=link_in_pod.mac, mtu=link_in_pod.mtu)
        again = replace(
            member, link=link_in_pod if member.place is Place.POD else link, settings=settings
        )
        members = tuple(again if planned is member else planned for planned in self.plan.members)
        shared = self.plan.mac or self.plan.shared_mac  # no longer that of the first member
        self.plan = replace(self.plan, members=members, mac=shared)
        returning = (*self.record.returning, member.name)
        self.record = replace(self.record, plan=self.plan, returning=returning)
        records.write(self.host, self.record)

    def _choose_alias(self, member: Member, seen: "_Returned", *, is_in_pod: bool) -> str:
        """Return its alias in the pod: host-device keeps the name on the host there for its DEL."""
        if member.place is Place.HOST or not member.link.alias:
            return seen.back.alias
        return member.link.alias if is_in_pod else seen.back.name

    def _in_pod(self, member: Member) -> Link | None:
        pod_links = links.dump_like(self.pod.netlink, [member.link])
        link = links.find_again(pod_links, member.link)
        return link if link and link.device == member.device else None

    def _restore_mac(self, bond: BondState) -> None:
        """Restore the MAC shared by bond and members: without any member it gets another."""
        mac = self.plan.shared_mac
        link = links.find(self.pod.netlink, bond.name)
        if link and mac and not bond.members and link.mac != mac:
            links.set_mac(self.pod.netlink, link, mac)


@dataclass(frozen=True, slots=True)
class _Returned:
    """A member's current state, its link as it came back, and its PF's."""

    now: Member
    back: Link
    pf: Link | None


def is_in(member: Member, state: BondState) -> bool:
    """Return whether a member is in the bond; before 5.14 the kernel reports no devices."""
    return any(
        in_bond.device == member.device if in_bond.device else in_bond.name == member.name
        for in_bond in state.members
    )
