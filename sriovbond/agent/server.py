"""The agent's life cycle: takes its socket, serves calls, replays queued DELs, stops in order."""

import gc
import importlib
import logging
import resource
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from deviceinfo import PodRef
from sriovbond import aside, libc, log, ownfiles
from sriovbond.agent import folders
from sriovbond.agent.calls import Calls
from sriovbond.agent.inotify import FollowedFolder
from sriovbond.agent.lanes import Lanes
from sriovbond.agent.leases import Leases
from sriovbond.agent.notify import notify, watchdog_s
from sriovbond.agent.pulse import Pulse
from sriovbond.agent.queue import Queue
from sriovbond.agent.report import series
from sriovbond.agent.report.metrics import Metrics
from sriovbond.agent.report.pages import Served, verdict
from sriovbond.agent.report.probes import ALIVE, READY, Probes, Readiness
from sriovbond.agent.report.teller import Sink, Teller
from sriovbond.agent.report.writer import LogWriter
from sriovbond.agent.settings import Settings
from sriovbond.agent.turns import Door, Turns, Work
from sriovbond.agent.watch.hands import Hands
from sriovbond.agent.watch.loop import Watch
from sriovbond.backoff import Backoff
from sriovbond.errors import MachineError
from sriovbond.subject import Subject

_BEAT_S: Final = 10.0
_BREATH_S: Final = 0.2
_ANSWERING: Final = 2  # threads for queued calls that continue without IPAM
_WAKES: Final = 1024  # read at once: more than the socket takes
_LATE_S: Final = 60.0
_CATCHING_UP_S: Final = 30.0
_LOCK_S: Final = 0.1  # a DEL whose lock is held is retried later, so that the others do not wait
_OPEN_FILES: Final = 65536  # as in the unit
_QUEUE, _WATCH = "the loop of the queue", "the watch"
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)


def serve(
    settings: Settings,
    owner: int = 0,
    sinks: Sequence[Sink] = (),
    events_lost: Callable[[], int] = lambda: 0,
) -> bool:
    """Serve until SIGTERM or SIGINT; return whether all running calls ended in time.

    Raises MachineError when the agent cannot start. `owner` is the only user whose requests are
    served, and the required owner of the folders; `sinks` get the bonds' events, beside the log and
    the metrics; `events_lost` returns the number of events that they dropped.
    """
    with log.logged_to(None, settings.host.logs), ExitStack() as stack:
        writer = LogWriter(sys.stderr.fileno())
        stack.enter_context(log.written_by(writer))
        stack.enter_context(_alone(settings.run, owner))
        _allow_open_files()
        agent = _Agent(settings, owner, sinks, events_lost, lambda: writer.lost)
        agent.queue.make()
        listening = stack.enter_context(_listening(settings.socket, owner, settings.waiting))
        has_ended = agent.run(listening, stack)
        text = "the agent has stopped" if has_ended else "stopping while some requests still run"
        log.event(logging.INFO if has_ended else logging.ERROR, text)
        return has_ended


