"""Follows the bonds that the records name by what the kernel tells, and has them looked after."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from sriovbond import log, records
from sriovbond.agent.agenda import Agenda
from sriovbond.agent.care import Care, Do
from sriovbond.agent.inotify import Folder
from sriovbond.agent.settings import Settings
from sriovbond.bond import watching
from sriovbond.bond.happenings import Happening, Kind, Subject, WatchedBond
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.watching import Heard
from sriovbond.errors import SriovbondError
from sriovbond.kernel import netns
from sriovbond.kernel import watch as kernel
from sriovbond.kernel.watch import LinkEvent, NamespaceEvent, OverrunError
from sriovbond.upkeep import Examined, Repairs

_SETTLING_S: Final = 0.1
"""What a call still does with an attachment must not be watched, nor slowed."""
_COMING_UP_S: Final = 15.0  # a VF's carrier comes 1-3 s after it was brought up
_COMING_BACK_S: Final = 0.5  # udev may rename a link that appears
_AGAIN_S: Final = 5.0
_ANNOUNCEMENTS: Final = 3  # the switch's port may not forward yet
_ANNOUNCED_AGAIN_S: Final = 1.0
_APART_S: Final = 0.02  # a round over many bonds must not keep requests waiting
_BEAT_S: Final = 10.0
_GATHERED_S: Final = 0.02  # an ADD makes a dozen events: this thread must not run between them


@dataclass(slots=True)
class _Attachment:
    """A bond that is watched; `bond` is as it was told last, `refused` what was told of repairs.

    `announcements` are those still to be made.
    """

    subject: Subject
    plan: BondPlan
    nsid: int
    bond: WatchedBond
    is_settled: bool = False
    refused: frozenset[str] = frozenset()
    announcements: int = 0


@dataclass(slots=True)
class _Space:
    """A pod's namespace: its links by index, and the attachments in it."""

    links: dict[int, Heard]
    keys: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Hands:
    """What the watch is given: whom it tells, and who does work that takes its time.

    `do_after_others` does the work of an attachment in a worker, False where too much waits.
    """

    tell: Callable[[Happening], None]
    overrun: Callable[[], None]
    beat: Callable[[], None]
    do_after_others: Do


