"""Follows the bonds that the records name by what the kernel tells, and has them looked after."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from sriovbond import aside, cluster, log, records
from sriovbond.agent.inotify import Folder
from sriovbond.agent.settings import Settings
from sriovbond.agent.watch.agenda import Agenda
from sriovbond.agent.watch.care import Care, Do
from sriovbond.agent.watch.hearing import Ears, Hearing
from sriovbond.agent.watch.mirror import COMING_BACK_S, Spaces, WatchedAttachment
from sriovbond.backoff import lengthen
from sriovbond.bond.plan import BondPlan
from sriovbond.errors import KernelError, SriovbondError
from sriovbond.happenings import following
from sriovbond.happenings.following import Heard
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond
from sriovbond.kernel import netns
from sriovbond.kernel import watch as kernel
from sriovbond.kernel.watch import LinkEvent
from sriovbond.release import Keeper
from sriovbond.repair import Repairs
from sriovbond.subject import Subject
from sriovbond.upkeep import Examined

_SETTLING_S: Final = 0.1
"""What a call still does with an attachment must not be watched, nor slowed."""
_LULL_S: Final = 0.5  # a call changes its record twice: it must not wake this thread each time
_COMING_UP_S: Final = 15.0  # a VF's carrier comes 1-3 s after it was brought up
_AGAIN_S: Final = 5.0
_ANNOUNCEMENTS: Final = 3  # the switch's port may not forward yet
_ANNOUNCED_AGAIN_S: Final = 1.0
_APART_S: Final = 0.02  # many bonds at once must not keep requests waiting
_ROUND_APART_S: Final = 0.1  # nor a round over all of them, which nobody waits for
_SLICE_S: Final = 0.2  # what is to be done must not keep this thread from hearing
_FAULT_S: Final = 30.0
_STOPPING_S: Final = 5.0
_BEAT_S: Final = 10.0
_GATHERED_S: Final = 0.02  # a call makes a dozen events: this thread must not run between them


@dataclass(frozen=True, slots=True)
class Hands:
    """What the watch is given: whom it tells, and who does work that takes its time.

    `is_leaving` tells that a DEL of the attachment waits; `do_after_others` does the work of one in
    a worker, False where too much waits; the keeper has IPAM asked for what is left to it.
    """

    tell: Callable[[Happening], None]
    overrun: Callable[[], None]
    beat: Callable[[], None]
    is_leaving: Callable[[Subject], bool]
    do_after_others: Do
    keeper: Keeper


@dataclass(frozen=True, slots=True)
class _Left:
    """What an attachment that is not watched left behind, and how long it waits to be looked at."""

    wait_s: float
    drift: tuple[str, ...]


class Watch:
    """A thread of its own; nothing of it is ever in a pod's namespace but for a moment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = settings.host
        self._attachments: dict[str, WatchedAttachment] = {}
        self._left: dict[str, _Left] = {}
        self._lacking: dict[str, None] = {}  # of hundreds: those that lack a member, in order
        self._spaces = Spaces()
        self._agenda = Agenda()
        ears = Ears(
            event=self._take,
            is_host_wanted=lambda: bool(self._lacking),
            reread=self._reread,
            unreadable=self._unreadable,
            gone=self._note_gone,
            overrun=self._overrun,
            lost_ends=self._identify_all,
        )
        self._hearing = Hearing(self._spaces, self._agenda, ears)
        self._actions: dict[str, Callable[[str], None]] = {
            **self._hearing.actions,
            "listen": self._listen,
            "adopt": self._adopt,
            "adopt others": self._adopt_others,
            "take back": self._take_back,
            "judge": partial(self._judge, is_reread=True),
            "announce": self._announce,
            "settle": self._settle,
            "examine": self._examine,
            "rested": self._examine,
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
        namespace = self._settings.sriov_operator_namespace
        operator = cluster.node_state(self._host, self._settings.node, namespace)
        repairs = Repairs(
            self._settings.repair,
            self._settings.repair_pf_settings,
            at_work=operator.at_work,
            keeper=hands.keeper,
        )
        most = self._settings.share
        self._care = Care(self._host, repairs, hands.do_after_others, most)
        self._waiting = self._opened.enter_context(selectors.DefaultSelector())
        self._hearing.open(self._settings.watch_buffer_bytes, self._opened, self._waiting)
        self._home = self._opened.enter_context(netns.own())
        records.make_folder(self._host)
        with suppress(OSError):
            self._host.boot_id()  # read once, and known from now on
        self._folder = Folder(self._host.records)
        self._opened.callback(self._folder.close)
        self._thread.start()

    def stop(self) -> None:
        """Hear no more; a thread that is held up is not waited for long. Idempotent."""
        self._is_stopping = True
        if self._thread.is_alive():
            self._wake()
            self._thread.join(_STOPPING_S)
        if self._thread.is_alive():
            log.event(logging.ERROR, "the watch does not end in time, and is left running")
        else:
            self._opened.close()

    def bonds(self) -> Sequence[WatchedBond]:
        """Return the bonds as they were last seen; any thread may ask."""
        return [attachment.bond for attachment in list(self._attachments.values())]

    def loud(self) -> int:
        """Return how many namespaces are read, not heard; any thread may ask."""
        return self._hearing.loud

    def _run(self) -> None:
        with log.logged_to(None, self._host.logs):
            for source in (self._folder, self._woken):
                self._waiting.register(source, selectors.EVENT_READ)
            self._agenda.later("take back", "", 0)
            self._agenda.later("adopt others", "", 0)
            self._agenda.later("round", "", self._settings.check_interval_s)
            while not self._is_stopping:
                pause_s = 0 if self._hearing.is_behind else self._agenda.pause_s(_BEAT_S)
                ready = [key.fileobj for key, _ in self._waiting.select(pause_s)]
                self._hands.beat()
                with self._logging_faults():
                    self._turn(ready)

    @contextmanager
    def _logging_faults(self) -> Iterator[None]:
        """Go on with the other bonds whatever happens to one."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - see above
            is_ours = isinstance(error, SriovbondError)
            fault = f"a fault of sriovbond: {type(error).__name__}: {error}"
            log.event(logging.ERROR, str(error) if is_ours else fault)

    def _turn(self, ready: Sequence[object]) -> None:
        if ready:
            time.sleep(_GATHERED_S)
        self._hearing.hear()
        if self._folder in ready:
            self._waiting.unregister(self._folder)
            self._agenda.later("listen", "", _LULL_S)
            self._look_at_records(self._folder.changed())
        if self._woken in ready:
            self._woken.recv(64)
        with suppress(Empty):
            while True:
                self._results.get_nowait()()
        self._hearing.read_some(_SLICE_S)
        self._do_what_is_due()
        self._care.go_on()

    def _do_what_is_due(self) -> None:
        """Do it for a short time; the rest stays due. What could not be done is tried again."""
        deadline = time.monotonic() + _SLICE_S
        for what, key in self._agenda.due():
            self._hands.beat()
            is_done = False
            with self._logging_faults():
                self._actions[what](key)
                is_done = True
            if not is_done:
                self._agenda.later(what, key, _FAULT_S)
            if self._is_stopping or time.monotonic() > deadline:
                return

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"\0")

    # what is watched

    def _listen(self, _: str) -> None:
        self._waiting.register(self._folder, selectors.EVENT_READ)

    def _look_at_records(self, names: set[str] | None) -> None:
        """Look at the records that came, changed or went; at all where the kernel lost some."""
        keys = {name.removesuffix(".json") for name in names or () if name.endswith(".json")}
        if names is None:
            keys = set(self._attachments)
            self._agenda.later("adopt others", "", 0)
        for key in keys:
            if not key.startswith("."):
                self._agenda.put_off("adopt", key, _SETTLING_S)

    def _adopt_others(self, _: str) -> None:
        """Begin with the bonds that are not watched yet, and hear of events meanwhile."""
        unwatched = [key for key in records.keys(self._host) if not self._is_watched(key)]
        for place, key in enumerate(unwatched):
            self._agenda.later("adopt", key, place * _APART_S)

    def _take_back(self, _: str) -> None:
        """Try the records again that were set aside; what is left of their pods is released."""
        for file in aside.files(self._host):
            with suppress(SriovbondError, OSError):
                if aside.take_back(self._host, file):
                    log.event(logging.WARNING, f"{str(file)!r} can be read again, and is a record")

    def _is_watched(self, key: str) -> bool:
        attachment = self._attachments.get(key)
        return attachment is not None and self._spaces.has(key, attachment.nsid)

    def _adopt(self, key: str) -> None:
        """Begin to watch what the record says, or cease where it is gone."""
        if records.is_locked(self._host, key):
            self._agenda.later("adopt", key, _SETTLING_S)
            return
        try:
            record = records.read(self._host, key)
        except records.UnreadableRecordError as error:
            log.event(logging.WARNING, error.message, attachment=key)
            self._agenda.later("adopt", key, _FAULT_S)
            return
        except SriovbondError as error:
            log.event(logging.ERROR, f"cannot watch a bond: {error.message}", attachment=key)
            self._forget(key)
            return
        if record is None or record.plan is None:
            self._forget(key)
            self._left.pop(key, None)
        if record is not None and record.plan is None:
            self._hands.keeper.keep(record, "")
        elif record is not None and not self._follow_record(key, record):
            self._hand_over(key, record.subject)

    def _follow_record(self, key: str, record: records.Record) -> bool:
        """Watch the record's bond; False where what it tells of does not stand."""
        if not (record.plan and record.is_complete and record.boot_id == self._host.boot_id()):
            return False
        try:
            nsid = self._number(record)
            if nsid is not None:
                self._follow(key, record.subject, record.plan, nsid)
        except (SriovbondError, OSError) as error:
            log.event(logging.ERROR, f"cannot watch a bond yet: {error}", attachment=key)
            self._agenda.later("adopt", key, _AGAIN_S)
            return True
        return nsid is not None

    def _number(self, record: records.Record) -> int | None:
        """Return the nsid of the record's namespace, None where it is another one, or none."""
        paths = self._host.paths_of(record.netns)
        with netns.identified(paths, record.namespace) as pod:
            return kernel.number(self._home.netlink, pod.descriptor) if pod else None

    def _follow(self, key: str, subject: Subject, plan: BondPlan, nsid: int) -> None:
        attachment = self._attachments.get(key)
        if attachment and attachment.nsid != nsid:
            self._spaces.leave(key, attachment.nsid)
        self._hearing.read(nsid, key)
        links = self._spaces.links(nsid) or {}
        if attachment:
            attachment.plan, attachment.nsid = plan, nsid
            self._judge(key, is_reread=True)
            return
        self._left.pop(key, None)
        bond = following.observe(subject, plan, links)
        self._attachments[key] = WatchedAttachment(subject, plan, nsid, bond)
        self._note_lack(key)
        self._begin(key, self._attachments[key])
        if not all(member.is_in_bond for member in bond.members):
            self._agenda.later("examine", key, COMING_BACK_S)

    def _begin(self, key: str, attachment: WatchedAttachment) -> None:
        """Give a new bond its time to come up."""
        attachment.is_settled = attachment.bond.working == len(attachment.bond.members)
        self._agenda.put_off("settle", key, _COMING_UP_S)

    def _forget(self, key: str) -> None:
        attachment = self._attachments.pop(key, None)
        if attachment:
            self._spaces.leave(key, attachment.nsid)
            self._note_lack(key)
        self._agenda.forget(key)

    # what the kernel tells

    def _take(self, event: LinkEvent) -> None:
        if event.nsid is not None:
            for key in self._spaces.change(event.nsid, event):
                if event.is_moved:
                    self._attachments[key].note_moved(event.link.device)
                    self._note_lack(key)
                if not self._agenda.has("judge", key):  # then a DEL takes it away, piece by piece
                    self._judge(key)
        elif not event.is_gone:
            self._came_back(event.link, self._find_lacking())

    def _note_gone(self, nsid: int) -> None:
        for key in self._spaces.forget(nsid):
            self._agenda.later("gone", key, self._settings.gone_after_s)

    def _reread(self, nsid: int) -> None:
        for key in self._spaces.keys(nsid):
            if not self._agenda.has("judge", key):
                self._judge(key, is_reread=True)

    def _unreadable(self, nsid: int, error: KernelError) -> None:
        """Identify the namespace anew, where it is still there."""
        for key in self._spaces.keys(nsid):
            log.event(logging.WARNING, f"cannot watch a bond now: {error.message}", attachment=key)
            self._agenda.later("adopt", key, _AGAIN_S)

    def _overrun(self) -> None:
        self._hands.overrun()
        for key, attachment in self._attachments.items():
            attachment.sent_home = frozenset()  # it may never be told
            if key in self._lacking:  # nor that a device has come back
                self._agenda.later("examine", key, attachment.wait_s)

    def _identify_all(self) -> None:
        """Look for every namespace anew: the numbers of those gone may be others' by now."""
        self._spaces.clear()
        for key in self._attachments:
            self._agenda.later("adopt", key, 0)

    def _find_lacking(self) -> dict[str, str]:
        """Return who lacks which device: attachments, by the address of a lost member's device."""
        return {device: key for key in self._lacking for device in self._attachments[key].lost}

    def _note_lack(self, key: str) -> None:
        attachment = self._attachments.get(key)
        if attachment:
            attachment.note_lost(time.monotonic())
        if attachment and attachment.lost:
            self._lacking.setdefault(key)
        else:
            self._lacking.pop(key, None)

    def _came_back(self, link: Heard, lost: Mapping[str, str]) -> None:
        """Have a lost member looked at once nothing more happens to it.

        Who has reset its PF may be about to bind it, name it, or set its MAC: the SR-IOV operator
        fails where a VF is taken from under it.
        """
        keys = {lost[link.device]} if link.device in lost else set()
        if not (link.device or link.kind):  # before 5.14 the kernel tells no devices
            keys = set(lost.values())
        for place, key in enumerate(sorted(keys & self._attachments.keys())):
            attachment = self._attachments[key]
            attachment.note_stirred(link.device, time.monotonic())
            wait_s = max(attachment.wait_s, self._settings.rest_s)
            self._agenda.put_off("rested", key, wait_s + place * _APART_S)

    def _judge(self, key: str, *, is_reread: bool = False) -> None:
        """Tell what happened to the bond since it was last told of."""
        attachment = self._attachments.get(key)
        links = self._spaces.links(attachment.nsid) if attachment else None
        if attachment is None or links is None:
            return
        now = following.observe(attachment.subject, attachment.plan, links)
        after, happenings = following.follow(attachment.bond, now, time.time(), is_reread=is_reread)
        if after == attachment.bond:
            return
        if records.is_locked(self._host, key):  # a DEL takes the bond away piece by piece
            self._agenda.later("judge", key, _SETTLING_S)
            return
        if self._is_over(key, after):
            self._forget(key)
            self._agenda.later("adopt", key, _SETTLING_S)  # IPAM's part of it may be left
            return
        before, attachment.bond = attachment.bond, after
        if after.index not in (0, before.index):  # an ADD after a DEL, so close that one was missed
            self._begin(key, attachment)
        self._tell(happenings if attachment.is_settled else following.keep_lasting(happenings))
        attachment.is_settled = attachment.is_settled or after.working == len(after.members)
        self._look_after(key, attachment, before, happenings)

    def _is_over(self, key: str, bond: WatchedBond) -> bool:
        """Tell whether a DEL has been there, which may have left only IPAM's part to be done."""
        if bond.index:
            return not records.exists(self._host, key)
        with suppress(SriovbondError):
            record = records.read(self._host, key)
            return record is None or record.plan is None
        return False

    def _look_after(
        self,
        key: str,
        attachment: WatchedAttachment,
        before: WatchedBond,
        happenings: Iterable[Happening],
    ) -> None:
        attachment.taken -= {
            member.device for member in attachment.bond.members if member.is_in_bond
        }
        self._note_lack(key)
        if any(happening.kind is HappeningKind.MEMBER_GONE for happening in happenings):
            self._agenda.later("examine", key, attachment.wait_s)
        # a short loss of all members never reaches the bond's own carrier
        was_cut_off = not before.has_carrier or not before.working
        if attachment.bond.has_carrier and attachment.bond.working and was_cut_off:
            attachment.announcements = _ANNOUNCEMENTS
            self._agenda.later("announce", key, 0)

    def _announce(self, key: str) -> None:
        attachment = self._attachments.get(key)
        if attachment and attachment.announcements:
            self._care.announce(attachment.subject)
            attachment.announcements -= 1
            self._agenda.later("announce", key, _ANNOUNCED_AGAIN_S)

    def _settle(self, key: str) -> None:
        """Take a bond for up by now, and tell where it is not."""
        attachment = self._attachments.get(key)
        if attachment and not attachment.is_settled:
            attachment.is_settled = True
            self._tell(following.judge_settled(attachment.bond, time.time()))

    # who looks after it

    def _round(self, _: str) -> None:
        """Have every bond compared with its record, which Multus never asks for."""
        self._agenda.later("round", "", self._settings.check_interval_s)
        for place, key in enumerate(self._attachments):
            self._agenda.later("examine", key, place * _ROUND_APART_S)
        self._agenda.later("take back", "", 0)
        self._agenda.later("adopt others", "", 0)

    def _examine(self, key: str, *, is_namespace_gone: bool = False) -> None:
        attachment = self._attachments.get(key)
        if attachment:
            self._hand_over(key, attachment.subject, is_namespace_gone=is_namespace_gone)

    def _hand_over(self, key: str, subject: Subject, *, is_namespace_gone: bool = False) -> None:
        again = "gone" if is_namespace_gone else "examine" if key in self._attachments else "adopt"

        def then(examined: Examined | None) -> None:
            self._results.put(partial(self._take_notes, key, subject, examined, again))
            self._wake()

        if self._hands.is_leaving(subject):
            self._agenda.later(again, key, _AGAIN_S)
            return
        attachment = self._attachments.get(key)
        passing_over = frozenset[str]()
        if attachment:
            unrest_s = attachment.unrest_s(time.monotonic(), self._settings.rest_s)
            passing_over = attachment.taken | unrest_s.keys()
            if unrest_s:
                self._agenda.later("rested", key, max(unrest_s.values()))
        self._care.examine(
            subject, then, is_namespace_gone=is_namespace_gone, passing_over=passing_over
        )

    def _take_notes(
        self, key: str, subject: Subject, examined: Examined | None, again: str
    ) -> None:
        if examined is None:
            self._agenda.later(again, key, _AGAIN_S)
            return
        attachment = self._attachments.get(key)
        members = {member.name: member for member in attachment.bond.members} if attachment else {}
        happenings = [
            Happening(note.kind, subject, note.text, time.time(), members.get(note.member))
            for note in examined.notes
        ]
        if attachment is None:
            self._tell(happenings)
            self._look_again(key, subject, examined.drift)
            return
        attachment.note_sent_home(frozenset(note.sent_home for note in examined.notes) - {""})
        self._note_lack(key)
        refused_before = attachment.refused
        unrest_s = attachment.unrest_s(time.monotonic(), self._settings.rest_s)
        if happenings or not unrest_s:  # what was refused is looked at again when it has rested
            attachment.refused = _refusals(happenings)
            last_s = attachment.wait_s if attachment.refused else 0.0
            longest_s = self._settings.check_interval_s
            attachment.wait_s = lengthen(last_s, COMING_BACK_S, longest_s)
        if attachment.refused:
            # what was sent home stirred there, of which nothing more may be heard
            self._agenda.later("examine", key, max(attachment.wait_s, *unrest_s.values()))
        if not (self._is_watched(key) or examined.drift):  # else the next round looks again
            self._agenda.later("adopt", key, _AGAIN_S)
        self._tell(happening for happening in happenings if happening.text not in refused_before)
        if examined.drift and examined.drift != attachment.bond.drift:
            self._tell_drift(subject, f"{'; '.join(examined.drift)}; look who else changes it")
        attachment.bond = replace(
            attachment.bond, drift=examined.drift, refused=tuple(sorted(attachment.refused))
        )

    def _look_again(self, key: str, subject: Subject, drift: tuple[str, ...]) -> None:
        """Have what can be neither watched nor put back be looked at again, and tell it once."""
        before = self._left.pop(key, None)
        if not drift:
            return
        most_s = self._settings.check_interval_s
        wait_s = lengthen(before.wait_s if before else 0.0, _AGAIN_S, most_s)
        self._left[key] = _Left(wait_s, drift)
        self._agenda.later("adopt", key, wait_s)
        if before is None or before.drift != drift:
            self._tell_drift(subject, f"what is left of it cannot be put back: {'; '.join(drift)}")

    def _tell_drift(self, subject: Subject, text: str) -> None:
        words = f"{subject.attachment.ifname}: {text}"
        self._tell([Happening(HappeningKind.DRIFT, subject, words, time.time())])

    def _tell(self, happenings: Iterable[Happening]) -> None:
        for happening in happenings:
            self._hands.tell(happening)


def _refusals(happenings: Iterable[Happening]) -> frozenset[str]:
    return frozenset(
        happening.text for happening in happenings if happening.kind is HappeningKind.REPAIR_REFUSED
    )
