"""The process that holds an interface's lease: answers servers, follows the carrier, renews."""

import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Final

from sriovbond import log
from sriovbond.dhcp import files, holding, resolving, wire
from sriovbond.dhcp.files import ClientStatus, LinkBefore
from sriovbond.dhcp.holding import LeasedRoute
from sriovbond.dhcp.lease import DhcpLease, Moment
from sriovbond.dhcp.machine import Action, Bind, Identity, Machine, Send
from sriovbond.dhcp.wire import DhcpSocket
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import links, netns, secondaries
from sriovbond.kernel.messages import IFLA_ADDRESS, IFLA_MTU, LinkMessage
from sriovbond.kernel.netlink import Netlink

_LOOK_S: Final = 1.0
"""How often the link is read: its carrier, its MAC, whether it is still the same one."""
_SILENT_S: Final = 86400.0
_MOST_WARNED: Final = 128
_MAC_BYTES: Final = 6
_MOST_HOSTNAME: Final = 253
_NO_NAMES: Final = frozenset({"", "localhost", "(none)"})


class NoWishError(MachineError):
    """No document asks for DHCP on an interface."""


def run(host: Host, name: str) -> None:
    """Hold the interface's lease until SIGTERM; the address stays then, until it ends.

    Raises NoWishError, MalformedFileError, MachineError where another client of ours runs on it.
    """
    with files.running(host, name) as lock_fd, netns.own() as own, _signalled() as stop:
        _sign(lock_fd)
        client = DhcpClient(host, name, own.netlink)
        with log.logged_to(None, host.logs, ifname=name):
            log.event(logging.INFO, "DHCP begins")
            with ExitStack() as stack:
                client.work(stop, stack)


