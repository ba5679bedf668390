"""From what the kernel reports to what has happened to a bond, and what is to be done for it."""

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
    """Of the watch's thread."""

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
        """Return what is to be called with what is heard."""
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
        """Watch the attachment no more, and do nothing more for it."""
        self._watched.remove(key)
        self._agenda.forget(key)

    def judge_again(self, key: str) -> None:
        """Report what has happened to the bond, of which some events may have been lost."""
        self._judge(key, is_reread=True)

    # what is heard

    def _take(self, event: LinkEvent) -> None:
        if event.nsid is not None:
            for key in self._watched.spaces.change(event.nsid, event):
                if event.is_moved:
                    self._watched[key].note_moved(event.link.device)
                    self._watched.note_lack(key, time.monotonic())
                if not self._agenda.has(Task.JUDGE, key):  # then a DEL takes it away in pieces
                    self._judge(key)
        elif not event.is_gone:
            self._note_back(event.link)

    def _note_back(self, link: Heard) -> None:
        """Have a lost member looked at once nothing more happens to it.

        Who has reset its PF may be about to bind it, name it, or set its MAC: the SR-IOV operator
        fails where a VF is taken from under it.
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
        """Identify the namespace anew, where it is still there."""
        for key in self._watched.spaces.keys(nsid):
            log.event(logging.WARNING, f"cannot watch a bond now: {error.message}", attachment=key)
            self._agenda.later(Task.ADOPT, key, AGAIN_S)

    def _overrun(self) -> None:
        self._hands.overrun()
        for key in self._watched:
            self._watched[key].sent_home = frozenset()  # it may never be reported
        for key in self._watched.lacking:  # nor that a device has come back
            self._agenda.later(Task.EXAMINE, key, self._watched[key].wait_s)

    def _identify_all(self) -> None:
        """Look for every namespace anew: the numbers of those gone may be others' by now."""
        self._watched.spaces.clear()
        for key in self._watched:
            self._agenda.later(Task.ADOPT, key, 0)

    # what comes of it

    def _judge(self, key: str, *, is_reread: bool = False) -> None:
        """Report what happened to the bond since its last report."""
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
        if after.index not in (0, before.index):  # an ADD after a DEL, so close that one was missed
            self.begin(key, attachment)
        self._hands.report(
            happenings if attachment.is_settled else following.keep_lasting(happenings)
        )
        attachment.is_settled = attachment.is_settled or after.working == len(after.members)
        self._plan_care(key, attachment, before, happenings)

    def _is_over(self, key: str, bond: WatchedBond) -> bool:
        """Tell whether a DEL has been there, which may have left only IPAM's part to be done."""
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
            self._agenda.later(Task.EXAMINE, key, attachment.wait_s)
        # a short loss of all members never reaches the bond's own carrier
        was_cut_off = not before.has_carrier or not before.working
        if attachment.bond.has_carrier and attachment.bond.working and was_cut_off:
            attachment.announcements = _ANNOUNCEMENTS
            self._agenda.later(Task.ANNOUNCE, key, 0)

    def _settle(self, key: str) -> None:
        """Take a bond for up by now, and report where it is not."""
        attachment = self._watched.get(key)
        if attachment and not attachment.is_settled:
            attachment.is_settled = True
            self._hands.report(following.judge_settled(attachment.bond, time.time()))
