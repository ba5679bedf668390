"""The files of the clients: what each is to do, its lease, and its lock.

Below the state folder is what a boot must find, below the run folder what it must not.
"""

import json
import os
import re
import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, TypeVar

from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.dhcp.lease import DhcpLease
from sriovbond.dhcp.wish import DhcpWish
from sriovbond.errors import MachineError
from sriovbond.host import Host

NAME: Final = re.compile(r"[A-Za-z0-9:_.-]{1,15}")
"""Names that are those of a file and of a unit's instance as they are."""
_MOST_BYTES: Final = 1 << 16
_LOCK_S: Final = 5.0
_MOST_FILES: Final = 4096
_WISH, _LEASE, _STATUS, _LOCK, _BEFORE = ".wish", ".lease", ".status", ".lock", ".before"

T = TypeVar("T")


class MalformedFileError(MachineError):
    """A file is not as it was written: what is in it is of no use."""


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """How far a client is: its stage, its messages since the last lease, and its last word."""

    stage: str
    is_holding: bool = False
    is_confirmed: bool = False
    has_carrier: bool = False
    sent: int = 0
    offers: int = 0
    refusals: int = 0
    malformed: int = 0
    note: str = ""

    @property
    def is_leased(self) -> bool:
        """Whether it uses a lease that a server has confirmed since it began."""
        return self.is_holding and self.is_confirmed


@dataclass(frozen=True, slots=True)
class LinkBefore:
    """What a link had before its lease: its index then, its MTU, whether it kept addresses.

    `leased_mtu` is the MTU that a lease gave it since, 0 for none.
    """

    index: int
    mtu: int
    is_promoting: bool
    leased_mtu: int = 0


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """What is on disk of an interface's client; `before` is of this boot."""

    name: str
    wish: DhcpWish
    lease: DhcpLease | None = None
    before: LinkBefore | None = None


def folder(host: Host) -> Path:
    """Return the folder of wishes and leases."""
    return host.state / "dhcp"


def run_folder(host: Host) -> Path:
    """Return the folder of what ends with a boot."""
    return host.run / "dhcp"


def names(host: Host) -> tuple[str, ...]:
    """Return the interfaces that have a client, 4096 at most; none where it cannot be read."""
    with suppress(OSError):
        found = (path for path in folder(host).iterdir() if path.suffix == _WISH)
        kept = [path.name.removesuffix(_WISH) for path, _ in zip(found, range(_MOST_FILES))]  # noqa: B905 - the shorter
        return tuple(sorted(name for name in kept if is_possible(name)))
    return ()


def is_possible(name: str) -> bool:
    """Return whether an interface's name can be that of files and of a unit."""
    return bool(NAME.fullmatch(name)) and name not in {".", ".."}


def read(host: Host, name: str) -> ClientFiles | None:
    """Return what is on disk of an interface's client, None where it has none.

    A lease that cannot be read is none. Raises MachineError for a wish that cannot.
    """
    wish = read_typed(folder(host) / f"{name}{_WISH}", DhcpWish)
    if wish is None:
        return None
    lease = None
    with suppress(MachineError):
        lease = read_lease(host, name)
    return ClientFiles(name, wish, lease, read_before(host, name))


def read_well_formed(host: Host, name: str) -> ClientFiles | None:
    """Return the same, and None also for a wish that is malformed.

    So it hinders no other interface, and a document writes it anew. Raises MachineError.
    """
    with suppress(MalformedFileError):
        return read(host, name)
    return None


def read_all(host: Host) -> tuple[ClientFiles, ...]:
    """Return what is on disk of all clients, as `read_well_formed`. Raises MachineError."""
    return tuple(found for name in names(host) if (found := read_well_formed(host, name)))


def read_lease(host: Host, name: str) -> DhcpLease | None:
    """Return an interface's lease, None where it has none. Raises MachineError."""
    return read_typed(folder(host) / f"{name}{_LEASE}", DhcpLease)


def read_status(host: Host, name: str) -> ClientStatus | None:
    """Return how far a client is, None where it has not begun. Raises MachineError."""
    return read_typed(run_folder(host) / f"{name}{_STATUS}", ClientStatus)


def write(host: Host, client: ClientFiles) -> None:
    """Write what a client is to do, its lease, and what its link had. Raises MachineError."""
    write_typed(folder(host), f"{client.name}{_WISH}", client.wish)
    if client.lease:
        write_lease(host, client.name, client.lease)
    else:
        remove_lease(host, client.name)
    if client.before:
        write_before(host, client.name, client.before)
    else:
        remove_before(host, client.name)


