"""Passes examinations of single bonds to workers: a few at once, in each attachment's order."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

from sriovbond import log, records
from sriovbond.errors import SriovbondError, TryLaterError
from sriovbond.host import Host
from sriovbond.subject import Subject
from sriovbond.upkeep import announcing, examination
from sriovbond.upkeep.ended import Ended
from sriovbond.upkeep.examination import Doubt, Examined
from sriovbond.upkeep.repair import IsAtRest, Repairs

Work = Callable[[], object]
Do = Callable[[Subject, Work], bool]
Then = Callable[[Examined | None], None]


class Care:
    """Bounds the examinations: a PF's reset concerns every pod of a node, and requests come first.

    `do_after_others` runs work of an attachment in a worker; False when too much is queued. At most
    `most` bonds are examined at once, the others are queued here.
    """

    def __init__(self, host: Host, repairs: Repairs, do_after_others: Do, most: int) -> None:
        self._host: Final = host
        self._repairs: Final = repairs
        self._do_after_others: Final = do_after_others
        self._most: Final = most
        self._ended: Final = Ended(host)
        self._lock: Final = threading.Lock()
        self._waiting: Final[dict[tuple[str, Subject], Work]] = {}
        self._running = 0

    def examine(
        self,
        subject: Subject,
        then: Then,
        *,
        is_namespace_gone: bool = False,
        is_at_rest: IsAtRest,
    ) -> None:
        """Examine the bond in a worker, which calls `then` with the result.

        With None if another call holds the attachment: at once, since that one may hang in IPAM,
        and must not occupy a worker for others. The worker asks `is_at_rest` of each device right
        before it puts it back.
        """
        if records.is_locked(self._host, subject.attachment.key):
            then(None)
            return
        repairs = replace(self._repairs, is_at_rest=is_at_rest)

        def work() -> None:
            doubt = examination.no_doubt if is_namespace_gone else self._ended.doubt
            then(self._examine(subject, repairs, doubt))

        self._put(("gone" if is_namespace_gone else "examine", subject), work)

    def announce(self, subject: Subject) -> None:
        """Announce the bond's addresses in a worker."""

        def work() -> None:
            with log.logged_to(None, self._host.logs, **subject.fields):
                try:
                    announcing.announce(self._host, subject.attachment.key)
                except SriovbondError as error:
                    log.event(logging.WARNING, error.message)

        self._put(("announce", subject), work)

    def go_on(self) -> None:
        """Start queued work, up to the limit."""
        while (pending := self._take()) is not None:
            (key, work) = pending
            if not self._do_after_others(key[1], partial(self._run, work)):
                with self._lock:
                    self._running -= 1
                    self._waiting.setdefault(key, work)
                return

    def _put(self, key: tuple[str, Subject], work: Work) -> None:
        with self._lock:
            self._waiting[key] = work
        self.go_on()

    def _take(self) -> tuple[tuple[str, Subject], Work] | None:
        with self._lock:
            if self._running >= self._most or not self._waiting:
                return None
            key = next(iter(self._waiting))
            self._running += 1
            return key, self._waiting.pop(key)

    def _run(self, work: Work) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._running -= 1
            self.go_on()

    def _examine(self, subject: Subject, repairs: Repairs, doubt: Doubt) -> Examined | None:
        with log.logged_to(None, self._host.logs, **subject.fields):
            try:
                return examination.examine(self._host, subject.attachment.key, repairs, doubt)
            except TryLaterError:
                return None
            except SriovbondError as error:
                return Examined(drift=(error.message,))
            except Exception as error:  # noqa: BLE001 - the watch waits for a result
                fault = f"a fault of sriovbond: {type(error).__name__}: {error}"
                log.event(logging.ERROR, fault)
                return Examined(drift=(fault,))