class _Agent:
    """One agent: its workers, its queue, its watch, and its stop signal.

    Workers accept requests from the socket themselves; the kernel's backlog holds those that wait
    for one. This thread runs what no request triggers: replays, probes, watchdog.
    """

    def __init__(
        self,
        settings: Settings,
        owner: int,
        sinks: Sequence[Sink],
        events_lost: Callable[[], int],
        lines_lost: Callable[[], int],
    ) -> None:
        self.settings = settings
        self.host = settings.host
        self.owner = owner
        self.queue = Queue(settings.queue, owner)
        self.turns = Turns(2 * settings.share, settings.waiting, settings.ipam_calls + _ANSWERING)
        self._next: Final[SimpleQueue[Work]] = SimpleQueue()
        self.places = Lanes(settings.workers, settings.waiting, self._next.put, is_shared_out=False)
        self.lanes = Lanes(settings.ipam_calls, settings.waiting, self.turns.resume)
        self.is_stopping = False
        self._door: Final = Door()
        self._backoff: Final = Backoff(settings.retry_s, settings.retry_most_s)
        self._watchdog_s: Final = watchdog_s()
        self._woken, self._waker = socket.socketpair()
        self._waker.settimeout(0)
        self._replaying: set[str] = set()
        self._queued_before: dict[str, PodRef] = {}
        self._catches_up_until = time.monotonic() + _CATCHING_UP_S
        self._stale = ""
        self.watch = Watch(settings)
        self.metrics = Metrics(
            self.watch.bonds,
            lambda: len(self.queue.waiting()),
            events_lost,
            {
                series.LINES_LOST: lines_lost,
                series.LOUD: self.watch.loud,
                series.DAMAGED: lambda: len(aside.files(self.host)),
            },
            lambda: self.leases.counts(),  # noqa: PLW0108 - created after the metrics
        )
        self.tell = Teller(self.metrics.tell, *sinks)
        self.leases = Leases(settings, self.lanes, self.tell)
        self.pulse = Pulse(_QUEUE, *([_WATCH] if settings.watch else []), limit_s=_LATE_S)
        self.ready = Readiness(self.host, self._remarks)
        self._calls = Calls(
            settings,
            owner,
            self.queue,
            self.turns,
            self.places,
            self.lanes,
            self.leases,
            self.metrics,
            lambda: self.is_stopping,
            self._wake,
            self._await_queue,
        )

    def run(self, listening: socket.socket, stack: ExitStack) -> bool:
        """Serve until a signal; then finish running calls; return whether they ended in time."""
        waiting = stack.enter_context(selectors.DefaultSelector())
        probes = self._probes(stack)
        mounted = folders.Mounted(self.host.root, self.settings.state, self.settings.run)
        queued = FollowedFolder(self.queue.folder, self.queue.make, waiting)
        stack.callback(queued.close)
        stack.enter_context(_signals(self._waker, self._stop))
        _warm_up()
        waiting.register(self._woken, selectors.EVENT_READ)
        metrics = self._serve_metrics(stack)
        if self.settings.watch:
            beat = partial(self.pulse.beat, _WATCH)
            hands = Hands(
                tell=self.tell,
                overrun=self.metrics.overrun,
                beat=beat,
                is_leaving=lambda subject: self.queue.has(subject.attachment.key),
                do_after_others=self._do_after_others,
                keeper=self.leases.keeper("", asks_first=False),
            )
            self.watch.start(hands)
            stack.callback(self.watch.stop)
        self.leases.start()
        stack.callback(self.leases.stop)
        self._queued_before = self.queue.pods()
        self.replay_some()
        for _ in range(self.settings.workers + self.settings.share):
            take = partial(copy_context().run, self._take_requests, listening)
            threading.Thread(target=take, name="worker", daemon=True).start()
        notify("READY=1")
        log.event(logging.INFO, "the agent is ready", socket=str(self.settings.socket))
        while not self.is_stopping:
            self._say_alive()
            ready = [key.fileobj for key, _ in waiting.select(self._pause_s())]
            self.pulse.beat(_QUEUE)
            for served in filter(None, (probes, metrics)):
                served.listen()
            self._give_up_late()
            if self._woken in ready:
                self._woken.recv(_WAKES)
            queued.look(ready)
            self.replay_some()
            if stale := mounted.stale():
                self._stale = f"the host has replaced the folder {str(stale[0])!r}"
                self.is_stopping = True
        notify("STOPPING=1")
        _close(listening, self.settings.socket)
        self._door.open()
        self.places.close()
        self.lanes.close()
        self.leases.stop()
        self.watch.stop()
        has_ended = self.turns.finish(self.settings.stop_timeout_s)
        if self._stale:
            raise MachineError(f"cannot serve on: {self._stale}; restart this container")
        return has_ended

    def _stop(self) -> None:
        self.is_stopping = True

    def _give_up_late(self) -> None:
        """Give up the calls that have waited too long for IPAM, or for a worker."""
        self.lanes.give_up_late()
        for waiting in self.places.take_late():  # here: no worker is free for it
            waiting.give_up()

    def _probes(self, stack: ExitStack) -> Probes | None:
        """Serve kubelet's probes from the start, if configured."""
        address = self.settings.probes_address
        if address is None:
            return None
        pages = {ALIVE: lambda: verdict(self.pulse.fault()), READY: self.ready.page}
        probes = Probes(address, pages, self.owner)
        stack.callback(probes.close)
        probes.listen()
        return probes

    def _remarks(self) -> str:
        counts = self.leases.counts().items()
        lines = (f"{count} of network {network!r}\n" for network, count in counts)
        return "".join(f"addresses that IPAM has not released: {line}" for line in lines)

    def _serve_metrics(self, stack: ExitStack) -> Served | None:
        """Serve metrics, and probes beside them, if configured."""
        address = self.settings.metrics_address
        if address is None:
            return None
        pages = {
            "/metrics": self.metrics.page,
            "/healthz": lambda: verdict(self.pulse.fault()),
            "/readyz": self.ready.page,
        }
        served = Served(address, pages, self.owner)
        stack.callback(served.close)
        served.listen()
        return served

    def _do_after_others(self, subject: Subject, work: Work) -> bool:
        if self.is_stopping:
            return False
        return self.turns.take(partial(self.turns.after_others, subject.attachment.key, work))

    def _take_requests(self, listening: socket.socket) -> None:
        """Serve one request after the other: a worker's loop until the agent stops."""
        while not self.is_stopping:
            try:
                with self._door:
                    connection, _ = listening.accept()
            except OSError as error:
                if not self.is_stopping:
                    log.event(logging.ERROR, f"cannot accept a request: {error.strerror}")
                    time.sleep(_BREATH_S)
                continue
            self.turns.do(partial(self._calls.serve, connection))
            with suppress(Empty):  # of calls that waited, each worker takes those it made room for
                while True:
                    self.turns.do(self._next.get_nowait())

    def replay_some(self) -> None:
        """Start replays of the oldest queued DELs; the last to end triggers the next batch."""
        if self._replaying:
            return
        due = self._backoff.due(self.queue.waiting())
        batch = due[: self.settings.share]
        self._replaying.update(batch)
        for key in batch:
            work = partial(self.turns.after_others, key, partial(self._replay, key))
            if not self.turns.take(work):
                self._finish_replay(key)

    def _await_queue(self, pod: PodRef) -> None:
        """Wait, for 30 s at most, while a DEL of a pod of this name was queued before the start."""
        keys = [key for key, of in self._queued_before.items() if pod.name and of[:2] == pod[:2]]
        while any(map(self.queue.has, keys)) and not self.is_stopping:
            if time.monotonic() > self._catches_up_until:
                return
            time.sleep(_BREATH_S)

    def _replay(self, key: str) -> None:
        try:
            # IPAM DEL runs later: a hanging one must not delay the DELs of other networks
            keeper = self.leases.keeper(key, asks_first=False)
            host = replace(self.host, lock_timeout_s=_LOCK_S)
            fault = "" if self.is_stopping else self.queue.replay(key, host, keeper)
            if fault:
                log.event(logging.ERROR, f"a queued DEL must wait: {fault}", queued=key)
        finally:
            self._finish_replay(key)

    def _finish_replay(self, key: str) -> None:
        if self.queue.has(key):  # the same DEL, or another queued meanwhile
            self._backoff.failed(key)
        self._replaying.discard(key)
        if not self._replaying:
            self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"\0")

    def _say_alive(self) -> None:
        """Notify systemd's watchdog if all loops turn; otherwise it restarts the agent."""
        if self._watchdog_s and not self.pulse.fault():
            notify("WATCHDOG=1")

    def _pause_s(self) -> float:
        # the last of these replays wakes this thread
        replays_s = None if self._replaying else self._backoff.pause_s()
        waits_s = (self.places.pause_s(), self.lanes.pause_s())
        pauses = (_BEAT_S, self._watchdog_s, replays_s, *waits_s)
        return min(pause_s for pause_s in pauses if pause_s is not None)


