"""Derives happenings from the kernel's reports, and schedules what they require."""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from sriovbond import log, records
from sriovbond.agent.settings import Settings
from sriovbond.agent.watch.agenda import AGAIN_S, APART_S, SETTLING_S, Actions, Agenda, Task
from sriovbond.agent.watch.hands import Hands
from sriovbond.agent.watch.hearing import Ears
from sriovbond.agent.watch.watched import Watched, WatchedAttachment
from sriovbond.errors import KernelError, SriovbondError
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond
from sriovbond.kernel.watch import LinkEvent

_COMING_UP_S: Final = 15.0  # a VF's carrier comes 1-3 s after it was brought up
_ANNOUNCEMENTS: Final = 3  # the switch's port may not forward yet


class Judging:
    """Used by the watch's thread only."""

    def __init__(self, settings: Settings, watched: Watched, agenda: Agenda, hands: Hands) -> None:
        self._host: Final = settings.host
        self._settings: Final = settings
        self._watched: Final = watched
        self._agenda: Final = agenda
        self._hands: Final = hands
        self.actions: Final[Actions] = {
            Task.JUDGE: self.judge_again,
            Task.SETTLE: self._settle,
        }

    def ears(self) -> Ears:
        """Return the callbacks for link events."""
        return Ears(
            event=self._take,
            is_host_wanted=lambda: bool(self._watched.lacking),
            reread=self._reread,
            unreadable=self._unreadable,
            gone=self._note_gone,
            overrun=self._overrun,
            lost_ends=self._identify_all,
        )

    def begin(self, key: str, attachment: WatchedAttachment) -> None:
        """Give a new bond its time to come up."""
        attachment.is_settled = attachment.bond.working == len(attachment.bond.members)
        self._agenda.put_off(Task.SETTLE, key, _COMING_UP_S)

    def forget(self, key: str) -> None:
        """Stop watching the attachment, and remove its tasks."""
        self._watched.remove(key)
        self._agenda.forget(key)

    def judge_again(self, key: str) -> None:
        """Report the bond's happenings after events may have been lost."""
        self._judge(key, is_reread=True)

    # callbacks

    def _take(self, event: LinkEvent) -> None:
        if event.nsid is not None:
            for key in self._watched.spaces.change(event.nsid, event):
                if event.is_moved:
                    self._watched[key].note_moved(self._watched[key].device_of(event.link))
                    self._watched.note_lack(key, time.monotonic())
                if not self._agenda.has(Task.JUDGE, key):  # a DEL deletes it piece by piece
                    self._judge(key)
        elif not event.is_gone:
            self._note_back(event.link)

    def _note_back(self, link: Heard) -> None:
        """Schedule an examination for a lost member, once its device is quiet.

        Whatever has reset its PF may be about to bind it, name it, or set its MAC: the SR-IOV
        operator fails when a VF is moved meanwhile.
        """
        for place, key in enumerate(self._watched.note_back(link, time.monotonic())):
            wait_s = max(self._watched[key].wait_s, self._settings.rest_s)
            self._agenda.put_off(Task.RESTED, key, wait_s + place * APART_S)

    def _note_gone(self, nsid: int) -> None:
        for key in self._watched.spaces.forget(nsid):
            self._agenda.later(Task.GONE, key, self._settings.gone_after_s)

    def _reread(self, nsid: int) -> None:
        for key in self._watched.spaces.keys(nsid):
            if not self._agenda.has(Task.JUDGE, key):
                self.judge_again(key)

    def _unreadable(self, nsid: int, error: KernelError) -> None:
        """Identify the namespace again, if it still exists; log that each time, and no more."""
        for key in self._watched.spaces.keys(nsid):
            if self._agenda.has(Task.ADOPT, key):
                continue
            log.event(logging.WARNING, f"cannot watch a bond now: {error.message}", attachment=key)
            self._agenda.later(Task.ADOPT, key, AGAIN_S)

    def _overrun(self) -> None:
        self._hands.overrun()
        for key in self._watched:
            self._watched[key].sent_home = frozenset()  # it may never be reported
        for key in self._watched.lacking:  # nor may the return of a device
            self._agenda.later(Task.EXAMINE, key, self._watched[key].wait_s)

    def _identify_all(self) -> None:
        """Identify every namespace again: the nsids of ended ones may be reused."""
        self._watched.spaces.clear()
        for key in self._watched:
            self._agenda.later(Task.ADOPT, key, 0)

    # tasks

    def _judge(self, key: str, *, is_reread: bool = False) -> None:
        """Report the bond's happenings since its last report."""
        attachment = self._watched.get(key)
        links = self._watched.spaces.links(attachment.nsid) if attachment else None
        if attachment is None or links is None:
            return
        now = following.observe(attachment.subject, attachment.plan, links)
        after, happenings = following.follow(attachment.bond, now, time.time(), is_reread=is_reread)
        if after == attachment.bond:
            return
        if records.is_locked(self._host, key):  # a DEL takes the bond away piece by piece
            self._agenda.later(Task.JUDGE, key, SETTLING_S)
            return
        if self._is_over(key, after):
            self.forget(key)
            self._agenda.later(Task.ADOPT, key, SETTLING_S)  # IPAM's part of it may be left
            return
        before, attachment.bond = attachment.bond, after
        if after.index not in (0, before.index):  # an ADD right after a DEL, whose event was missed
            self.begin(key, attachment)
        self._hands.report(
            happenings if attachment.is_settled else following.keep_lasting(happenings)
        )
        attachment.is_settled = attachment.is_settled or after.working == len(after.members)
        self._plan_care(key, attachment, before, happenings)

    def _is_over(self, key: str, bond: WatchedBond) -> bool:
        """Return whether a DEL has run, which may have left only IPAM's part."""
        if bond.index:
            return not records.exists(self._host, key)
        with suppress(SriovbondError):
            record = records.read(self._host, key)
            return record is None or record.plan is None
        return False

    def _plan_care(
        self,
        key: str,
        attachment: WatchedAttachment,
        before: WatchedBond,
        happenings: Iterable[Happening],
    ) -> None:
        attachment.taken -= {
            member.device for member in attachment.bond.members if member.is_in_bond
        }
        self._watched.note_lack(key, time.monotonic())
        if any(happening.kind is HappeningKind.MEMBER_GONE for happening in happenings):
            self._agenda.sooner(Task.EXAMINE, key, attachment.wait_s)
        # a short loss of all members never reaches the bond's own carrier
        was_cut_off = not before.has_carrier or not before.working
        if attachment.bond.has_carrier and attachment.bond.working and was_cut_off:
            attachment.announcements = _ANNOUNCEMENTS
            self._agenda.later(Task.ANNOUNCE, key, 0)

    def _settle(self, key: str) -> None:
        """Treat a bond as settled, and report if it is not up."""
        attachment = self._watched.get(key)
        if attachment and not attachment.is_settled:
            attachment.is_settled = True
            self._hands.report(following.judge_settled(attachment.bond, time.time()))
