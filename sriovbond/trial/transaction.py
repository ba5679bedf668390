"""The entrance: a document's change as a transaction, from the checkpoint to the commit."""

import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from sriovbond import hostname
from sriovbond.dhcp import resolving
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import carried, messages
from sriovbond.kernel.messages import (
    IFA_F_DADFAILED,
    IFA_F_TENTATIVE,
    IFA_FLAGS,
    AddressMessage,
)
from sriovbond.nodenet import difference, lasting, steps
from sriovbond.nodenet.acts import (
    AddRoute,
    AskLease,
    EndLease,
    Remove,
    RemoveRoute,
    SetHostName,
    SetResolver,
    Step,
)
from sriovbond.nodenet.document import read_state
from sriovbond.nodenet.joined import Joined, join
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.writer import to_json, to_yaml
from sriovbond.reshape import acting, resolver
from sriovbond.reshape.site import Site
from sriovbond.survey import apiserver, node
from sriovbond.trial import (
    addressed,
    clients,
    enactments,
    ending,
    footprints,
    formers,
    persisted,
    probes,
    store,
    unit,
    watchdog,
)
from sriovbond.trial.checkpoint import Checkpoint, NameOfHost, Phase, settle

_LOCK_S: Final = 60.0
_VERIFY_S: Final = 10.0
_PAUSE_S: Final = 0.2
_RESERVE_S: Final = 1.0
"""What probes leave of the time, for reverting the change before the watchdog does."""
_WITH_LEASES: Final = (AddRoute, RemoveRoute, Remove)
"""Steps that come when the leases are there: by them the node has its address, or loses one."""
_OF_FILES: Final = (SetResolver, SetHostName, AskLease, EndLease)
"""Steps that change what outlives a boot: what is noted of them has to be on the disk."""
_TO_COMMIT: Final = (Phase.WAITING, Phase.STUCK, Phase.KEPT)
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ChangeOutcome(StrEnum):
    """What came of a change that did not fail."""

    NOTHING_TO_DO = "nothing to do"
    COMMITTED = "committed"
    WAITING = "waiting"


class RevertedError(SriovbondError):
    """A change failed, and was reverted; the first fault is why."""


class InterruptedChangeError(SriovbondError):
    """A signal ended the change."""


def is_interrupted(error: SriovbondError) -> bool:
    """Return whether a signal is why a change failed: then no further one is to begin."""
    return isinstance(error, InterruptedChangeError) or isinstance(
        error.__cause__, InterruptedChangeError
    )


@dataclass(frozen=True, slots=True)
class Manner:
    """How a change is made: all within `timeout_s`; `say` reports what is done.

    `confirm` is asked at last, with the seconds that are left, whether the change is kept; where
    it `is_waiting` it is left for `commit` to keep. Under `name` the document is kept for the next
    boot, under none it is not. Another change may be at work for `lock_s` before. A server of DHCP
    has to answer; where `lease_s` is finite the change goes on without it after that, which is for
    all servers together.
    """

    timeout_s: float
    is_waiting: bool
    say: Callable[[str], None]
    name: str = ""
    confirm: Callable[[Joined, Callable[[], float]], bool] | None = None
    lock_s: float = _LOCK_S
    lease_s: float = inf


