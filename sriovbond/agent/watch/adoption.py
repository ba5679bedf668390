"""Starts and stops the watch of bonds as their records appear and vanish."""

import logging
import time
from contextlib import suppress
from typing import Final

from sriovbond import aside, log, records
from sriovbond.agent.watch.agenda import (
    AGAIN_S,
    APART_S,
    FAULT_S,
    SETTLING_S,
    Actions,
    Agenda,
    Task,
)
from sriovbond.agent.watch.hearing import Hearing
from sriovbond.agent.watch.judging import Judging
from sriovbond.agent.watch.tending import Tending
from sriovbond.agent.watch.watched import COMING_BACK_S, Watched, WatchedAttachment
from sriovbond.bond.plan import BondPlan
from sriovbond.errors import SriovbondError
from sriovbond.happenings import following
from sriovbond.host import Host
from sriovbond.kernel import netns, nsids
from sriovbond.kernel.netns import Namespace
from sriovbond.records import Record
from sriovbond.release import Keeper
from sriovbond.subject import Subject


class Adoption:
    """Used by the watch's thread only; `home` is the host's namespace, open.

    A record whose bond cannot be watched is examined at once: its pod or its ADD may have ended.
    """

    def __init__(  # noqa: PLR0913 - it puts the others together
        self,
        host: Host,
        home: Namespace,
        watched: Watched,
        agenda: Agenda,
        *,
        hearing: Hearing,
        judging: Judging,
        tending: Tending,
        keeper: Keeper,
    ) -> None:
        self._host: Final = host
        self._home: Final = home
        self._watched: Final = watched
        self._agenda: Final = agenda
        self._hearing: Final = hearing
        self._judging: Final = judging
        self._tending: Final = tending
        self._keeper: Final = keeper
        self.actions: Final[Actions] = {
            Task.ADOPT: self._adopt,
            Task.ADOPT_OTHERS: self._adopt_others,
            Task.TAKE_BACK: self._take_back,
        }

    def note_changed(self, names: set[str] | None) -> None:
        """Schedule the records whose files changed; all of them if None: inotify lost events."""
        keys = {name.removesuffix(".json") for name in names or () if name.endswith(".json")}
        if names is None:
            keys = set(self._watched)
            self._agenda.later(Task.ADOPT_OTHERS, "", 0)
        for key in keys:
            if not key.startswith("."):
                self._agenda.put_off(Task.ADOPT, key, SETTLING_S)

    def _adopt_others(self, _: str) -> None:
        """Schedule the records of unwatched bonds one by one, handling events in between."""
        unwatched = [key for key in records.keys(self._host) if not self._watched.is_heard(key)]
        for place, key in enumerate(unwatched):
            self._agenda.later(Task.ADOPT, key, place * APART_S)

    def _take_back(self, _: str) -> None:
        """Retry the records that were set aside; release what is left of their pods."""
        for file in aside.files(self._host):
            with suppress(SriovbondError, OSError):
                if aside.take_back(self._host, file):
                    log.event(logging.WARNING, f"{str(file)!r} can be read again, and is a record")

    def _adopt(self, key: str) -> None:
        if records.is_locked(self._host, key):
            self._agenda.later(Task.ADOPT, key, SETTLING_S)
            return
        try:
            record = records.read(self._host, key)
        except records.UnreadableRecordError as error:
            log.event(logging.WARNING, error.message, attachment=key)
            self._agenda.later(Task.ADOPT, key, FAULT_S)
        except SriovbondError as error:
            log.event(logging.ERROR, f"cannot watch a bond: {error.message}", attachment=key)
            self._judging.forget(key)
        else:
            self._follow_or_leave(key, record)

    def _follow_or_leave(self, key: str, record: Record | None) -> None:
        """Watch the record's bond; leave a lease to the keeper, examine a record without a bond."""
        if record is None or record.plan is None:
            self._judging.forget(key)
            self._tending.forget_left(key)
        if record is not None and record.plan is None:
            self._keeper.keep(record, None)
        elif record is not None and not self._follow_record(key, record):
            self._tending.look_after(key, record.subject)

    def _follow_record(self, key: str, record: Record) -> bool:
        """Watch the record's bond; return False if it no longer exists."""
        if not (record.plan and record.is_complete and record.boot_id == self._host.boot_id()):
            return False
        try:
            nsid = self._number(record)
            if nsid is not None:
                self._follow(key, record.subject, record.plan.outline, nsid)
        except (SriovbondError, OSError) as error:
            log.event(logging.ERROR, f"cannot watch a bond yet: {error}", attachment=key)
            self._agenda.later(Task.ADOPT, key, AGAIN_S)
            return True
        return nsid is not None

    def _number(self, record: Record) -> int | None:
        """Return the nsid of the record's namespace, None if it has ended or been replaced."""
        paths = self._host.paths_of(record.netns)
        with netns.identified(paths, record.namespace) as pod:
            return nsids.assign(self._home.netlink, pod.descriptor) if pod else None

    def _follow(self, key: str, subject: Subject, plan: BondPlan, nsid: int) -> None:
        attachment = self._watched.get(key)
        if attachment and attachment.nsid != nsid:
            self._watched.spaces.leave(key, attachment.nsid)
        self._hearing.read(nsid, key)
        if attachment:
            attachment.plan, attachment.nsid = plan, nsid
            self._judging.judge_again(key)
        else:
            self._begin(key, subject, plan, nsid)

    def _begin(self, key: str, subject: Subject, plan: BondPlan, nsid: int) -> None:
        self._tending.forget_left(key)
        bond = following.observe(subject, plan, self._watched.spaces.links(nsid) or {})
        attachment = WatchedAttachment(subject, plan, nsid, bond)
        self._watched.add(key, attachment, time.monotonic())
        self._judging.begin(key, attachment)
        if not all(member.is_in_bond for member in bond.members):
            self._agenda.later(Task.EXAMINE, key, COMING_BACK_S)
