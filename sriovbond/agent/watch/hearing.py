"""Receives link events of all pods, bounded, so that no pod's event rate hides the others.

The links of a namespace with too many events are read every few seconds instead. After repeated
overruns of the socket the links of all are read for a while, and no events are received.
"""

import logging
import selectors
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from sriovbond import log
from sriovbond.agent.watch.agenda import Actions, Agenda, Task
from sriovbond.agent.watch.mirror import Spaces
from sriovbond.backoff import lengthen
from sriovbond.cni.attachment import split_key
from sriovbond.errors import KernelError
from sriovbond.happenings.following import Heard
from sriovbond.kernel import watch as kernel
from sriovbond.kernel.polling import LinkReader
from sriovbond.kernel.watch import Ends, LinkEvent, LinkEvents, OverrunError

MOST_EVENTS: Final = 2000
"""Events of one namespace in a window: a bond with some hundred VLANs that fails over has fewer."""
WINDOW_S: Final = 3.0
_AT_ONCE_S: Final = 0.05
_HEARING_OUT_S: Final = 0.1
_LATELY_S: Final = 5.0
_LATE_S: Final = 0.3
_DEAF_S: Final = 1.0
_DEAFEST_S: Final = 8.0
_READ_EACH_S: Final = 0.2
_WARNINGS_APART_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Ears:
    """Callbacks for an event, and for other changes of a namespace.

    `is_host_wanted`: the host's own links matter; `lost_ends`: nsids may have been reused for other
    namespaces; `unreadable`: why the links of one could not be read.
    """

    event: Callable[[LinkEvent], None]
    is_host_wanted: Callable[[], bool]
    reread: Callable[[int], None]
    unreadable: Callable[[int, KernelError], None]
    gone: Callable[[int], None]
    overrun: Callable[[], None]
    lost_ends: Callable[[], None]