def apply(site: Site, host: Host, prepare: Callable[[], Joined], manner: Manner) -> ChangeOutcome:
    """Make a change: whole and verified, or not at all.

    `prepare` reads the node and the document, and refuses what cannot be; it is called when
    what an earlier process has left is reverted. Raises RevertedError, StuckError, TryLaterError.
    """
    with store.locked(host, manner.lock_s), _interruptible() as signalled:
        if ending.clear_the_way(site, host):
            manner.say("a change that was left in the middle is reverted")
        joined = _prepare(host, prepare, manner)
        planned = steps.plan(joined)
        if not planned:
            _keep(host, joined, manner)
            return ChangeOutcome.NOTHING_TO_DO
        _prepare_boot(host, manner)
        answering = probes.answering(site, probes.choose(joined.current, apiserver.find(host)))
        wish = lasting.document(joined)
        checkpoint = replace(
            _checkpoint(site, host, joined, planned),
            name=manner.name,
            document=to_yaml(wish) if manner.name else "",
        )
        change = _Change(site, host, checkpoint, manner.lease_s, signalled)
        armed = change.arm(manner.timeout_s)
        try:
            manner.say(f"{armed} reverts the change in {manner.timeout_s:g} s unless it is kept")
            enactments.note(host, checkpoint.name, enactments.PROGRESSING, checkpoint.document)
            change.act(planned, manner.say)
            change.await_addresses(wish, manner.say)
            change.verify(wish)
            change.probe(answering, manner.say)
            if manner.confirm and not manner.confirm(joined, change.left_s):
                raise InterruptedChangeError("the change was not kept")  # noqa: TRY301 - one way back
            return change.end(is_waiting=manner.is_waiting)
        except BaseException as error:
            if change.outcome:  # a signal that came after the end
                return change.outcome
            change.revert(error)
            raise


def commit(host: Host) -> None:
    """Keep the change that waits. Raises MachineError where there is none."""
    with store.locked(host, _LOCK_S):
        checkpoint = store.read(host)
        if checkpoint is None or checkpoint.phase not in _TO_COMMIT:
            raise MachineError("cannot commit: no change waits for it")
        if checkpoint.boot != host.boot_id():
            raise MachineError("cannot commit: the node has been booted since, the change is gone")
        ending.commit(host, checkpoint)


def rollback(site: Site, host: Host) -> None:
    """Revert the change that waits or was left. Raises MachineError where there is none."""
    with store.locked(host, _LOCK_S):
        checkpoint = store.read(host)
        if checkpoint is None:
            raise MachineError("cannot roll back: there is no change that could be reverted")
        ending.revert(site, host, checkpoint, why="it was rolled back")
        if checkpoint.phase is Phase.KEPT:
            raise MachineError("cannot roll back: the change is committed")


