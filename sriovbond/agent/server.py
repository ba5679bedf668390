"""The agent's life: take its socket, answer what comes, make up for queued DELs, stop in order."""

import ctypes
import fcntl
import gc
import importlib
import json
import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Final

from sriovbond import aside, cluster, dispatch, health, log, records
from sriovbond.agent import channel, folders, queue, series, wire
from sriovbond.agent.backoff import Backoff
from sriovbond.agent.channel import Received
from sriovbond.agent.inotify import Folder
from sriovbond.agent.metrics import Metrics
from sriovbond.agent.notify import notify, watchdog_s
from sriovbond.agent.pages import serve as serve_pages
from sriovbond.agent.pages import verdict
from sriovbond.agent.pulse import Pulse
from sriovbond.agent.queue import Queue
from sriovbond.agent.settings import Settings
from sriovbond.agent.tell import Sink, Teller
from sriovbond.agent.turns import Door, Turns, Work
from sriovbond.agent.watch import Hands, Watch
from sriovbond.agent.wire import FrameError
from sriovbond.agent.writer import Writer
from sriovbond.bond.happenings import Subject
from sriovbond.cni.versions import CURRENT_VERSION, Command
from sriovbond.cni.wire import CniError, ErrorCode, error_json
from sriovbond.errors import MachineError

_BEAT_S: Final = 10.0
_BREATH_S: Final = 0.2
_LATE_S: Final = 60.0
_QUEUE, _WATCH = "the loop of the queue", "the watch"
_M_ARENA_MAX: Final = -8  # malloc.h of glibc
_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_ATTACHMENT: Final = frozenset({Command.ADD, Command.CHECK, Command.DEL})


def serve(
    settings: Settings,
    owner: int = 0,
    sinks: Sequence[Sink] = (),
    events_lost: Callable[[], int] = lambda: 0,
) -> bool:
    """Serve until SIGTERM or SIGINT; tell whether all that ran then has ended in time.

    Raises MachineError where there can be no agent. `owner` is the user whose requests
    are taken, and whose the folders must be; `sinks` are told what happens to bonds, beside the
    log and the metrics, and `events_lost` counts what they had to drop.
    """
    with log.logged_to(None, settings.host.logs), ExitStack() as held:
        writer = Writer(sys.stderr.fileno())
        held.enter_context(log.written_by(writer))
        held.enter_context(_alone(settings.run, owner))
        agent = _Agent(settings, owner, sinks, events_lost, lambda: writer.lost)
        agent.queue.make()
        listening = held.enter_context(_listening(settings.socket, owner, settings.waiting))
        has_ended = agent.run(listening, held)
        told = "the agent has stopped" if has_ended else "stopping while some requests still run"
        log.event(logging.INFO if has_ended else logging.ERROR, told)
        return has_ended


