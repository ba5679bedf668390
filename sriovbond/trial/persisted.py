"""The documents that were committed, in the order in which a boot applies them again."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.errors import MachineError
from sriovbond.host import Host

_NAME: Final = re.compile(r"(\d{4,6})-([A-Za-z0-9._-]{1,63})\.yml")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
MOST: Final = 256
"""Documents, at most."""
_MOST_NUMBER: Final = 999_999
_MOST_BYTES: Final = 16 << 20
_LONGEST_NAME: Final = 63


@dataclass(frozen=True, slots=True)
class BootDocument:
    """A document that was committed, and its file."""

    name: str
    number: int
    file: Path

    @property
    def text(self) -> str:
        """Its content. Raises MachineError."""
        try:
            return ownfiles.read(self.file, _MOST_BYTES).decode()
        except (OSError, UnreadableError, UnicodeDecodeError) as error:
            raise MachineError(f"cannot read {self.file}: {error}") from error


def folder(host: Host) -> Path:
    """Return the folder of the documents."""
    return host.state / "host.d"


def list_documents(host: Host) -> list[BootDocument]:
    """Return the documents, the first that was committed first; other files are ignored.

    Raises MachineError.
    """
    try:
        rows = [_entry(path) for path in folder(host).iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MachineError(f"cannot list {folder(host)}: {error.strerror}") from error
    return sorted(filter(None, rows), key=lambda row: row.number)


def kept_name(name: str) -> str:
    """Return the name that a document is kept under, of letters, digits and -_. alone."""
    return (_UNSAFE.sub("-", name) or "document")[:_LONGEST_NAME]


def keep(host: Host, name: str, text: str) -> None:
    """Write a document behind the others, in place of an earlier one of its name.

    Raises MachineError, also for more than 256 names.
    """
    name = kept_name(name)
    earlier = list_documents(host)
    if len({row.name for row in earlier} | {name}) > MOST:
        raise MachineError(f"cannot keep {name}: there are {MOST} documents in {folder(host)}")
    number = max((row.number for row in earlier), default=0) + 1
    if number > _MOST_NUMBER:
        raise MachineError(f"cannot keep {name}: renumber the documents in {folder(host)}")
    file = f"{number:04}-{name}.yml"
    ownfiles.make_folder(folder(host), os.geteuid())
    try:
        ownfiles.put(folder(host) / file, text.encode())
        for row in earlier:
            if row.name == name:
                row.file.unlink()
    except OSError as error:
        raise MachineError(f"cannot keep {name} for a boot: {error.strerror}") from error


def remove(host: Host) -> int:
    """Remove all documents, and return how many there were. Raises MachineError."""
    rows = list_documents(host)
    for row in rows:
        ownfiles.remove(row.file)
    return len(rows)


def _entry(path: Path) -> BootDocument | None:
    match = _NAME.fullmatch(path.name)
    return BootDocument(match[2], int(match[1]), path) if match else None