def _allow_open_files() -> None:
    """Raise the soft limit of open files: each waiting call has two, and a container's is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))


@contextmanager
def _alone(run: Path, owner: int) -> Iterator[None]:
    """Hold the lock that allows one agent per node, in a folder that only `owner` can access."""
    ownfiles.make_folder(run, owner)
    busy = MachineError(f"cannot run an agent in {str(run)!r}: another one runs")
    with ownfiles.locked(run / "agent.lock", 0, busy):
        yield


@contextmanager
def _listening(path: Path, owner: int, waiting: int) -> Iterator[socket.socket]:
    """Listen at `path`; `_alone` makes sure that no other agent does."""
    try:
        listening = folders.listen(path, owner, waiting)
    except OSError as error:
        raise MachineError(f"cannot listen at {str(path)!r}: {error.strerror or error}") from error
    with listening:
        yield listening


def _close(listening: socket.socket, path: Path) -> None:
    """Stop accepting requests; wake the workers, and close the connections in the backlog."""
    path.unlink(missing_ok=True)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@contextmanager
def _signals(wake_socket: socket.socket, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` when SIGTERM or SIGINT arrives, and write to a socket, which may be full."""
    signal.set_wakeup_fd(wake_socket.fileno(), warn_on_full_buffer=False)
    before = {number: signal.signal(number, lambda *_: stop()) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)


def _warm_up() -> None:
    """Import what dispatch would import at its first request, and exempt it from collection.

    Threads share two malloc arenas: with one each, every arena would keep its peak size.
    """
    libc.limit_arenas(2)
    for name in ("add", "check", "delete", "gc", "status"):
        importlib.import_module(f"sriovbond.commands.{name}")
    gc.collect()
    gc.freeze()
