"""Records of attachments, written before ADD changes anything; and one lock per attachment.

A record is the only thing that DEL needs: no configuration, no prevResult, no namespace.
On the path of every ADD, paths are strings: a Path costs more than what is done with it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from deviceinfo import UNKNOWN_POD, PodRef, plainfile
from deviceinfo.plainfile import NotPlainError, UnreadableError
from sriovbond import ownfiles
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.states import BondState
from sriovbond.cni.attachment import Attachment
from sriovbond.cni.memory import Memory
from sriovbond.cni.result import CniResult
from sriovbond.errors import MachineError, RefusedError, TryLaterError
from sriovbond.host import Host
from sriovbond.subject import Subject

FORMAT: Final = 1
_MAX_BYTES: Final = 16 << 20  # a configuration of 4 MiB, escaped, and more
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_LOCK: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class UnreadableRecordError(MachineError):
    """The record cannot be read now, but may be valid: it counts as existing."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"cannot read the record {path!r}: {why}")
        self.key = Path(path).name.removesuffix(".json")


class DamagedRecordError(MachineError):
    """The file is no record, and a retry would fail in the same way."""


class NewerRecordError(DamagedRecordError):
    """A later version of this plugin wrote the record: only that one can read it."""


@dataclass(frozen=True, slots=True)
class IpamCall:
    """The parameters of the IPAM call, by which its lease can be released without the runtime."""

    stdin: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One attachment; `namespace` is its identity, `is_complete`: its ADD succeeded.

    `plan` is None once the kernel's part is released and only IPAM's is left; `refused` has, by
    member name, why a member that vanished and came back is not in the bond. `returning` has the
    names of members that a repair is moving into the bond: a killed one leaves them there.
    """

    network: str
    container_id: str
    ifname: str
    netns: str
    namespace: tuple[int, int, int]
    boot_id: str
    plan: BondPlan | None
    ipam: IpamCall | None = None
    is_complete: bool = False
    leased: dict[str, Any] = field(default_factory=dict)
    pod: PodRef = UNKNOWN_POD
    refused: dict[str, str] = field(default_factory=dict)
    returning: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def attachment(self) -> Attachment:
        """The attachment of the record."""
        return Attachment(self.container_id, self.ifname)

    @property
    def key(self) -> str:
        """The record's file name."""
        return self.attachment.key

    @property
    def subject(self) -> Subject:
        """The attachment, network and pod, for the watch's reports."""
        return Subject(self.attachment, self.network, self.pod)

    @property
    def lease(self) -> CniResult:
        """IPAM's lease: addresses and routes; empty without IPAM."""
        return CniResult.from_json(self.leased, where="the record")

    @property
    def leased_addresses(self) -> CniResult:
        """The addresses of the lease alone, without its routes, of which there may be thousands."""
        return CniResult.from_json({"ips": self.leased.get("ips")}, where="the record")

    def completed(self, leased: dict[str, Any]) -> "Record":
        """Return the record of an ADD that succeeded, with the result of IPAM as JSON."""
        return replace(self, is_complete=True, leased=leased)


_ADAPTER: Final = TypeAdapter(Record)
_KNOWN: Final = Memory[Record](256)  # as many bonds as a node may have; some 10 KiB each


@contextmanager
def locked(host: Host, key: str) -> Iterator[int]:
    """Hold the lock of the attachment of that key; TryLaterError if another call holds it too long.

    Removes temporary files of a killed call. Yields the lock's descriptor: a program that inherits
    it holds the lock too, until it has ended.
    """
    path = f"{host.run}/{key}"  # not on the disk: a DEL must work when that is full
    descriptor = _lock(path, host.lock_timeout_s)
    try:
        _unlink(f"{host.records}/{_fresh(key)}")
        yield descriptor
    finally:
        _unlink(path)  # an unlocked file that stays does no harm
        os.close(descriptor)


def is_locked(host: Host, key: str) -> bool:
    """Return whether a call holds, or may hold, the lock of the attachment of that key."""
    try:
        return ownfiles.is_locked(f"{host.run}/{key}")
    except FileNotFoundError:
        return False
    except OSError:
        return True


def write(host: Host, record: Record) -> None:
    """Write the record atomically (write, fsync, rename).

    Raises RefusedError for one that would be too large to be read again, MachineError.
    """
    content = _ADAPTER.dump_json(record)
    if len(content) > _MAX_BYTES:
        raise RefusedError(_too_large(record, len(content)))
    try:
        _put(host.records, record.key, content)
    except OSError as error:
        path = f"{host.records}/{record.key}.json"
        raise MachineError(f"cannot write the record {path!r}: {error.strerror}") from error
    if record.is_complete:  # the others are rewritten, or removed soon
        _KNOWN.learn(content, record)


def read(host: Host, key: str) -> Record | None:
    """Return the record of the attachment of that key, None if there is none.

    Raises UnreadableRecordError if it cannot be read now, DamagedRecordError for a malformed one,
    NewerRecordError for one of a later version: all MachineError.
    """
    return read_file(f"{host.records}/{key}.json")


def keys(host: Host) -> list[str]:
    """Return the key of every attachment that has a record. Raises MachineError."""
    names = [path.name for path in list_files(host)]
    return [name.removesuffix(".json") for name in names if "@" in name and name.endswith(".json")]


