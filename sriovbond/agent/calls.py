"""Serves one call: reads it, queues it behind its attachment and its network's IPAM, answers."""

import logging
import os
import socket
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from deviceinfo import UNKNOWN_POD, PodRef
from sriovbond import cluster, dispatch, ipam, log, records
from sriovbond.agent import queue
from sriovbond.agent.lanes import Entry, Lanes, Origin, Waiting
from sriovbond.agent.leases import Leases
from sriovbond.agent.queue import Queue
from sriovbond.agent.report.metrics import Metrics
from sriovbond.agent.settings import Settings
from sriovbond.agent.turns import Turns
from sriovbond.cni.attachment import Attachment
from sriovbond.cni.environment import parse_args
from sriovbond.cni.network import read_network
from sriovbond.cni.request import Caller
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError
from sriovbond.dispatch import Answer
from sriovbond.errors import TryLaterError, UnavailableError
from sriovbond.ipam import NetworkIpam
from sriovbond.shim import channel, wire
from sriovbond.shim.channel import Received
from sriovbond.shim.wire import FrameError, Request
from sriovbond.subject import pod_of

DEL_WAITS_S: Final = 30.0
"""How long a DEL waits for IPAM; then it runs without, and the lease is released later."""
_ATTACHMENT: Final = frozenset({Command.ADD, Command.CHECK, Command.DEL})


@dataclass(frozen=True, slots=True)
class Call:
    """A call as read, with the resources that stay open until its answer.

    `pod` and `network` are as far as the runtime names them, `ipam` is the IPAM that it asks. They
    are read once: their text may be long, and each bound that the call meets goes by them.
    """

    connection: socket.socket
    received: Received
    opened: ExitStack
    came_at: float
    pod: PodRef
    network: str
    ipam: NetworkIpam | None

    @classmethod
    def of(
        cls, connection: socket.socket, received: Received, opened: ExitStack, came_at: float
    ) -> "Call":
        """Read whose the call is."""
        config = _read_config(received.request.stdin)
        return cls(
            connection,
            received,
            opened,
            came_at,
            pod=_read_pod(received.request.environment.get("CNI_ARGS", "")),
            network=ipam.name_of(config),
            ipam=ipam.of_network(config) if ipam.is_asked_for(config) else None,
        )

    @property
    def command(self) -> str:
        """The CNI command, unvalidated."""
        return self.received.request.environment.get("CNI_COMMAND", "")

    @property
    def attachment(self) -> Attachment:
        """The attachment of the call, unchecked."""
        return Attachment.of(self.received.request.environment)

    @property
    def caller(self) -> Caller:
        """The waiting client; its knowledge of the node is as old as its process."""
        began_at = channel.peer_began_at(self.connection)
        return Caller(
            min(self.came_at, began_at or self.came_at),
            partial(channel.has_gone, self.connection),
        )

    def origin(self, network: Hashable) -> Origin:
        """Return the origin of the call, for the bounds of this network."""
        return Origin(self.pod.namespace, network)

    def hang_up(self) -> None:
        """Close without an answer: the shim queues a DEL and answers the others with error 11."""
        with self.opened:
            self.connection.close()


