"""Schedules examinations of bonds, and handles their results: reports, retries."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from sriovbond import libc, log
from sriovbond.agent.settings import Settings
from sriovbond.agent.watch.agenda import AGAIN_S, Actions, Agenda, Task
from sriovbond.agent.watch.care import Care
from sriovbond.agent.watch.hands import Hands
from sriovbond.agent.watch.watched import Watched, WatchedAttachment
from sriovbond.backoff import lengthen
from sriovbond.happenings.happening import Happening, HappeningKind
from sriovbond.subject import Subject
from sriovbond.upkeep.examination import Examined

_ANNOUNCED_AGAIN_S: Final = 1.0
_PUT_OFF_S: Final = 10.0  # until it is looked again whether the SR-IOV operator is at work
_ROUND_APART_S: Final = 0.1  # a round over all bonds must not delay requests


@dataclass(frozen=True, slots=True)
class _Left:
    """Remains of an attachment that is no longer watched, and the pause before the next attempt."""

    wait_s: float
    drift: tuple[str, ...]


class Tending:
    """Used by the watch's thread; workers pass their results to it by `call`."""

    def __init__(  # noqa: PLR0913, PLR0917 - each is of another room
        self,
        settings: Settings,
        watched: Watched,
        agenda: Agenda,
        care: Care,
        hands: Hands,
        call: Callable[[Callable[[], None]], None],
    ) -> None:
        self._settings: Final = settings
        self._watched: Final = watched
        self._agenda: Final = agenda
        self._care: Final = care
        self._hands: Final = hands
        self._call: Final = call
        self._left: Final[dict[str, _Left]] = {}
        self.actions: Final[Actions] = {
            Task.EXAMINE: self._examine,
            Task.RESTED: self._examine,
            Task.GONE: self._examine_gone,
            Task.ANNOUNCE: self._announce,
            Task.ROUND: self._round,
        }

    def look_after(self, key: str, subject: Subject, *, is_namespace_gone: bool = False) -> None:
        """Examine the bond in a worker, whether it is watched or not."""
        again = _again(is_namespace_gone=is_namespace_gone, is_watched=key in self._watched)

        def then(examined: Examined | None) -> None:
            self._call(partial(self._take_result, key, subject, examined, again))

        if self._hands.is_leaving(subject):
            self._agenda.later(again, key, AGAIN_S)
            return
        attachment = self._watched.get(key)
        if attachment:
            unrest_s = attachment.unrest_s(time.monotonic(), self._settings.rest_s)
            if unrest_s:
                self._agenda.later(Task.RESTED, key, max(unrest_s.values()))
        self._care.examine(
            subject,
            then,
            is_namespace_gone=is_namespace_gone,
            is_at_rest=partial(self._is_at_rest, key),
        )

    def _is_at_rest(self, key: str, device: str) -> bool:
        """Return whether a device may be put back; for a worker, at that moment.

        One whose loss is not known here was lost a moment ago: another operator may be at work.
        """
        attachment = self._watched.get(key)
        return attachment is not None and attachment.is_at_rest(
            device, time.monotonic(), self._settings.rest_s
        )

    def forget_left(self, key: str) -> None:
        """Forget an attachment's remains: they are released, or it is watched again."""
        self._left.pop(key, None)

    def _examine(self, key: str) -> None:
        attachment = self._watched.get(key)
        if attachment:
            self.look_after(key, attachment.subject)

    def _examine_gone(self, key: str) -> None:
        attachment = self._watched.get(key)
        if attachment:
            self.look_after(key, attachment.subject, is_namespace_gone=True)

    def _round(self, _: str) -> None:
        """Schedule a comparison of every bond with its record: Multus never sends CHECK."""
        self._agenda.later(Task.ROUND, "", self._settings.check_interval_s)
        for place, key in enumerate(self._watched):
            self._agenda.later(Task.EXAMINE, key, place * _ROUND_APART_S)
        self._agenda.later(Task.TAKE_BACK, "", 0)
        self._agenda.later(Task.ADOPT_OTHERS, "", 0)
        libc.trim_heap()  # what calls at once needed would stay the agent's for ever

    def _announce(self, key: str) -> None:
        attachment = self._watched.get(key)
        if attachment and attachment.announcements:
            self._care.announce(attachment.subject)
            attachment.announcements -= 1
            self._agenda.later(Task.ANNOUNCE, key, _ANNOUNCED_AGAIN_S)

    def _take_result(
        self, key: str, subject: Subject, examined: Examined | None, again: Task
    ) -> None:
        if examined is None:
            self._agenda.later(again, key, AGAIN_S)
            return
        attachment = self._watched.get(key)
        happenings = list(_happenings(subject, examined, attachment))
        if attachment is None:
            self._hands.report(happenings)
            self._look_again(key, subject, examined.drift)
            return
        attachment.note_sent_home(frozenset(note.sent_home for note in examined.notes) - {""})
        refused_before = attachment.refused
        self._plan_next(key, attachment, happenings)
        self._wait_for_others(key, attachment, examined)
        # with drift the next round examines it
        is_silent = not (self._watched.is_heard(key) or examined.drift)
        if is_silent or attachment.has_in_bond(examined.missing):
            self._agenda.later(Task.ADOPT, key, AGAIN_S)
        self._hands.report(
            happening for happening in happenings if happening.text not in refused_before
        )
        if examined.drift and examined.drift != attachment.bond.drift:
            self._report_drift(subject, f"{'; '.join(examined.drift)}; look who else changes it")
        attachment.bond = replace(
            attachment.bond, drift=examined.drift, refused=tuple(sorted(attachment.refused))
        )

    def _plan_next(
        self, key: str, attachment: WatchedAttachment, happenings: list[Happening]
    ) -> None:
        """Schedule the next examination of a refused member, with growing pauses."""
        now = time.monotonic()
        self._watched.note_lack(key, now)
        unrest_s = attachment.unrest_s(now, self._settings.rest_s)
        if happenings or not unrest_s:  # a refused member is examined again once it is quiet
            refusals = _refusals(happenings)
            texts = frozenset(happening.text for happening in refusals)
            members = (happening.member for happening in refusals)
            devices = frozenset(member.device for member in members if member)
            attachment.note_refused(texts, self._settings.check_interval_s, devices)
        if attachment.refused:
            # its return is an event of its device, possibly the last one
            self._agenda.later(Task.EXAMINE, key, max([attachment.wait_s, *unrest_s.values()]))

    def _wait_for_others(self, key: str, attachment: WatchedAttachment, examined: Examined) -> None:
        """Examine the bond soon again if another operator is at work; log that once."""
        texts = frozenset(note.text for note in examined.notes if note.is_put_off)
        if texts:
            self._agenda.later(Task.EXAMINE, key, _PUT_OFF_S)
        for text in sorted(texts - attachment.put_off):
            log.event(logging.INFO, text, **attachment.subject.fields)
        attachment.put_off = texts

    def _look_again(self, key: str, subject: Subject, drift: tuple[str, ...]) -> None:
        """Schedule a retry for what can be neither watched nor released; report it once."""
        before = self._left.pop(key, None)
        if not drift:
            return
        most_s = self._settings.check_interval_s
        wait_s = lengthen(before.wait_s if before else 0.0, AGAIN_S, most_s)
        self._left[key] = _Left(wait_s, drift)
        self._agenda.later(Task.ADOPT, key, wait_s)
        if before is None or before.drift != drift:
            self._report_drift(
                subject, f"what is left of it cannot be put back: {'; '.join(drift)}"
            )

    def _report_drift(self, subject: Subject, text: str) -> None:
        words = f"{subject.attachment.ifname}: {text}"
        self._hands.report([Happening(HappeningKind.DRIFT, subject, words, time.time())])


def _again(*, is_namespace_gone: bool, is_watched: bool) -> Task:
    """Return the task to schedule after an examination was not possible."""
    if is_namespace_gone:
        return Task.GONE
    return Task.EXAMINE if is_watched else Task.ADOPT


def _happenings(
    subject: Subject, examined: Examined, attachment: WatchedAttachment | None
) -> Iterator[Happening]:
    members = {member.name: member for member in attachment.bond.members} if attachment else {}
    for note in examined.notes:
        if not note.is_put_off:
            yield Happening(note.kind, subject, note.text, time.time(), members.get(note.member))


def _refusals(happenings: Iterable[Happening]) -> list[Happening]:
    return [happening for happening in happenings if happening.kind is HappeningKind.REPAIR_REFUSED]