def list_files(host: Host) -> list[Path]:
    """Return all files among the records. Raises MachineError."""
    try:
        return sorted(host.records.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        where = str(host.records)
        raise MachineError(f"cannot list the records in {where!r}: {error.strerror}") from error


def exists(host: Host, key: str) -> bool:
    """Return whether there is, or may be, a record of the attachment of that key."""
    try:
        os.lstat(f"{host.records}/{key}.json")
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return True


def each(host: Host, faults: list[str]) -> Iterator[Record]:
    """Yield every readable record; append to `faults` a text for each that cannot be read.

    One at a time: a record holds a configuration, whose author may have made it a MiB long.
    Raises MachineError if the folder cannot be read.
    """
    for key in keys(host):
        try:
            record = read(host, key)
        except MachineError as error:
            faults.append(error.message)
        else:
            if record:
                yield record


def read_all(host: Host) -> tuple[list[Record], list[str]]:
    """Return every readable record, and a text for each other, for a person's command.

    Raises as `each`.
    """
    faults: list[str] = []
    return list(each(host, faults)), faults


def every(host: Host) -> Iterator[Record]:
    """Yield every record, one at a time, for callers that rely on the list being complete.

    Raises UnreadableRecordError at one that cannot be read now; damaged ones are ignored.
    """
    for key in keys(host):
        record = None
        with suppress(DamagedRecordError):
            record = read(host, key)
        if record:
            yield record


def missing(host: Host, namespace: tuple[int, int, int], state: BondState) -> list[str]:
    """Return a text for each member that ADD put into the bond and that is missing now.

    Empty for a bond without a record, or if the records cannot be read.
    """
    present = {member.name for member in state.members}
    with suppress(MachineError):
        return [
            record.refused.get(member.name) or f"{member} is not in {state.name}"
            for record in each(host, [])
            if record.plan and (record.namespace, record.ifname) == (namespace, state.name)
            for member in record.plan.members
            if member.name not in present
        ]
    return []


def remove(host: Host, record: Record) -> None:
    """Delete the record, whose lock is held. Idempotent."""
    path = f"{host.records}/{record.key}.json"
    try:
        os.unlink(path)  # noqa: PTH108 - see above
    except OSError as error:  # a read-only folder refuses before it looks for the file
        if exists(host, record.key):
            raise MachineError(f"cannot remove the record {path!r}: {error.strerror}") from error


def _put(folder: Path, name: str, content: bytes) -> None:
    """Write it into the folder, created if missing."""
    try:
        folder_fd = os.open(folder, _FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        _make(folder)
        folder_fd = os.open(folder, _FOLDER)
    try:
        ownfiles.write_whole(folder_fd, f"{name}.json", content, fresh=_fresh(name))
    finally:
        os.close(folder_fd)


def _fresh(name: str) -> str:
    return f".{name}.new"


def _unlink(path: str) -> None:
    """Remove a file that does no harm if it stays."""
    try:
        os.unlink(path)  # noqa: PTH108 - see above
    except OSError:
        return  # suppress() would be three more Python calls, twice in each call


def read_file(path: str) -> Record | None:
    """Return the record in that file; as `read`."""
    try:
        content = plainfile.read(path, _MAX_BYTES)
    except FileNotFoundError:
        return None
    except NotPlainError as error:
        raise DamagedRecordError(f"cannot read the record {path!r}: {error}") from error
    except UnreadableError as error:
        raise UnreadableRecordError(path, str(error)) from error
    known = _KNOWN.recall(content)
    return known or _parse(path, content)


def _parse(path: str, content: bytes) -> Record:
    try:
        # validate_json would keep the texts of thousands of records in memory
        record = _ADAPTER.validate_python(from_json(content, cache_strings="none"))
    except ValueError as error:
        _check_format(path, _format_of(content))
        raise DamagedRecordError(
            f"cannot read the record {path!r}: {_fault(error)}; it was damaged"
        ) from error
    _check_format(path, record.format)
    _KNOWN.learn(content, record)
    return record


def _fault(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "it"
    return f"{where}: {first['msg']}"


def _format_of(content: bytes) -> object:
    """Return the record's format, ours if it has none: then it is damaged."""
    try:
        return json.loads(content)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return FORMAT


def _check_format(path: str, version: object) -> None:
    """Raise MachineError for another version's record, whatever else is in it."""
    if version != FORMAT:
        is_newer = isinstance(version, int) and version > FORMAT
        kind = NewerRecordError if is_newer else DamagedRecordError
        raise kind(
            f"cannot read the record {path!r}: its format is {version!r}, "
            f"this version knows {FORMAT}; use the version that wrote it"
        )


def make_folder(host: Host) -> None:
    """Create the records' folder if missing. Raises MachineError."""
    _make(host.records)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot make the folder {str(folder)!r}: {error.strerror}") from error


def _too_large(record: Record, size: int) -> str:
    """Return what makes a record too large: mostly the addresses and routes of a host link."""
    carried = {
        str(member): len(member.link.addresses) + len(member.link.routes)
        for member in (record.plan.members if record.plan else ())
    }
    most = max(carried, key=carried.__getitem__, default="")
    return (
        f"cannot write the record of {record.key!r}: it would have {size >> 20} MiB, and at most "
        f"{_MAX_BYTES >> 20} are read again; {most} has {carried.get(most, 0)} addresses and "
        "routes to be put back: take a link with fewer"
    )


def _lock(path: str, timeout_s: float) -> int:
    try:
        descriptor = ownfiles.lock(path, partial(_open_lock, path), timeout_s)
    except OSError as error:
        raise MachineError(f"cannot make the lock {path!r}: {error.strerror}") from error
    if descriptor is None:
        name = path.rpartition("/")[2]
        raise TryLaterError(
            f"cannot lock the attachment {name!r}: another call has held it for "
            f"{timeout_s:g} s; try again when it has ended"
        )
    return descriptor


def _open_lock(path: str) -> int:
    """Open the lock's file; create it, and its folder, if missing."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.open(path, _LOCK | os.O_CREAT, 0o600)
    _make(Path(path).parent)
    return os.open(path, _LOCK | os.O_CREAT, 0o600)