class _Agent:
    """One agent: its workers, its queue, its watch, and whether it is to stop.

    Workers take requests by themselves, as many as come at once; the kernel keeps those that must
    wait for one. This thread does what nobody asked for.
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
        self.turns = Turns(2 * settings.share, settings.waiting)
        self.is_stopping = False
        self._door: Final = Door()
        self._backoff: Final = Backoff(settings.retry_s, settings.retry_most_s)
        self._watchdog_s: Final = watchdog_s()
        self._heard, self._told = socket.socketpair()
        self._told.settimeout(0)
        self._replaying: set[str] = set()
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
        )
        self.tell = Teller(self.metrics.tell, *sinks)
        self.pulse = Pulse(_QUEUE, *([_WATCH] if settings.watch else []), limit_s=_LATE_S)

    def run(self, listening: socket.socket, held: ExitStack) -> bool:
        """Serve until a signal comes; then finish what runs, and tell whether it ended in time."""
        waiting = held.enter_context(selectors.DefaultSelector())
        folder = Folder(self.queue.folder)
        held.callback(folder.close)
        held.enter_context(_signals(self._told))
        _warm_up()
        for source in (folder, self._heard):
            waiting.register(source, selectors.EVENT_READ)
        self._show_pages(held)
        if self.settings.watch:
            beat = partial(self.pulse.beat, _WATCH)
            hands = Hands(
                tell=self.tell,
                overrun=self.metrics.overrun,
                beat=beat,
                is_leaving=lambda subject: self.queue.has(_turn_of(subject)),
                do_after_others=self._do_after_others,
            )
            self.watch.start(hands)
            held.callback(self.watch.stop)
        self.replay_some()
        for _ in range(self.settings.workers):
            take = partial(copy_context().run, self._take_requests, listening)
            threading.Thread(target=take, name="worker", daemon=True).start()
        notify("READY=1")
        log.event(logging.INFO, "the agent is ready", socket=str(self.settings.socket))
        while not self.is_stopping:
            self._say_alive()
            ready = [key.fileobj for key, _ in waiting.select(self._pause_s())]
            self.pulse.beat(_QUEUE)
            # a signal writes its number, a worker a 0
            if self._heard in ready and any(self._heard.recv(64)):
                self.is_stopping = True
            if folder in ready:
                folder.changed()  # the folder itself tells which files are there
            self.replay_some()
        notify("STOPPING=1")
        _close(listening, self.settings.socket)
        self._door.open()
        self.watch.stop()
        return self.turns.finish(self.settings.stop_timeout_s)

    def _show_pages(self, held: ExitStack) -> None:
        """Tell metrics and probes to who asks for them, where that is wanted."""
        address = self.settings.metrics_address
        if address:
            pages = {
                "/metrics": self.metrics.page,
                "/healthz": lambda: verdict(self.pulse.fault()),
                "/readyz": lambda: verdict("; ".join(health.reasons_against_add(self.host))),
            }
            served = serve_pages(address, pages, self.owner)
            if served:
                held.callback(served.close)

    def _do_after_others(self, subject: Subject, work: Work) -> bool:
        if self.is_stopping:
            return False
        return self.turns.take(partial(self.turns.after_others, _turn_of(subject), work))

    def _take_requests(self, listening: socket.socket) -> None:
        """Serve one request after the other: what a worker does until the agent stops."""
        while not self.is_stopping:
            try:
                with self._door:
                    connection, _ = listening.accept()
            except OSError as error:
                if not self.is_stopping:
                    log.event(logging.ERROR, f"cannot accept a request: {error.strerror}")
                    time.sleep(_BREATH_S)
                continue
            self.turns.do(partial(self._serve, connection))

    def replay_some(self) -> None:
        """Have the oldest DELs of the queue done; the last to end calls for the next ones."""
        if self._replaying:
            return
        due = self._backoff.due(self.queue.waiting())
        batch = due[: self.settings.share]
        self._replaying.update(batch)
        for key in batch:
            work = partial(self.turns.after_others, key, partial(self._replay, key))
            if not self.turns.take(work):
                self._ended(key)

    def _replay(self, key: str) -> None:
        try:
            fault = "" if self.is_stopping else self.queue.replay(key, self.host)
            if fault:
                log.event(logging.ERROR, f"a queued DEL must wait: {fault}", queued=key)
        finally:
            self._ended(key)

    def _ended(self, key: str) -> None:
        if self.queue.has(key):  # this one, or another that came meanwhile
            self._backoff.failed(key)
        self._replaying.discard(key)
        if not self._replaying:
            with suppress(BlockingIOError):
                self._told.send(b"\0")

    def _serve(self, connection: socket.socket) -> None:
        """Read a request, and answer it when its attachment's turn has come."""
        uid = channel.peer_uid(connection)
        if uid != self.owner:
            log.event(logging.ERROR, f"a request of user {uid} is not taken")
            connection.close()
            return
        opened = ExitStack()
        try:
            received = opened.enter_context(
                channel.received(connection, self.settings.read_timeout_s)
            )
        except (FrameError, OSError) as error:
            connection.close()
            log.event(logging.ERROR, f"cannot read a request: {error}")
            return
        work = partial(self._answer, connection, received, opened)
        environment = received.request.environment
        if environment.get("CNI_COMMAND") in _ATTACHMENT:
            key = queue.key_of(environment)
            if not self.turns.after_others(key, work, self.settings.waiting):
                self._turn_away(connection, opened)
        else:
            work()

    def _turn_away(self, connection: socket.socket, opened: ExitStack) -> None:
        log.event(logging.WARNING, "a request is not taken: too many wait")
        with suppress(OSError), connection, opened:
            stdout = _busy("too many requests wait on this node")
            self.metrics.called("", 0.0, {}, 1, stdout)
            channel.send_answer(connection, stdout, 1, self.settings.read_timeout_s)

    def _answer(self, connection: socket.socket, received: Received, opened: ExitStack) -> None:
        with connection:
            with opened:  # no descriptor of the pod's outlives the answer
                if self.is_stopping:
                    return  # the shim keeps a DEL, and has the runtime try the others again
                if _is_an_add(received) and channel.has_gone(connection):
                    # its DEL may have been before it, and then nobody would undo it
                    log.event(logging.WARNING, "an ADD is not begun: its caller has gone")
                    return
                started = time.monotonic()
                with log.timed() as steps:
                    stdout, status = self._answered(received)
                took_s = time.monotonic() - started
            try:
                channel.send_answer(connection, stdout, status, self.settings.read_timeout_s)
            except OSError as error:
                log.event(logging.WARNING, f"nobody took an answer: {error}")
        # the pod need not wait for this
        command = received.request.environment.get("CNI_COMMAND", "")
        self.metrics.called(command, took_s, steps, status, stdout)

    def _answered(self, received: Received) -> tuple[bytes, int]:
        request = received.request
        command = request.environment.get("CNI_COMMAND")
        path = request.environment.get("CNI_NETNS", "")
        if command == Command.ADD:
            left = self.queue.replay(queue.key_of(request.environment), self.host)
            if left:
                return _busy(f"a DEL of this attachment is not done yet: {left}"), 1
        environment = request.environment
        if path and received.netns is None and Path(path).exists():
            if command != Command.DEL:
                return _busy(f"only the agent finds {path!r}: both must see the same files"), 1
            environment = queue.without_unproven_netns(environment, self.host)
        answer = dispatch.answer(
            environment,
            request.stdin,
            self.host,
            cluster.asks(self.host) if command == Command.ADD else (),
            received.netns,
        )
        if command == Command.DEL and answer.status:
            kept = self._kept(request)
            if kept:
                return kept
        return answer.stdout.encode("utf-8", "surrogateescape"), answer.status

    def _kept(self, request: wire.Request) -> tuple[bytes, int] | None:
        """Keep a DEL whose record cannot be read now, and answer it; None for another's fault."""
        variables = request.environment
        container_id, ifname = variables.get("CNI_CONTAINERID", ""), variables.get("CNI_IFNAME", "")
        try:
            records.read(self.host, container_id, ifname)
        except records.UnreadableRecordError as error:
            fault = self.queue.keep(request)
            if fault:
                return _busy(f"{error.message}; nor can the DEL be kept: {fault}"), 1
            log.event(logging.ERROR, f"a DEL is kept for later: {error.message}")
            return b"", 0
        except MachineError:
            pass
        return None

    def _say_alive(self) -> None:
        """Have systemd know that all loops turn; where one hangs, it starts the agent anew."""
        if self._watchdog_s and not self.pulse.fault():
            notify("WATCHDOG=1")

    def _pause_s(self) -> float:
        # the last worker of these replays will wake us
        pauses = (_BEAT_S, self._watchdog_s, None if self._replaying else self._backoff.pause_s())
        return min(one for one in pauses if one is not None)


