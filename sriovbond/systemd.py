"""systemd as the programs of a node ask it: whether it is there, its words, its unit files."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from sriovbond import ownfiles
from sriovbond.errors import MachineError

UNITS: Final = "etc/systemd/system"
_RUNS: Final = Path("/run/systemd/system")
_MODE: Final = 0o644
_ASK_S: Final = 30.0


def is_usable() -> bool:
    """Return whether systemd runs here, and starts its services in this network namespace."""
    try:
        is_same = (
            Path("/proc/1/ns/net").stat().st_ino == Path("/proc/thread-self/ns/net").stat().st_ino
        )
    except OSError:
        return False
    return _RUNS.is_dir() and is_same


def run(
    words: Sequence[str], timeout_s: float, environment: Mapping[str, str] | None = None
) -> str:
    """Run a program of ours or systemd's; return what it prints.

    Raises OSError, subprocess.SubprocessError.
    """
    done = subprocess.run(  # noqa: S603 - words of our own
        words,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env=environment,
    )
    return done.stdout


def systemctl(*words: str, timeout_s: float = _ASK_S) -> str:
    """Ask systemd by its systemctl; return what that prints. Raises MachineError, in its words."""
    command = ["systemctl", *words]
    try:
        return run(command, timeout_s)
    except (OSError, subprocess.SubprocessError) as error:
        printed = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        reason = printed.strip().partition("\n")[0] or error
        raise MachineError(f"cannot run `{' '.join(command)}`: {reason}") from error


def unit_file(root: Path, unit: str) -> Path:
    """Return where the file of a unit is, below a root."""
    return root / UNITS / unit


def write_unit(root: Path, unit: str, text: str) -> None:
    """Write the file of a unit, and have systemd read it; nothing is done where it is so.

    Raises MachineError.
    """
    file, content = unit_file(root, unit), text.encode()
    try:
        if file.is_file() and file.read_bytes() == content:
            return
        ownfiles.put(file, content, _MODE)
    except OSError as error:
        raise MachineError(f"cannot install {file}: {error.strerror}") from error
    systemctl("daemon-reload")


def remove_unit(root: Path, unit: str) -> None:
    """Remove the file of a unit, and have systemd read that. Idempotent. Raises MachineError."""
    file = unit_file(root, unit)
    if not file.exists():
        return
    ownfiles.remove(file)
    with suppress(MachineError):
        systemctl("daemon-reload")


def environment_line() -> str:
    """Return the line of a unit by which it finds what this process imports; empty by default."""
    path = os.environ.get("PYTHONPATH")
    return f"Environment={word(f'PYTHONPATH={path}')}\n" if path else ""


def verbatim(text: str) -> str:
    """Return a text as a whole line of a unit file has it (systemd.unit(5), specifiers)."""
    return text.replace("%", "%%")


def word(text: str) -> str:
    """Return a text as one word of a line (systemd.syntax(7))."""
    text = verbatim(text)
    if not set(text) & {" ", '"', "\\"}:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