@dataclass(frozen=True, slots=True)
class Calls:
    """Serves calls in the worker threads; one that waits for its place or IPAM occupies none.

    A DEL needs no place: the workers that are left over by the others serve it. `await_queue` waits
    for DELs of an earlier pod of this name, queued before the agent started, for a bounded time.
    """

    settings: Settings
    owner: int
    queue: Queue
    turns: Turns
    places: Lanes
    lanes: Lanes
    leases: Leases
    metrics: Metrics
    is_stopping: Callable[[], bool]
    wake: Callable[[], object]
    await_queue: Callable[[PodRef], object]

    def serve(self, connection: socket.socket) -> None:
        """Read a call, and answer it in its turn."""
        call = self._read(connection)
        if call is None:
            return
        if call.command == Command.DEL:
            self._enter_lane(call)
            return
        work = partial(self._serve_in_place, call)
        give_up = partial(self._turn_away, call, f"no worker was free in {wire.DEADLINE_S} s")
        until = time.monotonic() + wire.DEADLINE_S  # then its caller has gone
        waiting = Waiting(work, give_up, call.hang_up, until, call.received.request.size)
        entry = self.places.enter(call.origin(call.network), waiting)
        if entry is Entry.ENTERED:
            work()
        elif entry is Entry.FULL:
            self._turn_away(call, f"too many calls wait{_of(call.network)}")
        else:
            self.wake()

    def _serve_in_place(self, call: Call) -> None:
        try:
            if channel.has_gone(call.connection):
                self._take_turn(call, None)  # which says so, and waits for no IPAM
            else:
                if call.command == Command.ADD:
                    self.await_queue(call.pod)
                self._enter_lane(call)
        finally:
            self.places.leave(call.origin(call.network))

    def _enter_lane(self, call: Call) -> None:
        """Answer, now or as soon as the call may run its network's IPAM."""
        network = call.ipam
        is_del = call.command == Command.DEL
        if network is None or (is_del and self.leases.has_hung(network)):
            self._take_turn(call, None)
            return
        entry = self.lanes.enter(call.origin(network), self._waiting(call, network))
        if entry is Entry.ENTERED and is_del:
            # IPAM that hangs must not hold the workers that only DELs have
            self.turns.resume(partial(self._take_turn, call, network))
        elif entry is Entry.ENTERED:
            self._take_turn(call, network)
        elif entry is Entry.FULL:
            self._go_without(call, f"too many calls wait for IPAM{_of(network.name)}")
        else:
            self.wake()

    def _read(self, connection: socket.socket) -> Call | None:
        uid = channel.peer_uid(connection)
        if uid != self.owner:
            log.event(logging.ERROR, f"a request of user {uid} is refused")
            connection.close()
            return None
        opened = ExitStack()
        try:
            received = opened.enter_context(
                channel.received(connection, self.settings.read_timeout_s)
            )
        except (FrameError, OSError) as error:
            connection.close()
            log.event(logging.ERROR, f"cannot read a request: {error}")
            return None
        return Call.of(connection, received, opened, time.time())

    def _waiting(self, call: Call, network: NetworkIpam) -> Waiting:
        wait_s = self.settings.ipam_wait_s
        if call.command == Command.DEL:
            wait_s = min(wait_s, DEL_WAITS_S)
        why = f"other calls{_of(network.name)}, held IPAM for {wait_s:g} s"
        return Waiting(
            go_on=partial(self._take_turn, call, network),
            give_up=partial(self._go_without, call, why),
            hang_up=call.hang_up,
            until=time.monotonic() + wait_s,
            size=call.received.request.size,
        )

    def _go_without(self, call: Call, why: str) -> None:
        """Run a DEL without IPAM, whose lease is released later; answer others with error 11."""
        if call.command == Command.DEL:
            self._take_turn(call, None)
        else:
            self._turn_away(call, why)

    def _take_turn(self, call: Call, network: NetworkIpam | None) -> None:
        """Answer after earlier calls of the attachment; leave the network's lane at the end."""
        work = partial(self._answer_in_lane, call, network)
        if call.command not in _ATTACHMENT:
            work()
            return
        if not self.turns.after_others(call.attachment.key, work, self.settings.waiting):
            self._turn_away(call, "too many requests wait on this node")
            if network is not None:
                self.lanes.leave(call.origin(network))

    def _turn_away(self, call: Call, why: str) -> None:
        """Answer with error 11; hang up on a DEL, which the shim then queues."""
        if call.command == Command.DEL:
            call.hang_up()
            return
        log.event(logging.WARNING, f"a request is refused: {why}")
        with suppress(OSError), call.connection, call.opened:
            answer = _busy(why, call.command)
            if answer.failure:
                self.metrics.count_error(call.command, answer.failure)
            self._send(call, answer)

    def _answer_in_lane(self, call: Call, network: NetworkIpam | None) -> None:
        try:
            self._answer(call, network)
        finally:
            if network is not None:
                self.lanes.leave(call.origin(network))

    def _answer(self, call: Call, network: NetworkIpam | None) -> None:
        with call.connection:
            with call.opened:  # close the pod's descriptors before the answer is sent
                if self.is_stopping():
                    return  # as with `hang_up`
                if call.command != Command.DEL and channel.has_gone(call.connection):
                    # the DEL of this ADD may already be done, and a GC's list is outdated by now
                    text = f"{call.command} is not begun: its caller has gone"
                    log.event(logging.WARNING, text)
                    return
                started = time.monotonic()
                with log.timed() as steps:
                    answer = self._find_answer(call, network)
                took_s = time.monotonic() - started
            try:
                self._send(call, answer)
            except OSError as error:
                log.event(logging.WARNING, f"the answer could not be sent: {error}")
        # sent first, so that the pod does not wait for the metrics
        self.metrics.count_call(call.command, took_s, steps, answer.failure)

    def _send(self, call: Call, answer: Answer) -> None:
        stdout = answer.stdout.encode("utf-8", "surrogateescape")
        channel.send_answer(call.connection, stdout, answer.status, self.settings.read_timeout_s)

    def _find_answer(self, call: Call, network: NetworkIpam | None) -> Answer:
        request, host = call.received.request, self.settings.host
        command, environment = call.command, request.environment
        why_not = self._why_not(call, network)
        if why_not:
            return _busy(why_not, command)
        path = environment.get("CNI_NETNS", "")
        if path and call.received.netns is None and os.path.exists(path):  # noqa: PTH110 - raises nothing
            if command != Command.DEL:
                why = f"only the agent finds {path!r}: both must see the same files"
                return _busy(why, command)
            environment = queue.without_unproven_netns(environment, host)
        agency = dispatch.Agency(
            call.received.netns,
            call.caller if command == Command.GC else None,
            self.leases.keeper(call.attachment.key, asks_first=network is not None),
        )
        asks = cluster.asks(host) if command == Command.ADD else ()
        answer = dispatch.answer(environment, request.stdin, host, asks, agency)
        self.leases.forget_if_gone(call.attachment.key)
        cause = answer.failure.cause if answer.failure else None
        if network is not None and isinstance(cause, ipam.IpamHungError):
            self.leases.note_hung(network)
        elif network is not None and command != Command.DEL and not answer.failure:
            self.leases.try_now(network)
        if command != Command.DEL or not isinstance(cause, records.UnreadableRecordError):
            return answer
        # without a record of its own, a replayed DEL would not delete the bond
        is_own = cause.key == call.attachment.key
        return self._keep(request, cause.message) if is_own else answer

    def _keep(self, request: Request, why: str) -> Answer:
        """Queue a DEL whose record cannot be read now, and answer it as done."""
        fault = self.queue.keep(request)
        if fault:
            return _busy(f"{why}; nor can the DEL be kept: {fault}")
        log.event(logging.ERROR, f"a DEL is kept for later: {why}")
        return Answer("", 0)

    def _why_not(self, call: Call, network: NetworkIpam | None) -> str:
        """Return which unfinished release an ADD, or STATUS of one, must wait for, or ""."""
        if call.command == Command.ADD:
            key = call.attachment.key
            keeper = self.leases.keeper(key, asks_first=False)
            pending = self.queue.replay(key, self.settings.host, keeper)
            if pending:
                return f"a DEL of this attachment is not done yet: {pending}"
        if not self.leases or call.command not in {Command.ADD, Command.STATUS}:
            return ""
        if network is not None:
            full = self.leases.why_no_room(network, call.pod.namespace)
            if full:
                return full
        if call.command == Command.ADD:
            pending = self.leases.settle(network, call.pod, call.attachment.key)
            if pending:
                return (
                    f"the addresses of an earlier pod of this name are not released yet: {pending}"
                )
        return ""


def _read_config(stdin: bytes) -> Mapping[str, object]:
    try:
        return read_network(stdin).config
    except CniError:
        return {}


def _read_pod(args: str) -> PodRef:
    with suppress(CniError):
        return pod_of(parse_args(args))
    return UNKNOWN_POD


def _of(network: str) -> str:
    """Return the text of the three bounds, any of which may have been met."""
    return f", of network {network!r}, of its namespace or of all"


def _busy(why: str, command: str = "") -> Answer:
    kind = UnavailableError if command == Command.STATUS else TryLaterError
    return dispatch.answer_error(kind(f"cannot serve this now: {why}; try again later"))