class _Change:
    """A change in progress, with its checkpoint as on disk; it has no outcome until it ends."""

    def __init__(
        self,
        site: Site,
        host: Host,
        checkpoint: Checkpoint,
        lease_s: float = inf,
        signalled: Sequence[int] = (),
    ) -> None:
        self._site = site
        self._signalled = signalled
        self._lease_s = lease_s
        self._host = host
        self._links = {row.label: row for row in read_state(checkpoint.before).interfaces or ()}
        self._checkpoint = checkpoint
        self.outcome: ChangeOutcome | None = None

    def left_s(self) -> float:
        """Return the seconds that are left of all."""
        return self._checkpoint.deadline_s - store.now_s()

    def arm(self, timeout_s: float) -> str:
        """Write the checkpoint, and arm the watchdog; nothing was touched where that fails.

        Return what the watchdog is, for a person.
        """
        deadline_s = store.now_s() + timeout_s
        self._write(replace(self._checkpoint, deadline_s=deadline_s))
        try:
            return watchdog.arm(self._host, self._checkpoint, self.left_s())
        except BaseException:
            store.remove(self._host)
            raise

    def act(self, planned: Sequence[Step], say: Callable[[str], None]) -> None:
        """Carry out the steps, each noted on disk before."""
        self._write(replace(self._checkpoint, phase=Phase.ACTING))
        number, site = 0, replace(self._site, deadline_s=time.monotonic() + self.left_s())
        asked: list[str] = []
        for step in planned:
            if isinstance(step, _WITH_LEASES):
                self._await_leases(asked, say)
            self._check()
            self._note(step)
            for line in step.lines:
                number += 1
                say(f"{number}. {line}")
            acting.carry_out(site, step)
            if isinstance(step, AskLease):
                asked.append(step.name)
        self._await_leases(asked, say)
        journal = settle(self._checkpoint.journal, formers.loads(self._site))
        self._write(replace(self._checkpoint, journal=journal))

    def await_addresses(self, wish: NetState, say: Callable[[str], None]) -> None:
        """Wait for the addresses that the document waits for. Raises MachineError."""
        left_s = self._left_to_wait_s
        addressed.await_addresses(wish, self._read, left_s, self._lease_s, say)

    def verify(self, wish: NetState) -> None:
        """Compare all of the document with the node as it is now. Raises MachineError.

        Waits while the kernel still asks whether another host has an address.
        """
        end = time.monotonic() + min(_VERIFY_S, max(0.0, self.left_s()))
        while True:
            rows = self._addresses()
            missing = [*self._missing(wish), *_duplicates(rows)]
            is_late = time.monotonic() >= end
            if is_late and missing:
                raise MachineError(f"the node differs from the document: {missing[0]}")
            if is_late or not (missing or any(_flags(row) & IFA_F_TENTATIVE for row in rows)):
                return
            time.sleep(_PAUSE_S)

    def probe(self, groups: frozenset[str], say: Callable[[str], None]) -> None:
        """Ask again what answered before, until it does. Raises MachineError."""
        servers = apiserver.find(self._host)
        missing = probes.missing(
            self._site,
            groups,
            lambda: probes.choose(self._read(), servers),
            self._left_to_wait_s,
            say,
        )
        if missing:
            raise MachineError("; ".join(missing))

    def revert(self, error: BaseException) -> None:
        """Revert what was begun, and say why. Raises RevertedError, StuckError."""
        with _uninterruptible():
            reason = _reason(error)
            try:
                ending.revert(self._site, self._host, self._checkpoint, why=reason)
            except SriovbondError as stuck:
                raise ending.StuckError(f"{reason}; {stuck.message}") from error
        raise RevertedError(f"{reason}; all is as it was before") from error

    def end(self, *, is_waiting: bool) -> ChangeOutcome:
        """Keep the change, or leave it to wait; in time, for the watchdog is about to revert it."""
        with _uninterruptible():
            self._check()
            if is_waiting:
                self._write(replace(self._checkpoint, phase=Phase.WAITING))
                self.outcome = ChangeOutcome.WAITING
            else:
                ending.commit(self._host, self._checkpoint)
                self.outcome = ChangeOutcome.COMMITTED
        return self.outcome

    def _await_leases(self, asked: list[str], say: Callable[[str], None]) -> None:
        """Wait for all leases at once; `asked` is empty then."""
        waiting, asked[:] = tuple(asked), []
        clients.await_leases(self._site, waiting, self._left_to_wait_s, self._lease_s, say)

    def _left_to_wait_s(self) -> float:
        return self.left_s() - _RESERVE_S

    def _note(self, step: Step) -> None:
        former = self._checkpoint.journal
        names = footprints.losing(step, self._links, former.made)
        present = formers.loads(self._site) if former.pending or names else {}
        if isinstance(step, AddRoute) and step.former and step.former.is_hidden:
            present = formers.with_own(self._site, present, step.former)
        journal = footprints.begin(former, step, present, names)
        if isinstance(step, SetResolver):
            content = resolver.planned(resolving.plain(self._site.host), step.resolver)
            journal = replace(journal, resolver=content.hex())
        if isinstance(step, SetHostName):
            journal = replace(journal, hostname=self._named_by(step))
        checkpoint = replace(self._checkpoint, journal=journal)
        if isinstance(step, _OF_FILES):
            self._write(checkpoint)
        else:
            store.note(self._host, checkpoint)
            self._checkpoint = checkpoint

    def _named_by(self, step: SetHostName) -> NameOfHost:
        """Return what the host is called by a step."""
        config, before = step.change.config, self._checkpoint.hostname
        file = before.file if before else None
        if config is not None:
            file = _hex(hostname.content(config))
        return NameOfHost(step.change.running or "", file)

    def _write(self, checkpoint: Checkpoint) -> None:
        store.write(self._host, checkpoint)
        self._checkpoint = checkpoint

    def _check(self) -> None:
        """Raise where the change is to end: also for a signal whose error something has ignored."""
        if self._signalled:
            raise InterruptedChangeError(_ended_by(self._signalled[0]))
        if self.left_s() <= 0:
            raise MachineError("the change took longer than its time; --timeout gives it more")

    def _read(self) -> NetState:
        return node.read(self._site.node, self._host)

    def _missing(self, wish: NetState) -> list[str]:
        return [line for step in steps.plan(join(wish, self._read())) for line in step.lines]

    def _addresses(self) -> list[AddressMessage]:
        """Return the addresses of the touched links with a carrier: DAD needs one."""
        links = map(self._site.find, self._checkpoint.journal.touched)
        indices = {link.index for link in links if link is not None and link.has_carrier}
        rows = carried.all_addresses(self._site.netlink)
        return [row for row in rows if row.index in indices]


