"""What is on disk of a change in progress: how things were, and what was begun. No I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from sriovbond.bond.links import Carried, Sysctl, VfSettings
from sriovbond.dhcp.files import ClientFiles
from sriovbond.kernel import carried, messages
from sriovbond.kernel.messages import (
    IFA_F_PERMANENT,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    RTA_DST,
    RTA_METRICS,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
)
from sriovbond.survey.answers import PortVlans
from sriovbond.trial.neighbours import NeighbourEntry

_OF_ROUTES: Final = (RTA_DST, RTA_TABLE, RTA_PRIORITY, RTA_METRICS, RTA_PREFSRC)


class Phase(StrEnum):
    """Where a change is; without a checkpoint there is none."""

    ARMING = "arming"
    """Nothing was touched yet."""
    ACTING = "acting"
    WAITING = "waiting"
    """It is made, and reverted unless it is committed in time."""
    REVERTING = "reverting"
    STUCK = "stuck"
    """It was reverted but for what `problems` say."""
    KEPT = "kept"
    """It is committed, and its document is about to be kept for the boot."""


@dataclass(frozen=True, slots=True)
class Actor:
    """A process: its id, and when it began, in ticks since the boot (proc_pid_stat(5))."""

    pid: int
    began: int


@dataclass(frozen=True, slots=True)
class Load:
    """The addresses and routes of a link."""

    name: str
    index: int
    addresses: tuple[Carried, ...] = ()
    routes: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class Former:
    """What a link was, beyond what documents can say.

    `flags` is what its bridge has for it (hex), `vlans` those it takes there; `is_filtering` is a
    bridge's own; `functions` is what a PF has for its VFs, without MACs that these chose; `entries`
    are those of neighbours and bridges that a person made; `addresses` has the kernel's order.
    """

    name: str
    index: int
    mac: str
    mtu: int
    is_up: bool
    sysctls: tuple[Sysctl, ...] = ()
    flags: str = ""
    vlans: tuple[PortVlans, ...] = ()
    is_filtering: bool | None = None
    functions: tuple[VfSettings, ...] = ()
    entries: tuple[NeighbourEntry, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NameOfHost:
    """The kernel's name of the host, empty where it is none of the change's; its file, in hex.

    None is no file.
    """

    running: str
    file: str | None


@dataclass(frozen=True, slots=True)
class Journal:
    """What was begun: links made and touched, addresses added, and what links lost.

    `ways` is a document with the routes and rules as they were. `pending` is what the links of the
    last step had before it: what of that is missing, the step took. `resolver` is what the change
    writes into resolv.conf, in hex, `hostname` what the host is called by it. `count` is how many
    steps were noted.
    """

    count: int = 0
    made: tuple[str, ...] = ()
    touched: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    taken: tuple[Load, ...] = ()
    pending: tuple[Load, ...] = ()
    ways: str = "{}"
    resolver: str | None = None
    hostname: NameOfHost | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A change in progress.

    `namespace` is the identity of the network namespace it belongs to, `boot` the kernel's id of
    the boot; `deadline_s` is of the clock that counts since the boot. `before` is the document of
    the whole node, `back` the one that reverts all of the change; `resolver` the content of
    resolv.conf in hex but for what leases add, None where there was none, `hostname` what the host
    was called. `clients` are those of
    DHCP, with their leases. `document` is what the change brings about: it is
    kept for the next boot under `name`, unless that is empty.
    """

    id: str
    phase: Phase
    boot: str
    namespace: tuple[int, int, int]
    deadline_s: float
    actor: Actor
    before: str
    back: str
    name: str = ""
    document: str = ""
    formers: tuple[Former, ...] = ()
    resolver: str | None = None
    hostname: NameOfHost | None = None
    clients: tuple[ClientFiles, ...] = ()
    journal: Journal = field(default_factory=Journal)
    problems: tuple[str, ...] = ()


def settle(journal: Journal, present: Mapping[str, Load]) -> Journal:
    """Return it with what the last step took: what was pending, and is missing now."""
    lost = [_missing(load, present.get(load.name)) for load in journal.pending]
    taken = _united((*journal.taken, *lost))
    return replace(journal, taken=taken, pending=())


def _missing(load: Load, now: Load | None) -> Load:
    """Return what of a load a link does not have now."""
    addresses = {address_identity(row) for row in now.addresses} if now else set()
    routes = {route_identity(row) for row in now.routes} if now else set()
    return replace(
        load,
        addresses=tuple(row for row in load.addresses if address_identity(row) not in addresses),
        routes=tuple(row for row in load.routes if route_identity(row) not in routes),
    )


def _united(loads: Iterable[Load]) -> tuple[Load, ...]:
    """Return one load for each link, each address and route once, as it was first."""
    by_name: dict[str, Load] = {}
    for load in loads:
        first = by_name.get(load.name, replace(load, addresses=(), routes=()))
        addresses = {row.text: row for row in (*load.addresses, *first.addresses)}
        routes = {route_identity(row): row for row in (*first.routes, *load.routes)}
        by_name[load.name] = replace(
            first, addresses=tuple(addresses.values()), routes=tuple(routes.values())
        )
    return tuple(load for load in by_name.values() if load.addresses or load.routes)


def address_identity(address: Carried) -> tuple[object, ...]:
    """Return what distinguishes an address from others, and from itself when it was changed."""
    message = messages.read_address(bytes.fromhex(address.message))
    metric = messages.whole(message.attributes.get(IFA_RT_PRIORITY, b""))
    flags = messages.whole(message.attributes.get(IFA_FLAGS, b""))
    return address.text, metric, bool(flags & IFA_F_PERMANENT)


def message_of(route: Carried) -> messages.RouteMessage:
    """Return a route as the kernel had reported it."""
    return messages.read_route(bytes.fromhex(route.message))


def route_place(message: messages.RouteMessage) -> tuple[object, ...]:
    """Return what the kernel has one IPv4 route for."""
    place = (RTA_DST, RTA_TABLE, RTA_PRIORITY)
    values = tuple(message.attributes.get(number, b"") for number in place)
    return message.family, message.prefix, *values


def route_identity(route: Carried) -> tuple[object, ...]:
    """Return what distinguishes a route from others; its counters and lifetimes do not."""
    message = message_of(route)
    values = tuple(message.attributes.get(number, b"") for number in _OF_ROUTES)
    head = (message.family, message.prefix, message.protocol, message.scope, message.type)
    return *head, *values, *carried.next_hops(message)