class Watch:
    """A thread of its own; nothing of it is ever in a pod's namespace but for a moment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = settings.host
        self._attachments: dict[str, _Attachment] = {}
        self._spaces: dict[int, _Space] = {}
        self._agenda = Agenda()
        self._actions: dict[str, Callable[[str], None]] = {
            "adopt": self._adopt,
            "judge": partial(self._judge, is_reread=True),
            "announce": self._announce,
            "settle": self._settle,
            "examine": self._examine,
            "gone": partial(self._examine, is_namespace_gone=True),
            "round": self._round,
        }
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._woken, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._opened = ExitStack()

    def start(self, hands: Hands) -> None:
        """Listen, and begin with the bonds that stand. Raises MachineError."""
        self._hands = hands
        repairs = Repairs(self._settings.repair, self._settings.repair_pf_settings)
        self._care = Care(self._host, repairs, hands.do_after_others)
        self._heard = self._opened.enter_context(kernel.Watch(self._settings.watch_buffer_bytes))
        self._home = self._opened.enter_context(netns.own())
        records.make_folder(self._host)
        self._folder = Folder(self._host.records)
        self._opened.callback(self._folder.close)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more."""
        self._is_stopping = True
        self._wake()
        self._thread.join()
        self._opened.close()

    def bonds(self) -> Sequence[WatchedBond]:
        """Return the bonds as they were last seen; any thread may ask."""
        return [one.bond for one in list(self._attachments.values())]

    def _run(self) -> None:
        with log.logged_to(None, self._host.logs), selectors.DefaultSelector() as waiting:
            for source in (self._heard, self._folder, self._woken):
                waiting.register(source, selectors.EVENT_READ)
            self._adopt_others()
            self._agenda.later("round", "", self._settings.check_interval_s)
            while not self._is_stopping:
                ready = [key.fileobj for key, _ in waiting.select(self._agenda.pause_s(_BEAT_S))]
                self._hands.beat()
                try:
                    self._turn(ready)
                except Exception as error:  # noqa: BLE001 - the other bonds must be watched on
                    fault = f"a fault of sriovbond: {type(error).__name__}: {error}"
                    log.event(logging.ERROR, fault)

    def _turn(self, ready: Sequence[object]) -> None:
        if self._heard in ready:
            time.sleep(_GATHERED_S)
            self._hear()
        if self._folder in ready:
            self._changed(self._folder.changed())
        if self._woken in ready:
            self._woken.recv(64)
        with suppress(Empty):
            while True:
                self._results.get_nowait()()
        for what, key in self._agenda.due():
            self._actions[what](key)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"\0")

    # what is watched

    def _changed(self, names: set[str] | None) -> None:
        """Look at the records that came, changed or went; at all where the kernel lost some."""
        keys = {name.removesuffix(".json") for name in names or () if name.endswith(".json")}
        if names is None:
            keys = {*records.keys(self._host), *self._attachments}
        for key in keys:
            if not key.startswith("."):
                self._agenda.later("adopt", key, _SETTLING_S)

    def _adopt_others(self) -> None:
        """Begin with the bonds that are not watched yet, and hear of events meanwhile."""
        others = [key for key in records.keys(self._host) if key not in self._attachments]
        for place, key in enumerate(others):
            self._agenda.later("adopt", key, place * _APART_S)

    def _adopt(self, key: str) -> None:
        """Begin to watch what the record says, or cease where it is gone."""
        if records.is_locked(self._host, key):
            self._agenda.later("adopt", key, _SETTLING_S)
            return
        try:
            record = records.read_by_key(self._host, key)
            if record is None or record.plan is None:
                self._forget(key)
                return
            if record.is_complete and record.boot_id == self._host.boot_id():
                nsid = self._number(record)
                if nsid is not None:
                    self._follow(key, record.subject, record.plan, nsid)
                    return
        except SriovbondError as error:
            log.event(logging.ERROR, f"cannot watch a bond: {error.message}", attachment=key)
            self._forget(key)
            return
        self._hand_over(key, record.subject)

    def _number(self, record: records.Record) -> int | None:
        """Return the nsid of the record's namespace, None where it is another one, or none."""
        try:
            with netns.opened(record.netns) as pod:
                if pod.identity == record.namespace:
                    return kernel.number(self._home.netlink, pod.descriptor)
        except netns.NamespaceGoneError:
            pass
        return None

    def _follow(self, key: str, subject: Subject, plan: BondPlan, nsid: int) -> None:
        known = self._attachments.get(key)
        if known and known.nsid != nsid:
            self._leave_space(key)
        space = self._spaces.setdefault(nsid, _Space({}))
        space.keys.add(key)
        space.links = kernel.read(self._home.netlink, nsid)
        if known:
            known.plan, known.nsid = plan, nsid
            self._judge(key, is_reread=True)
            return
        bond = watching.observe(subject, plan, space.links)
        self._attachments[key] = _Attachment(subject, plan, nsid, bond)
        self._begin(key, self._attachments[key])
        if not all(member.is_in_bond for member in bond.members):
            self._agenda.later("examine", key, _COMING_BACK_S)

    def _begin(self, key: str, one: _Attachment) -> None:
        """Give a new bond its time to come up."""
        one.is_settled = one.bond.working == len(one.bond.members)
        self._agenda.put_off("settle", key, _COMING_UP_S)

    def _forget(self, key: str) -> None:
        if key in self._attachments:
            self._leave_space(key)
            del self._attachments[key]
        self._agenda.forget(key)

    def _leave_space(self, key: str) -> None:
        nsid = self._attachments[key].nsid
        space = self._spaces.get(nsid)
        if space:
            space.keys.discard(key)
            if not space.keys:
                del self._spaces[nsid]

    # what the kernel tells

    def _hear(self) -> None:
        lost = self._lost()
        try:
            for event in self._heard.events(
                lambda nsid: nsid in self._spaces or (nsid is None and bool(lost))
            ):
                self._take(event, lost)
        except OverrunError:
            self._hands.overrun()
            log.event(logging.WARNING, "the kernel told more than was heard: all is read again")
            self._read_again()

    def _take(self, event: LinkEvent | NamespaceEvent, lost: dict[str, str]) -> None:
        if isinstance(event, NamespaceEvent):
            space = self._spaces.pop(event.nsid, None)
            for key in space.keys if space else ():
                self._agenda.later("gone", key, self._settings.gone_after_s)
        elif event.nsid is None:
            self._came_back(event.link, lost)
        else:
            self._changed_in(self._spaces.get(event.nsid) or _Space({}), event)

    def _changed_in(self, space: _Space, event: LinkEvent) -> None:
        if event.is_gone:
            space.links.pop(event.link.index, None)
        else:
            space.links[event.link.index] = event.link
        for key in tuple(space.keys):
            self._judge(key)

    def _lost(self) -> dict[str, str]:
        """Return who lacks which device: attachments, by the address of a lost member's device."""
        return {
            member.device: key
            for key, one in self._attachments.items()
            if one.bond.working < len(one.bond.members)
            for member in one.bond.members
            if member.device and not member.is_in_bond
        }

    def _came_back(self, link: Heard, lost: dict[str, str]) -> None:
        keys = {lost[link.device]} if link.device in lost else set()
        if not link.device:  # before 5.14 the kernel does not tell it
            keys = set(lost.values())
        for key in keys:
            self._agenda.later("examine", key, _COMING_BACK_S)

    def _read_again(self) -> None:
        """Identify every namespace anew, for the numbers of those gone may be others' by now."""
        keys = list(self._attachments)
        self._spaces.clear()
        for key in keys:
            self._adopt(key)

    def _judge(self, key: str, *, is_reread: bool = False) -> None:
        """Tell what happened to the bond since it was last told of."""
        one = self._attachments.get(key)
        space = self._spaces.get(one.nsid) if one else None
        if one is None or space is None:
            return
        now = watching.observe(one.subject, one.plan, space.links)
        after, told = watching.follow(one.bond, now, time.time(), is_reread=is_reread)
        if after == one.bond:
            return
        if records.is_locked(self._host, key):  # a DEL takes the bond away piece by piece
            self._agenda.later("judge", key, _SETTLING_S)
            return
        if not records.exists(self._host, key):
            self._forget(key)
            return
        before, one.bond = one.bond, after
        if after.index not in (0, before.index):  # an ADD after a DEL, so close that one was missed
            self._begin(key, one)
        self._tell(told if one.is_settled else watching.lasting(told))
        one.is_settled = one.is_settled or after.working == len(after.members)
        self._look_after(key, one, before, told)

    def _look_after(
        self, key: str, one: _Attachment, before: WatchedBond, told: Iterable[Happening]
    ) -> None:
        if any(happening.kind is Kind.MEMBER_GONE for happening in told):
            self._agenda.later("examine", key, _COMING_BACK_S)
        # a short loss of all members never reaches the bond's own carrier
        was_cut_off = not before.has_carrier or not before.working
        if one.bond.has_carrier and one.bond.working and was_cut_off:
            one.announcements = _ANNOUNCEMENTS
            self._agenda.later("announce", key, 0)

    def _announce(self, key: str) -> None:
        one = self._attachments.get(key)
        if one and one.announcements:
            self._care.announce(one.subject)
            one.announcements -= 1
            self._agenda.later("announce", key, _ANNOUNCED_AGAIN_S)

    def _settle(self, key: str) -> None:
        """Take a bond for up by now, and tell where it is not."""
        one = self._attachments.get(key)
        if one and not one.is_settled:
            one.is_settled = True
            self._tell(watching.standing(one.bond, time.time()))

    # who looks after it

    def _round(self, _: str) -> None:
        """Have every bond compared with its record, which Multus never asks for."""
        for place, key in enumerate(self._attachments):
            self._agenda.later("examine", key, place * _APART_S)
        self._adopt_others()
        self._agenda.later("round", "", self._settings.check_interval_s)

    def _examine(self, key: str, *, is_namespace_gone: bool = False) -> None:
        one = self._attachments.get(key)
        if one:
            self._hand_over(key, one.subject, is_namespace_gone=is_namespace_gone)

    def _hand_over(self, key: str, subject: Subject, *, is_namespace_gone: bool = False) -> None:
        again = "gone" if is_namespace_gone else "examine" if key in self._attachments else "adopt"

        def then(examined: Examined | None) -> None:
            self._results.put(partial(self._examined, key, subject, examined, again))
            self._wake()

        if not self._care.examine(subject, then, is_namespace_gone=is_namespace_gone):
            self._agenda.later(again, key, _AGAIN_S)

    def _examined(self, key: str, subject: Subject, examined: Examined | None, again: str) -> None:
        if examined is None:
            self._agenda.later(again, key, _AGAIN_S)
            return
        one = self._attachments.get(key)
        members = {member.name: member for member in one.bond.members} if one else {}
        happenings = [
            Happening(finding.kind, subject, finding.text, time.time(), members.get(finding.member))
            for finding in examined.findings
        ]
        if one is None:
            self._tell(happenings)
            return
        known, one.refused = one.refused, _refusals(happenings)
        self._tell(happening for happening in happenings if happening.text not in known)
        if examined.drift and examined.drift != one.bond.drift:
            text = f"{subject.ifname}: {'; '.join(examined.drift)}; look who else changes it"
            self._tell([Happening(Kind.DRIFT, subject, text, time.time())])
        one.bond = replace(one.bond, drift=examined.drift)

    def _tell(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            self._hands.tell(happening)


def _refusals(happenings: Iterable[Happening]) -> frozenset[str]:
    return frozenset(one.text for one in happenings if one.kind is Kind.REPAIR_REFUSED)
