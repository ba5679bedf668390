"""The watch's thread: waits, receives events, and runs due tasks, each for a bounded time."""

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

from sriovbond import cluster, log, records
from sriovbond.agent.inotify import FollowedFolder
from sriovbond.agent.settings import Settings
from sriovbond.agent.watch.adoption import Adoption
from sriovbond.agent.watch.agenda import AGAIN_S, FAULT_S, Actions, Agenda, Task
from sriovbond.agent.watch.care import Care
from sriovbond.agent.watch.hands import Hands
from sriovbond.agent.watch.hearing import Hearing
from sriovbond.agent.watch.judging import Judging
from sriovbond.agent.watch.mirror import Spaces
from sriovbond.agent.watch.tending import Tending
from sriovbond.agent.watch.watched import Watched
from sriovbond.errors import SriovbondError
from sriovbond.happenings.happening import WatchedBond
from sriovbond.kernel import netns
from sriovbond.kernel.netns import Namespace
from sriovbond.upkeep.repair import Repairs

_LULL_S: Final = 0.5  # a call changes its record twice: wake once
_SLICE_S: Final = 0.2  # tasks must not delay the reception of events
_STOPPING_S: Final = 5.0
_BEAT_S: Final = 10.0
_GATHERED_S: Final = 0.02  # a call causes a dozen events: do not run between them


class Watch:
    """The watch, in a thread of its own, which enters pods' namespaces for moments only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = settings.host
        self._watched = Watched(Spaces())
        self._agenda = Agenda()
        self._hearing = Hearing(self._watched.spaces, self._agenda)
        self._results: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._woken, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._opened = ExitStack()

    def start(self, hands: Hands) -> None:
        """Subscribe to events, and watch the bonds with records. Raises MachineError."""
        self._hands = hands
        self._waiting = self._opened.enter_context(selectors.DefaultSelector())
        self._put_together(hands, self._opened.enter_context(netns.own()))
        with suppress(OSError):
            self._host.boot_id()  # cached for later
        make = partial(records.make_folder, self._host)
        make()
        self._folder = FollowedFolder(self._host.records, make, self._waiting)
        self._opened.callback(self._folder.close)
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; wait for a blocked one for a bounded time. Idempotent."""
        self._is_stopping = True
        if self._thread.is_alive():
            self._wake()
            self._thread.join(_STOPPING_S)
        if self._thread.is_alive():
            log.event(logging.ERROR, "the watch does not end in time, and is left running")
        else:
            self._opened.close()

    def bonds(self) -> Sequence[WatchedBond]:
        """Return the bonds as last read; thread-safe."""
        return self._watched.bonds()

    def loud(self) -> int:
        """Return the number of namespaces that are read for their many events; thread-safe."""
        return self._hearing.loud

    def _put_together(self, hands: Hands, home: Namespace) -> None:
        watched, agenda, hearing = self._watched, self._agenda, self._hearing
        self._care = self._make_care(hands)
        judging = Judging(self._settings, watched, agenda, hands)
        tending = Tending(self._settings, watched, agenda, self._care, hands, self._call)
        self._adoption = Adoption(
            self._host,
            home,
            watched,
            agenda,
            hearing=hearing,
            judging=judging,
            tending=tending,
            keeper=hands.keeper,
        )
        self._actions: Actions = {
            Task.LISTEN: self._listen,
            **hearing.actions,
            **judging.actions,
            **tending.actions,
            **self._adoption.actions,
        }
        buffer_bytes = self._settings.watch_buffer_bytes
        hearing.open(judging.ears(), buffer_bytes, self._opened, self._waiting)

    def _make_care(self, hands: Hands) -> Care:
        namespace = self._settings.sriov_operator_namespace
        operator = cluster.node_state(self._host, self._settings.node, namespace)
        repairs = Repairs(
            self._settings.repair,
            self._settings.repair_pf_settings,
            at_work=operator.at_work,
            keeper=hands.keeper,
        )
        return Care(self._host, repairs, hands.do_after_others, self._settings.share)

    def _run(self) -> None:
        with log.logged_to(None, self._host.logs):
            self._waiting.register(self._woken, selectors.EVENT_READ)
            self._agenda.later(Task.TAKE_BACK, "", 0)
            self._agenda.later(Task.ADOPT_OTHERS, "", 0)
            self._agenda.later(Task.ROUND, "", self._settings.check_interval_s)
            while not self._is_stopping:
                pause_s = 0 if self._hearing.is_behind else self._agenda.pause_s(_BEAT_S)
                ready = [key.fileobj for key, _ in self._waiting.select(pause_s)]
                self._hands.beat()
                with self._logging_faults():
                    self._turn(ready)

    @contextmanager
    def _logging_faults(self) -> Iterator[None]:
        """Log an exception, so that the other bonds are still watched."""
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
        if self._folder.is_in(ready):
            self._folder.pause()
            self._agenda.later(Task.LISTEN, "", _LULL_S)
            self._adoption.note_changed(self._folder.changed())
        elif not self._folder.is_followed:
            self._agenda.later(Task.LISTEN, "", _LULL_S)
        if self._woken in ready:
            self._woken.recv(64)
        with suppress(Empty):
            while True:
                self._results.get_nowait()()
        self._hearing.read_some(_SLICE_S)
        self._do_what_is_due()
        self._care.go_on()

    def _do_what_is_due(self) -> None:
        """Run due tasks for a bounded time; the rest stays due. A failed one is retried."""
        deadline = time.monotonic() + _SLICE_S
        for task, key in self._agenda.due():
            self._hands.beat()
            is_done = False
            with self._logging_faults():
                self._actions[task](key)
                is_done = True
            if not is_done:
                self._agenda.later(task, key, FAULT_S)
            if self._is_stopping or time.monotonic() > deadline:
                return

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"\0")

    def _call(self, result: Callable[[], None]) -> None:
        """Run `result` in this thread; thread-safe."""
        self._results.put(result)
        self._wake()

    def _listen(self, _: str) -> None:
        if self._folder.is_followed:
            self._folder.resume()
            return
        self._folder.follow()
        self._agenda.later(Task.ADOPT_OTHERS, "", 0)
        if not self._folder.is_followed:
            self._agenda.later(Task.LISTEN, "", AGAIN_S)
