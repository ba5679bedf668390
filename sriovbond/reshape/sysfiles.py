"""Writes files of sysfs, for a bounded time: what a driver does meanwhile cannot be ended."""

import os
import threading
from pathlib import Path
from typing import Final

from sriovbond.errors import MachineError

_PATIENCE_S: Final = 60.0
"""How long a driver may take to make or remove VFs."""


def write(file: Path, value: str) -> None:
    """Write a value. Raises MachineError, also where the driver has not answered in 60 s."""
    failures: list[OSError] = []
    writer = threading.Thread(target=_try_to_write, args=(file, value, failures), daemon=True)
    writer.start()
    writer.join(_PATIENCE_S)
    if writer.is_alive():
        text = f"cannot write {value} to {file}: the driver has not answered in {_PATIENCE_S:g} s"
        raise MachineError(f"{text}; look at the kernel's log")
    if failures:
        reason = failures[0].strerror or type(failures[0]).__name__
        raise MachineError(f"cannot write {value} to {file}: {reason}") from failures[0]


def _try_to_write(file: Path, value: str, failures: list[OSError]) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        failures.append(error)
