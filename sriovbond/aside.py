"""Damaged records: moved aside, listed, and restored once they can be read."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from sriovbond import records
from sriovbond.host import Host
from sriovbond.records import DamagedRecordError, NewerRecordError

DAMAGED: Final = ".damaged"
NEWER: Final = ".newer"
"""Written by a newer version, which can still release it, under its own name again."""


def put(host: Host, key: str, error: DamagedRecordError) -> Path:
    """Move an attachment's damaged record aside, and return its new path. Raises OSError."""
    ending = NEWER if isinstance(error, NewerRecordError) else DAMAGED
    path = host.records / f"{key}.json"
    aside_path = path.with_suffix(ending)
    path.rename(aside_path)
    return aside_path


def files(host: Host) -> list[Path]:
    """Return the records that were moved aside. Raises MachineError when they cannot be listed."""
    paths = records.list_files(host)
    return [path for path in paths if "@" in path.name and path.suffix in (DAMAGED, NEWER)]


def take_back(host: Host, path: Path) -> bool:
    """Restore a record that was moved aside if it can be read by now; return whether it was.

    Raises UnreadableRecordError, DamagedRecordError if it cannot, TryLaterError while a call holds
    the attachment, OSError.
    """
    with records.locked(replace(host, lock_timeout_s=0), path.stem):
        if records.read_file(str(path)) is None or records.exists(host, path.stem):
            return False
        path.rename(path.with_suffix(".json"))
    return True
