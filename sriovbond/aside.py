"""Records that are none, by their content: kept out of the way, listed, and tried again."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from sriovbond import records
from sriovbond.host import Host
from sriovbond.records import DamagedRecordError, NewerRecordError

DAMAGED: Final = ".damaged"
NEWER: Final = ".newer"
"""The version that wrote such a one can still release it, under its own name again."""


def put(host: Host, key: str, error: DamagedRecordError) -> Path:
    """Keep an attachment's record out of the way, and return where it is now. Raises OSError."""
    ending = NEWER if isinstance(error, NewerRecordError) else DAMAGED
    path = host.records / f"{key}.json"
    aside_path = path.with_suffix(ending)
    path.rename(aside_path)
    return aside_path


def files(host: Host) -> list[Path]:
    """Return the records that were set aside. Raises MachineError where they cannot be listed."""
    paths = records.list_files(host)
    return [path for path in paths if "@" in path.name and path.suffix in (DAMAGED, NEWER)]


def take_back(host: Host, path: Path) -> bool:
    """Have a record that was set aside be one again if it can be read by now, and tell whether.

    Raises UnreadableRecordError, DamagedRecordError where it cannot, TryLaterError while a call has
    the attachment, OSError.
    """
    with records.locked(replace(host, lock_timeout_s=0), path.stem):
        if records.read_file(str(path)) is None or records.exists(host, path.stem):
            return False
        path.rename(path.with_suffix(".json"))
    return True