class DhcpClient:
    """A client at work on one interface."""

    def __init__(self, host: Host, name: str, netlink: Netlink) -> None:
        found = files.read(host, name)
        if found is None:
            raise NoWishError(f"cannot run DHCP on {name}: no document asks for it")
        self._host = host
        self._name = name
        self._netlink = netlink
        self._wish: DhcpWish = found.wish
        now = self._moment()
        lease = found.lease.of_boot(now.boot, now.now_s, now.wall_s) if found.lease else None
        former = lease.address if lease else found.wish.former
        identity = Identity(bytes.fromhex(found.wish.client_id), _hostname(found.wish), former)
        self._machine = Machine(identity, bytes(_MAC_BYTES), lease)
        self._wire: DhcpSocket | None = None
        self._has_carrier = False
        self._is_holding = False
        self._note = ""
        self._warned: dict[str, float] = {}
        self._undone: Bind | None = None
        self._refused: dict[LeasedRoute, str] = {}
        self._status: ClientStatus | None = None
        self._before = files.read_before(host, name)
        if self._before and not found.wish.takes_mtu:
            self._before = replace(self._before, leased_mtu=0)
        self._is_deaf = False

    def work(self, stop: socket.socket, stack: ExitStack) -> None:
        """Go on until `stop` is readable; sockets are closed with the stack."""
        readable: list[int] = []
        while stop.fileno() not in readable:
            is_done = self._has_done(partial(self._turn, readable, stack))
            self._report()
            readable = self._wait(stop, with_wires=is_done)

    def _turn(self, readable: Sequence[int], stack: ExitStack) -> None:
        """Take what has come, then do what is due. Raises KernelError, OSError."""
        link = links.read(self._netlink, self._name)
        wire = self._wire if link and self._wire and self._wire.index == link.index else None
        if wire and link and wire.fileno() in readable:
            self._hear(wire, link)
        if wire and link and wire.events.fileno() in readable:
            self._notice(wire, link)
        self._heed(link, stack)
        if self._undone and link:
            self._carry_out([self._undone], link)

    def _heed(self, link: LinkMessage | None, stack: ExitStack) -> None:
        """Do what the link's state, and the time, ask for."""
        if link is None or not _has_mac(link):
            self._has_carrier = False
            self._close(stack)
            return
        self._machine.mac = link.attributes[IFLA_ADDRESS]
        is_other = self._wire is None or self._wire.index != link.index
        if is_other or (self._is_deaf and link.is_up):
            self._open(link, stack)
        had_carrier, self._has_carrier = self._has_carrier, link.is_up and link.has_carrier
        moment = self._moment()
        if self._has_carrier and not had_carrier:
            self._carry_out(self._machine.begin(moment), link)
        elif self._has_carrier or self._has_ended(moment):
            self._carry_out(self._machine.wake(moment), link)

    def _has_ended(self, moment: Moment) -> bool:
        lease = self._machine.lease
        return lease is not None and lease.left_s(moment.now_s) <= 0

    def _notice(self, wire: DhcpSocket, link: LinkMessage) -> None:
        """Have the next look begin anew where the link was down, or has lost the address."""
        lease = self._machine.lease if self._is_holding else None
        if not wire.events.take() or lease is None:
            return
        now = links.read(self._netlink, self._name)
        was_down = now is None or not (now.is_up and now.has_carrier)
        has_lost = not holding.is_whole(self._netlink, link, self._wish, lease, self._refused)
        if was_down or has_lost:
            self._has_carrier = False

    def _hear(self, wire: DhcpSocket, link: LinkMessage) -> None:
        try:
            for message in wire.receive():
                self._carry_out(self._machine.hear(message, self._moment()), link)
            wire.drain()
        except OSError:  # it went down meanwhile; one that was elsewhere, too, is heard no more
            self._is_deaf = True

    def _carry_out(self, actions: Sequence[Action], link: LinkMessage) -> None:
        for action in actions:
            self._has_done(partial(self._do, action, link))

    def _has_done(self, part: Callable[[], object]) -> bool:
        """Do a part, and return whether that succeeded: a failure is no reason to omit others."""
        try:
            part()
        except SriovbondError as error:
            self._warn(error.message)
        except OSError as error:
            self._warn(str(error))
        else:
            return True
        return False

    def _do(self, action: Action, link: LinkMessage) -> None:
        if isinstance(action, Send):
            if self._wire:
                self._wire.send(action.message, action.to)
        elif isinstance(action, Bind):
            self._bind(action, link)
        else:
            self._unbind(action.why, link)

    def _bind(self, bind: Bind, link: LinkMessage) -> None:
        """Use the lease: on disk first, so that the next process knows what is on the link.

        A disk that does not take it ends no lease: it is written at a later look.
        Raises KernelError.
        """
        lease, self._undone = bind.lease, bind
        is_new = not self._is_holding
        for text in lease.malformed:
            self._warn(f"ignored of {lease.server}: {text}")
        is_written = self._has_done(partial(files.write_lease, self._host, self._name, lease))
        left_s = int(lease.left_s(self._moment().now_s))
        holding.put_address(self._netlink, link, self._wish, lease, left_s)
        self._is_holding = True
        how = "" if bind.is_confirmed else "; no server has confirmed it yet"
        self._note = f"{lease.text} from {lease.server} for {left_s} s{how}"
        if is_new:
            log.event(logging.INFO, "leased", address=lease.text, server=lease.server, s=left_s)
        for part in (
            self._keep,
            self._take_address,
            self._put_routes,
            self._take_mtu,
            self._refresh,
        ):
            self._has_done(partial(part, lease, link))
        self._undone = None if is_written else bind

    def _take_address(self, lease: DhcpLease, _: LinkMessage) -> None:
        if self._wire:
            self._wire.take_address(lease.address)

    def _put_routes(self, lease: DhcpLease, link: LinkMessage) -> None:
        self._refused = holding.put_routes(self._netlink, link, self._wish, lease)
        for text in self._refused.values():
            self._warn(text)
        self._note = "; ".join([self._note, *self._refused.values()])

    def _keep(self, _: DhcpLease, link: LinkMessage) -> None:
        """Keep others' addresses on the link when that of the lease ends, and know what it had."""
        if self._before is None or self._before.index != link.index:
            is_promoting = secondaries.are_kept(link)
            self._know(LinkBefore(link.index, link.number(IFLA_MTU), is_promoting))
        if not secondaries.are_kept(link):
            secondaries.set_kept(self._netlink, link, is_on=True)

    def _know(self, before: LinkBefore) -> None:
        if before != self._before:
            self._before = before
            files.write_before(self._host, self._name, before)

    def _take_mtu(self, lease: DhcpLease, link: LinkMessage) -> None:
        """Use the lease's MTU, or without one what the link had before a lease gave it one."""
        before = self._before
        if not self._wish.takes_mtu or before is None:
            return
        if lease.mtu and holding.take_mtu(self._netlink, link, lease.mtu):
            self._know(replace(before, leased_mtu=lease.mtu))
        elif not lease.mtu and before.leased_mtu:
            holding.restore(self._netlink, link, replace(before, is_promoting=True))
            self._know(replace(before, leased_mtu=0))

    def _restore(self, link: LinkMessage) -> None:
        holding.restore(self._netlink, link, self._before)
        self._before = None
        files.remove_before(self._host, self._name)

    def _refresh(self, *_: object) -> None:
        if why := resolving.refresh(self._host):
            self._warn(why)

    def _unbind(self, why: str, link: LinkMessage) -> None:
        """End the use of the lease: off the link first, so that nothing of it is left there."""
        self._is_holding, self._undone = False, None
        self._note = f"the lease is lost: {why}"
        log.event(logging.WARNING, self._note)
        for part in (
            partial(holding.take_off, self._netlink, link),
            partial(self._restore, link),
            partial(files.remove_lease, self._host, self._name),
            partial(self._wire.take_address, "") if self._wire else list,
            self._refresh,
        ):
            self._has_done(part)

    def _open(self, link: LinkMessage, stack: ExitStack) -> None:
        self._close(stack)
        try:
            self._wire = stack.enter_context(wire.opened(self._name, link.index))
        except OSError as error:
            self._warn(f"cannot open {self._name}: {error.strerror}")
        else:
            self._is_deaf = self._has_carrier = False  # what was known is of the one before

    def _close(self, stack: ExitStack) -> None:
        """Close what was open of an interface that is gone, or another one by now."""
        self._wire = None
        stack.pop_all().close()

    def _wait(self, stop: socket.socket, *, with_wires: bool) -> list[int]:
        """Wait for a message, for what is due, or for the next look at the link.

        Without wires only for the latter: what is there cannot be read now.
        """
        due_s = self._machine.wake_s - self._moment().now_s if self._has_carrier else _LOOK_S
        wires = [self._wire.fileno(), self._wire.events.fileno()] if self._wire else []
        if not with_wires:
            wires, due_s = [], _LOOK_S
        readers = [stop.fileno(), *wires]
        return select.select(readers, [], [], max(0.0, min(_LOOK_S, due_s)))[0]

    def _moment(self) -> Moment:
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        return Moment(now_s, self._host.boot_id(), time.time())

    def _warn(self, text: str) -> None:
        """Log a text, the same one once a day; it is the status' word while there is no lease."""
        now_s = self._moment().now_s
        if now_s - self._warned.get(text, -_SILENT_S) >= _SILENT_S:
            log.event(logging.WARNING, text)
            self._warned.pop(text, None)
            self._warned[text] = now_s
        if len(self._warned) > _MOST_WARNED:
            del self._warned[next(iter(self._warned))]
        if not self._is_holding:
            self._note = text

    def _report(self) -> None:
        """Write how far it is, where that has changed."""
        counts, machine = self._machine.counts, self._machine
        status = ClientStatus(
            stage=str(machine.stage),
            is_holding=self._is_holding,
            is_confirmed=machine.is_confirmed,
            has_carrier=self._has_carrier,
            sent=counts.sent,
            offers=counts.offers,
            refusals=counts.refusals,
            malformed=counts.malformed,
            note=self._note,
        )
        if status != self._status:
            with suppress(MachineError):  # a full disk ends no lease
                files.write_status(self._host, self._name, status)
            self._status = status


def _has_mac(link: LinkMessage) -> bool:
    return len(link.attributes.get(IFLA_ADDRESS, b"")) == _MAC_BYTES


def _hostname(wish: DhcpWish) -> str:
    """Return the name that a server is sent, empty for none."""
    if wish.dhcp_send_hostname is False:
        return ""
    name = wish.dhcp_custom_hostname or socket.gethostname()
    return "" if name in _NO_NAMES else name[:_MOST_HOSTNAME]


def _sign(lock_fd: int) -> None:
    """Write this process' id into its lock, for who stops it."""
    os.truncate(lock_fd, 0)
    os.pwrite(lock_fd, str(os.getpid()).encode(), 0)


@contextmanager
def _signalled() -> Iterator[socket.socket]:
    """Have a socket that is readable once this process is to end."""
    stop, pen = socket.socketpair()
    with stop, pen:
        for end in (stop, pen):
            end.settimeout(0)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(pen.fileno())
        yield stop
