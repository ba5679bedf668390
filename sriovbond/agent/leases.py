"""Unreleased IPAM leases: which exist, and when their release is tried again.

Each is a record without a plan, left by DEL, GC or the watch. Only this room runs IPAM DEL without
a waiting request: one call per network at a time, with growing pauses after failures.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Final

from deviceinfo import PodRef
from sriovbond import ipam, log, records, release
from sriovbond.agent.lanes import Lanes, Origin
from sriovbond.agent.settings import Settings
from sriovbond.backoff import lengthen
from sriovbond.commands import keeping
from sriovbond.errors import SriovbondError
from sriovbond.happenings.happening import Happening, HappeningKind
from sriovbond.ipam import IpamHungError, NetworkIpam
from sriovbond.records import Record
from sriovbond.release import Keeper
from sriovbond.subject import Subject

HANDS: Final = 2
_BUSY_S: Final = 1.0  # pause until a lane may be free
_SETTLED_S: Final = 5.0
_LOOK_S: Final = 300.0
_ROOMS: Final = 4
"""A namespace has as many leases kept as so many networks: it may have any number of networks."""
_GIVEN_UP_S: Final = 86_400.0
"""How long the release of a lease that no record proves is retried."""


@dataclass(slots=True)
class _Network:
    """The record keys of a network, in order, and when IPAM DEL may be tried for the first."""

    keys: deque[str] = field(default_factory=deque)
    until: float = 0.0
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Kept:
    """Whose an unreleased lease was, and the network whose IPAM has it.

    Not its record, which holds a configuration of any length.
    """

    subject: Subject
    network: NetworkIpam

    @property
    def key(self) -> str:
        """The name of its record."""
        return self.subject.attachment.key


class Leases:
    """The unreleased leases, thread-safe; `tell` is called when one is kept and when it ends."""

    def __init__(
        self, settings: Settings, lanes: Lanes, tell: Callable[[Happening], object]
    ) -> None:
        self._host: Final = settings.host
        self._first_s: Final = settings.retry_s
        self._most_s: Final = settings.retry_most_s
        self._room: Final = settings.waiting
        self._lanes: Final = lanes
        self._tell: Final = tell
        self._changed: Final = threading.Condition()
        self._kept: Final[dict[str, _Kept]] = {}
        self._earlier: Final[dict[str, _Kept]] = {}  # of an earlier boot, and not released yet
        self._reported: Final[set[str]] = set()
        self._given_back: Final[set[str]] = set()  # IPAM DEL is running for these
        self._networks: Final[dict[NetworkIpam, _Network]] = {}
        self._of_namespace: Final = Counter[str]()
        self._busy: Final[set[NetworkIpam]] = set()  # longer than a network may have leases
        self._hung_until: dict[NetworkIpam, float] = {}
        self._is_stopping = False

    def start(self) -> None:
        """Load the leases on disk, which ADDs of the same pods must wait for; start threads."""
        self._look()
        for work in (self._look_again, *[self._go_on] * HANDS):
            run = copy_context().run
            threading.Thread(target=run, args=(work,), name="leases", daemon=True).start()

    def stop(self) -> None:
        """Start no further IPAM calls; running ones end by themselves."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()

    def keeper(self, key: str, *, asks_first: bool) -> Keeper:
        """Return the Keeper for a call of the attachment; IPAM DEL never runs twice at once."""
        return Keeper(self.keep, self._takes, asks_first and key not in self._given_back)

    def has_hung(self, network: NetworkIpam) -> bool:
        """Return whether the network's IPAM did not end in time at its last call, a while ago.

        No DEL need find that out again: each would take a minute.
        """
        return self._hung_until.get(network, 0.0) > time.monotonic()

    def note_hung(self, network: NetworkIpam) -> None:
        """Record that the network's IPAM did not end in time, for as long as it is put off."""
        now = time.monotonic()
        with self._changed:
            leases = self._networks.get(network)
            wait_s = max(leases.wait_s if leases else 0.0, self._first_s)
            current = {name: until for name, until in self._hung_until.items() if until > now}
            self._hung_until = {**current, network: now + wait_s}

    def try_now(self, network: NetworkIpam) -> None:
        """Release the network's leases now: its IPAM has just answered another call."""
        with self._changed:
            self._hung_until.pop(network, None)
            leases = self._networks.get(network)
            if leases and leases.wait_s:
                leases.wait_s = leases.until = 0.0
                self._changed.notify_all()

    def why_no_room(self, network: NetworkIpam, namespace: str) -> str:
        """Return why no more leases of the network, or of the pods' namespace, are kept, or ""."""
        leases = self._networks.get(network)
        if leases and len(leases.keys) >= self._room:
            return f"IPAM has not taken {self._room} addresses of {network.name!r} back"
        most = _ROOMS * self._room
        if namespace and self._of_namespace[namespace] >= most:
            return f"IPAM has not taken {most} addresses of pods in {namespace!r} back"
        return ""

    def _takes(self, record: Record) -> bool:
        is_known = record.key in self._kept
        return is_known or not self.why_no_room(_ipam_of(record), record.pod.namespace)

    def counts(self) -> Mapping[str, int]:
        """Return the number of unreleased leases by network."""
        with self._changed:
            counts = Counter[str]()
            for network, leases in self._networks.items():
                counts[network.name] += len(leases.keys)
            return counts

    def keep(self, record: Record, fault: SriovbondError | None) -> None:
        """Keep a record; `fault` is why its IPAM DEL has just failed, None if not tried."""
        name = _ipam_of(record)
        with self._changed:
            if self._is_stopping or not record.ipam:
                return
            earlier = self._kept.get(record.key)
            if earlier and earlier.network != name:
                self._leave_line(earlier)
                earlier = None
            self._earlier.pop(record.key, None)
            network = self._networks.setdefault(name, _Network())
            if earlier is None:
                network.keys.append(record.key)
                self._of_namespace[record.pod.namespace] += 1
            self._kept[record.key] = _Kept(record.subject, name)
            if fault and network.until <= time.monotonic():
                self._put_off(network)
            self._changed.notify_all()
        if isinstance(fault, IpamHungError):
            self.note_hung(name)
        if fault:
            self._report_kept(record.subject, fault.message)

    def forget_if_gone(self, key: str) -> None:
        """Forget the record if another call has released it."""
        if key in self._kept and not records.exists(self._host, key):
            self._forget(key)

    def __len__(self) -> int:
        return len(self._kept) + len(self._earlier)

    def settle(self, network: NetworkIpam | None, pod: PodRef, key: str) -> str:
        """Release now the leases of an earlier pod of that name, or of `key`; return why it failed.

        Some IPAM plugins key their leases by the pod's name. The caller has a lane.
        """

        def list_concerned(leases: Mapping[str, _Kept] = self._kept) -> list[str]:
            return [kept.key for kept in leases.values() if _concerns(kept, network, pod, key)]

        def is_free() -> bool:
            return self._given_back.isdisjoint(list_concerned())

        with self._changed:
            earlier = list_concerned(self._earlier)
        try:
            for other in earlier:
                self._keep_earlier(other)
        except SriovbondError as error:
            return error.message
        with self._changed:
            if not self._changed.wait_for(is_free, _SETTLED_S):
                return "IPAM is being asked to release them"
            keys = list_concerned()
            self._given_back.update(keys)
        return self._give_back_in_turn(keys)

    def _give_back_in_turn(self, keys: list[str]) -> str:
        """Run IPAM DEL for the marked keys in order; stop at the first failure and return why."""
        while keys:
            fault = self._give_back_now(keys.pop(0))
            if fault:
                with self._changed:
                    self._given_back.difference_update(keys)
                    self._changed.notify_all()
                return fault.message
        return ""

    def _look_again(self) -> None:
        while not self._is_stopping:
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping, _LOOK_S)
            self._look()

    def _look(self) -> None:
        """Load the leases left on disk by an earlier agent or by thin mode."""
        try:
            for record in records.each(self._host, []):
                if record.plan is None and record.key not in self._kept:
                    self.keep(record, None)
                elif self._is_of_earlier_boot(record):
                    with self._changed:
                        self._earlier[record.key] = _Kept(record.subject, _ipam_of(record))
        except (SriovbondError, OSError) as error:
            log.event(logging.ERROR, str(error))

    def _is_of_earlier_boot(self, record: Record) -> bool:
        """Return whether only the lease of a bond is left, as its links went with their boot."""
        return bool(record.plan and record.ipam) and record.boot_id != self._host.boot_id()

    def _keep_earlier(self, key: str) -> None:
        """Keep a lease of an earlier boot, to which the watch has not come yet.

        Raises as `release` does.
        """
        with records.locked(self._host, key):
            record = records.read(self._host, key)
            if record and self._is_of_earlier_boot(record):
                keeper = Keeper(self.keep, self._takes, asks_first=False)
                outcome = release.release(self._host, record, keeper=keeper)
                outcome.finish()
                text = "it is of an earlier boot of this node: what was left of it is put back"
                self._say(HappeningKind.RELEASED, record.subject, text)
        with self._changed:
            self._earlier.pop(key, None)

    def _go_on(self) -> None:
        while (name := self._next()) is not None:
            self._ask(name)

    def _next(self) -> NetworkIpam | None:
        """Wait for a network whose IPAM may run, and reserve it; None when stopping.

        Of several the one that has failed least: many that hang must not delay the others.
        """
        with self._changed:
            while not self._is_stopping:
                idle = {
                    name: network
                    for name, network in self._networks.items()
                    if name not in self._busy
                }
                now = time.monotonic()
                due = [name for name, network in idle.items() if network.until <= now]
                if due:
                    name = min(due, key=lambda each: (idle[each].wait_s, idle[each].until))
                    self._busy.add(name)
                    return name
                until = min((network.until for network in idle.values()), default=None)
                self._changed.wait(None if until is None else until - now)
        return None

    def _ask(self, name: NetworkIpam) -> None:
        """Run IPAM DEL for the first lease of a network."""
        with self._lanes.entered(Origin("", name)) as is_entered:
            key = self._first(name) if is_entered else ""
            fault = self._give_back_now(key) if key else None
        with self._changed:
            network = self._networks.get(name, _Network())
            self._busy.discard(name)
            if not key:
                network.until = time.monotonic() + _BUSY_S
            elif fault:
                network.keys.rotate(-1)
                self._put_off(network)
            else:
                network.wait_s = 0.0
                self._hung_until.pop(name, None)
            self._changed.notify_all()
        if isinstance(fault, IpamHungError):
            self.note_hung(name)

    def _first(self, name: NetworkIpam) -> str:
        """Mark the first lease of a network that is not being released, and return it."""
        with self._changed:
            keys = self._networks.get(name, _Network()).keys
            key = next((candidate for candidate in keys if candidate not in self._given_back), "")
            self._given_back.update({key} - {""})
            return key

    def _give_back_now(self, key: str) -> SriovbondError | None:
        """Run IPAM DEL for a marked lease; return why it failed, None if it did not."""
        kept = self._kept.get(key)
        try:
            if kept:
                self._give_back(key, kept.subject)
        except Exception as error:  # noqa: BLE001 - the other leases must be released, too
            fault = error if isinstance(error, SriovbondError) else SriovbondError(repr(error))
            if kept:
                self._report_kept(kept.subject, fault.message)
            return fault
        finally:
            with self._changed:
                self._given_back.discard(key)
                self._changed.notify_all()
        return None

    def _give_back(self, key: str, subject: Subject) -> None:
        current = records.read(self._host, key)
        if current is None or current.plan or not current.ipam:
            self._forget(key)
            return
        with log.logged_to(None, self._host.logs, **subject.fields):
            try:
                release.release_ipam(self._host, current.ipam)
            except SriovbondError as error:
                if not self._is_given_up(current):
                    raise
                log.event(logging.ERROR, f"given up, it may never have been: {error.message}")
        with records.locked(self._host, key):
            if records.read(self._host, key) == current:
                records.remove(self._host, current)
        self._forget(key)

    def _is_given_up(self, record: Record) -> bool:
        age_s = time.time() - keeping.read_mtime(self._host, record)
        return record.namespace == keeping.NO_NAMESPACE and age_s > _GIVEN_UP_S

    def _put_off(self, network: _Network) -> None:
        network.wait_s = lengthen(network.wait_s, self._first_s, self._most_s)
        network.until = time.monotonic() + network.wait_s

    def _forget(self, key: str) -> None:
        """Forget a lease that has been released; report that if it was reported as kept."""
        with self._changed:
            kept = self._kept.pop(key, None)
            is_reported = key in self._reported
            self._reported.discard(key)
            if kept:
                self._leave_line(kept)
        if kept and is_reported:
            text = "IPAM has released its addresses"
            self._say(HappeningKind.ADDRESSES_RETURNED, kept.subject, text)

    def _leave_line(self, kept: _Kept) -> None:
        network = self._networks[kept.network]
        network.keys.remove(kept.key)
        if not network.keys:
            del self._networks[kept.network]
        namespace = kept.subject.pod.namespace
        self._of_namespace[namespace] -= 1
        if not self._of_namespace[namespace]:
            del self._of_namespace[namespace]

    def _report_kept(self, subject: Subject, why: str) -> None:
        key = subject.attachment.key
        if key not in self._reported:
            self._reported.add(key)
            self._say(
                HappeningKind.ADDRESSES_KEPT, subject, f"its addresses are released later: {why}"
            )

    def _say(self, kind: HappeningKind, subject: Subject, text: str) -> None:
        words = f"{subject.attachment.ifname}: {text}"
        self._tell(Happening(kind, subject, words, time.time()))


def _ipam_of(record: Record) -> NetworkIpam:
    config = release.config_of(record.ipam) if record.ipam else {}
    return ipam.of_network({**config, "name": record.network})


def _concerns(kept: _Kept, network: NetworkIpam | None, pod: PodRef, key: str) -> bool:
    subject = kept.subject
    is_same_pod = bool(pod.full_name) and subject.pod.full_name == pod.full_name
    return (
        is_same_pod and network is not None and subject.network == network.name
    ) or kept.key == key