def _turn_of(subject: Subject) -> str:
    return wire.queue_name(subject.container_id, subject.ifname)


def _is_an_add(received: Received) -> bool:
    return received.request.environment.get("CNI_COMMAND") == Command.ADD


def _busy(why: str) -> bytes:
    error = CniError(ErrorCode.TRY_AGAIN_LATER, f"cannot serve this now: {why}; try again later")
    return (json.dumps(error_json(CURRENT_VERSION, error)) + "\n").encode()


@contextmanager
def _alone(run: Path, owner: int) -> Iterator[None]:
    """Hold the lock of the one agent of this node, in a folder that is the owner's alone."""
    folders.make_own(run, owner)
    try:
        lock = os.open(run / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise MachineError(f"cannot run an agent in {str(run)!r}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise MachineError(f"cannot run an agent in {str(run)!r}: another one runs") from error
    finally:
        os.close(lock)


@contextmanager
def _listening(path: Path, owner: int, waiting: int) -> Iterator[socket.socket]:
    """Listen at `path`; that no other agent does makes `_alone` sure."""
    try:
        listening = folders.listen(path, owner, waiting)
    except OSError as error:
        raise MachineError(f"cannot listen at {str(path)!r}: {error.strerror or error}") from error
    with listening:
        yield listening


def _close(listening: socket.socket, path: Path) -> None:
    """Take no more requests: the workers wake up, and who waits for one is hung up on."""
    path.unlink(missing_ok=True)
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@contextmanager
def _signals(told: socket.socket) -> Iterator[None]:
    """Have SIGTERM and SIGINT written into a socket."""
    signal.set_wakeup_fd(told.fileno())
    before = {number: signal.signal(number, lambda *_: None) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(-1)


def _warm_up() -> None:
    """Load now what dispatch would load at a first request, and keep garbage collection off it.

    Threads share two arenas of malloc: one of its own for each keeps what it needed once for ever.
    """
    with suppress(AttributeError):  # musl has one arena, and no mallopt
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)
    for name in ("add", "check", "delete", "gc", "status"):
        importlib.import_module(f"sriovbond.commands.{name}")
    gc.collect()
    gc.freeze()