def _duplicates(rows: Iterable[AddressMessage]) -> Iterator[str]:
    """Yield the IPv6 addresses that another host has."""
    for row in rows:
        if _flags(row) & IFA_F_DADFAILED:
            yield f"another host has the address {row.address}"


def _flags(row: AddressMessage) -> int:
    return messages.whole(row.attributes.get(IFA_FLAGS, b""))


def _checkpoint(site: Site, host: Host, joined: Joined, planned: Sequence[Step]) -> Checkpoint:
    links = {link.label: link for link in joined.current.interfaces or ()}
    names = [name for step in planned for name in footprints.carriers(step)]
    content = resolving.plain(site.host)
    return Checkpoint(
        id=uuid.uuid4().hex[:12],
        phase=Phase.ARMING,
        boot=host.boot_id(),
        namespace=site.node.identity,
        deadline_s=0.0,
        actor=store.this_process(),
        before=to_json(joined.current),
        back=to_json(difference.revert(joined)),
        formers=formers.read(site, footprints.closure(names, links)),
        resolver=_hex(content),
        hostname=_name_of_host(site) if _renames(planned) else None,
        clients=clients.read(host),
    )


def _renames(planned: Iterable[Step]) -> bool:
    return any(isinstance(step, SetHostName) for step in planned)


def _name_of_host(site: Site) -> NameOfHost:
    return NameOfHost(hostname.running(), _hex(hostname.read(site.root)))


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()


def _prepare_boot(host: Host, manner: Manner) -> None:
    """Install the unit before the change: a commit that a power loss interrupts is a boot's to end.

    Where it cannot be installed, the entrance reports that, after the change.
    """
    if manner.name:
        with suppress(MachineError):
            unit.install(host)


def _keep(host: Host, joined: Joined, manner: Manner) -> None:
    """Keep a document that was true already for the next boot, too."""
    if manner.name and not manner.is_waiting:
        text = to_yaml(lasting.document(joined))
        persisted.keep(host, manner.name, text)
        enactments.note(host, manner.name, enactments.CONFIGURED, text)


def _prepare(host: Host, prepare: Callable[[], Joined], manner: Manner) -> Joined:
    """Return what `prepare` does; what it refuses, by whatever error, is what came of it."""
    try:
        return prepare()
    except Exception as error:
        enactments.note(host, manner.name, enactments.failed(_reason(error)))
        raise


def _reason(error: BaseException) -> str:
    """Return why, in words."""
    text = error.message if isinstance(error, SriovbondError) else str(error)
    return text or type(error).__name__


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Turn signals that would end this process into an error, by which the change is reverted.

    Yields those that came.
    """
    signalled: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        signalled.append(number)
        raise InterruptedChangeError(_ended_by(number))

    with _handled(interrupt):
        yield signalled


def _ended_by(number: int) -> str:
    return f"{signal.Signals(number).name} ended it"


@contextmanager
def _uninterruptible() -> Iterator[None]:
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(handler: signal.Handlers | Callable[[int, object], None]) -> Iterator[None]:
    """Handle the signals so, but for those that are ignored, as by nohup.

    In a thread other than the first they are not ours.
    """
    former = {}
    heeded = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    with suppress(ValueError):
        former = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, before in former.items():
            signal.signal(number, before)