def write_lease(host: Host, name: str, lease: DhcpLease) -> None:
    """Write an interface's lease, before it is used. Raises MachineError."""
    write_typed(folder(host), f"{name}{_LEASE}", lease)


def write_status(host: Host, name: str, status: ClientStatus) -> None:
    """Write how far a client is. Raises MachineError."""
    write_typed(run_folder(host), f"{name}{_STATUS}", status)


def read_before(host: Host, name: str) -> LinkBefore | None:
    """Return what a link had before its lease, None where that is not known."""
    with suppress(MachineError):
        return read_typed(run_folder(host) / f"{name}{_BEFORE}", LinkBefore)
    return None


def write_before(host: Host, name: str, before: LinkBefore) -> None:
    """Write what a link had before its lease. Raises MachineError."""
    write_typed(run_folder(host), f"{name}{_BEFORE}", before)


def remove_before(host: Host, name: str) -> None:
    """Remove it. Idempotent. Raises MachineError."""
    ownfiles.remove(run_folder(host) / f"{name}{_BEFORE}")


def remove_status(host: Host, name: str) -> None:
    """Remove it, so that a call waits for a client that begins after that. Raises MachineError."""
    ownfiles.remove(run_folder(host) / f"{name}{_STATUS}")


def remove_lease(host: Host, name: str) -> None:
    """Remove an interface's lease. Idempotent. Raises MachineError."""
    ownfiles.remove(folder(host) / f"{name}{_LEASE}")


def remove(host: Host, name: str) -> None:
    """Remove an interface's wish and lease. Idempotent. Raises MachineError."""
    ownfiles.remove(folder(host) / f"{name}{_WISH}")
    remove_lease(host, name)
    remove_status(host, name)
    remove_before(host, name)


def is_running(host: Host, name: str) -> bool:
    """Return whether a client's process runs: it holds its lock."""
    with suppress(OSError):
        return ownfiles.is_locked(lock_path(host, name))
    return False


def lock_path(host: Host, name: str) -> Path:
    """Return the file that a client's process holds locked, with its id in it."""
    return run_folder(host) / f"{name}{_LOCK}"


@contextmanager
def running(host: Host, name: str) -> Iterator[int]:
    """Hold the lock of an interface's client, and have its descriptor.

    Raises MachineError where another one runs: one that has it for a moment, to look, is awaited.
    """
    ownfiles.make_folder(run_folder(host), os.geteuid())
    busy = MachineError(f"cannot run DHCP on {name}: another client of ours does")
    with ownfiles.locked(lock_path(host, name), _LOCK_S, busy) as descriptor:
        yield descriptor


def read_typed(path: Path, of: type[T]) -> T | None:
    """Return the dataclass that a file has, None where it is missing.

    Raises MalformedFileError, and MachineError where it cannot be read.
    """
    try:
        content = json.loads(ownfiles.read(path, _MOST_BYTES))
        return _typed(of, content)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise MalformedFileError(f"cannot read {path}: {error}; remove the file") from error
    except (UnreadableError, OSError) as error:
        raise MachineError(f"cannot read {path}: {error}; remove the file") from error


def _typed(of: type[T], content: object) -> T:
    """Return a value of that class; each field is of its type. Raises ValueError."""
    if not isinstance(content, Mapping):
        raise ValueError("an object is expected")  # noqa: TRY004 - of a file's content
    hints = typing.get_type_hints(of)
    given: dict[str, Any] = {}
    for row in fields(of):  # type: ignore[arg-type] # a dataclass
        if row.name in content:
            given[row.name] = _as(hints[row.name], content[row.name])
    try:
        return of(**given)
    except TypeError as error:
        raise ValueError(str(error)) from error


def _as(hint: Any, value: object) -> object:  # noqa: ANN401 - a type
    """Return a value of JSON as a field's type has it. Raises ValueError."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        return None if value is None else _as(inner[0], value)
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_as(kind, part) for kind, part in zip(kinds, value, strict=True))
    is_whole = hint is float and isinstance(value, int) and not isinstance(value, bool)
    if type(value) is not hint and not is_whole:
        raise ValueError(f"{value!r} is unexpected")
    return value


def write_typed(path: Path, name: str, value: Any) -> None:  # noqa: ANN401 - a dataclass
    """Write a dataclass as a file of that folder, whole and synced. Raises MachineError."""
    ownfiles.make_folder(path, os.geteuid())
    content = json.dumps(asdict(value)).encode()
    try:
        ownfiles.put(path / name, content)
    except OSError as error:
        raise MachineError(f"cannot write {path / name}: {error.strerror}") from error