class Hearing:
    """For one thread: each call receives, and reads, for a bounded time."""

    def __init__(self, spaces: Spaces, agenda: Agenda) -> None:
        self._spaces: Final = spaces
        self._agenda: Final = agenda
        self._reader: Final = LinkReader()
        self._counts: Final[dict[int, int]] = {}
        self._unheard: Final[set[int]] = set()
        # queued events of these may be older than what was read
        self._untrusted: Final[set[int]] = set()
        self._unread: Final[dict[int, None]] = {}
        self._is_deaf = self._is_brief = False
        self._deaf_s = self._reading_began_at = 0.0
        self._behind_since: float | None = None
        self._heard_since = self._warned_at = float("-inf")
        self.actions: Final[Actions] = {
            Task.WEIGH: self._weigh,
            Task.TRUST: self._trust,
            Task.POLL: lambda _: self._poll(),
            Task.HEAR: lambda _: self._hear_again(),
        }

    def open(
        self, ears: Ears, buffer_bytes: int, stack: ExitStack, waiting: selectors.BaseSelector
    ) -> None:
        """Subscribe until `stack` is closed; register the sockets with `waiting`."""
        self._ears = ears
        self._links = stack.enter_context(LinkEvents(buffer_bytes))
        self._ends = stack.enter_context(Ends())
        self._waiting = waiting
        stack.callback(self._reader.close)
        for source in (self._links, self._ends):
            waiting.register(source, selectors.EVENT_READ)

    @property
    def is_behind(self) -> bool:
        """Whether a namespace still has to be read again."""
        return bool(self._unread)

    @property
    def loud(self) -> int:
        """The number of namespaces that are read for their many events; thread-safe."""
        return len(self._unheard)

    def hear(self) -> None:
        """Receive queued events, ends of namespaces first, for a bounded time."""
        try:
            for nsid in self._ends.receive():
                self._forget(nsid)
                self._ears.gone(nsid)
        except OverrunError:
            self._ends.drain()
            self._ears.lost_ends()
        if self._is_deaf:
            return
        is_host_wanted = self._ears.is_host_wanted()

        def is_wanted(nsid: int | None) -> bool:
            return is_host_wanted if nsid is None else self._is_heard(nsid)

        try:
            for event in self._links.events(is_wanted, time.monotonic() + _AT_ONCE_S):
                self._ears.event(event)
                if event.nsid is not None and self._spaces.size(event.nsid) > kernel.MOST_LINKS:
                    self._do_not_hear(event.nsid)
            self._note_lateness()
        except OverrunError:
            self._overrun()

    def hear_out(self) -> bool:
        """Receive all queued events, older than the next read; return False if they do not end."""
        deadline = time.monotonic() + _HEARING_OUT_S
        self.hear()
        while not (self._is_deaf or self._links.was_emptied):
            if time.monotonic() > deadline:
                return False
            self.hear()
        return True

    def read(self, nsid: int, key: str) -> None:
        """Read the links of a namespace that an attachment is now in. Raises KernelError."""
        if not self.hear_out():
            self._distrust(nsid)
        names = self._spaces.names(nsid) | {split_key(key)[1]}
        self._spaces.join(key, nsid, self._reader.read(nsid, names))

    def read_some(self, within_s: float) -> None:
        """Read namespaces that have to be read again, at least one, until the time is over."""
        deadline = time.monotonic() + within_s
        while self._unread:
            nsid = next(iter(self._unread))
            del self._unread[nsid]
            self._read_again(nsid)
            if time.monotonic() > deadline:
                break
        if self._is_deaf and not self._unread:
            # in CPU time: waiting for the lock that a flood holds takes none
            took_s = time.thread_time() - self._reading_began_at
            self._agenda.later(Task.POLL, "", max(_READ_EACH_S, took_s))

    def read_all(self) -> None:
        """Schedule all namespaces to be read again, with all their links."""
        self._is_brief = False
        self._reader.forget_all()  # events have changed what is known
        self._read_all()

    def _poll(self) -> None:
        """Schedule all bonds to be read again, and the members of changed ones."""
        if not self._unread:  # whole reads that are due remain whole
            self._is_brief = self._is_deaf
        self._read_all()

    def _read_all(self) -> None:
        self._reading_began_at = time.thread_time()
        self._unread.update(dict.fromkeys(self._spaces))

    def _read_again(self, nsid: int) -> None:
        if not self.hear_out():
            self._distrust(nsid)
        if nsid not in self._spaces:  # its last bond, or itself, may have ended meanwhile
            return
        try:
            links = self._read_links(nsid)
        except KernelError as error:
            self._ears.unreadable(nsid, error)
            return
        if links is not None:
            self._spaces.replace(nsid, links)
            self._ears.reread(nsid)

    def _read_links(self, nsid: int) -> dict[int, Heard] | None:
        """Return the links of the namespace, None if they are as before."""
        names = self._spaces.names(nsid)
        if not self._is_brief:
            return self._reader.read(nsid, names)
        return self._reader.read_changed(nsid, names, self._spaces.links(nsid) or {})

    def _forget(self, nsid: int) -> None:
        self._reader.forget(nsid)
        self._unheard.discard(nsid)
        self._untrusted.discard(nsid)
        self._counts.pop(nsid, None)
        self._unread.pop(nsid, None)

    def _distrust(self, nsid: int) -> None:
        self._untrusted.add(nsid)
        self._agenda.later(Task.TRUST, "", _READ_EACH_S)

    def _trust(self, _: str) -> None:
        """Read those again that were read before their events; trust them if none is queued."""
        is_heard_out = self.hear_out()
        self._unread.update(dict.fromkeys(self._untrusted))
        if is_heard_out:
            self._untrusted.clear()
        else:
            self._agenda.later(Task.TRUST, "", _READ_EACH_S)

    # namespaces with too many events

    def _is_heard(self, nsid: int) -> bool:
        if nsid not in self._spaces:
            return False
        count = self._counts[nsid] = self._counts.get(nsid, 0) + 1
        if count == MOST_EVENTS:
            whose = ", ".join(sorted(self._spaces.keys(nsid)))
            self._warn(
                f"links in the pod of {whose} change too often: they are polled, not watched"
            )
            self._do_not_hear(nsid)
        if len(self._counts) == 1:
            self._agenda.later(Task.WEIGH, "", WINDOW_S)
        return not (nsid in self._unheard or nsid in self._untrusted)

    def _do_not_hear(self, nsid: int) -> None:
        self._unheard.add(nsid)
        self._agenda.later(Task.WEIGH, "", WINDOW_S)

    def _weigh(self, _: str) -> None:
        """Read those whose events are ignored; stop ignoring those that are quiet now."""
        counts = dict(self._counts)
        self._counts.clear()
        is_heard_out = self.hear_out()
        for nsid in tuple(self._unheard):
            if is_heard_out and counts.get(nsid, 0) < MOST_EVENTS // 2:
                self._unheard.discard(nsid)
            self._unread.setdefault(nsid)
        if self._unheard:
            self._agenda.later(Task.WEIGH, "", WINDOW_S)

    # overruns

    def _note_lateness(self) -> None:
        """Stop receiving events when the queue never empties: they are outdated."""
        now = time.monotonic()
        if self._links.was_emptied:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = now
        elif now > self._behind_since + _LATE_S:
            self._fall_deaf()

    def _overrun(self) -> None:
        if time.monotonic() < self._heard_since + _LATELY_S:
            self._fall_deaf()
            return
        self._tell_overrun()
        self._links.drain()
        self._heard_since = time.monotonic()
        self.read_all()

    def _fall_deaf(self) -> None:
        """Receive no events for a while: the kernel drops them, at no cost to us."""
        self._tell_overrun()
        was_heard_well = time.monotonic() > self._heard_since + _LATELY_S
        self._deaf_s = lengthen(0.0 if was_heard_well else self._deaf_s, _DEAF_S, _DEAFEST_S)
        self._is_deaf, self._behind_since = True, None
        self._waiting.unregister(self._links)
        self._agenda.put_off(Task.HEAR, "", self._deaf_s)
        self.read_all()

    def _hear_again(self) -> None:
        self._links.drain()
        self._is_deaf = False
        self._heard_since = time.monotonic()
        self._waiting.register(self._links, selectors.EVENT_READ)
        self.read_all()

    def _tell_overrun(self) -> None:
        self._ears.overrun()
        self._warn("the kernel reported more than was read: all is read again")

    def _warn(self, text: str) -> None:
        if time.monotonic() > self._warned_at + _WARNINGS_APART_S:
            self._warned_at = time.monotonic()
            log.event(logging.WARNING, text)
