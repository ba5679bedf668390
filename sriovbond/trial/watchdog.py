"""Arms what reverts a change when its process does not: outside of it, and proved to be armed.

A transient timer of systemd where this is the host's own namespace, else a process of its own.
"""

import os
import select
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from sriovbond import systemd
from sriovbond.container import program
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.trial.checkpoint import Checkpoint

ARMED: Final = "armed"
"""What the process prints when it has all it needs, before its id."""
_ASK_S: Final = 10.0


def arm(host: Host, checkpoint: Checkpoint, timeout_s: float) -> str:
    """Arm the watchdog, and return what it is, in words; proved to run. Raises MachineError."""
    command = _command(host, checkpoint)
    if systemd.is_usable() and _arm_timer(command, checkpoint, timeout_s):
        return f"the timer {_unit(checkpoint)}.timer"
    return f"the process {_arm_process(command, timeout_s)}"


def disarm(checkpoint: Checkpoint) -> None:
    """Stop the timer, if any: a watchdog without a checkpoint does nothing. Raises nothing."""
    if systemd.is_usable():
        unit = _unit(checkpoint)
        with suppress(MachineError):
            systemd.systemctl("stop", f"{unit}.timer", timeout_s=_ASK_S)
            systemd.systemctl("reset-failed", f"{unit}.timer", f"{unit}.service", timeout_s=_ASK_S)


def _command(host: Host, checkpoint: Checkpoint) -> list[str]:
    options = ["--state", str(host.state), "--root", str(host.root), "--run", str(host.run)]
    return [*program.words(), "host", "watchdog", checkpoint.id, *options]


def _unit(checkpoint: Checkpoint) -> str:
    return f"sriovbond-host-{checkpoint.id}"


def _arm_timer(command: Sequence[str], checkpoint: Checkpoint, timeout_s: float) -> bool:
    """Arm a timer, whose command is seen to start as systemd would start it."""
    unit = _unit(checkpoint)
    path = os.environ.get("PYTHONPATH")
    words = [
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={unit}",
        f"--on-active={max(1, round(timeout_s))}s",
        "--timer-property=AccuracySec=100ms",
        *([f"--setenv=PYTHONPATH={path}"] if path else []),
        "--",
        *command,
    ]
    with suppress(OSError, subprocess.SubprocessError, MachineError):
        environment = {"PYTHONPATH": path} if path else {}
        systemd.run([*program.words(), "host", "watchdog", "--help"], _ASK_S, environment)
        systemd.run(words, _ASK_S)
        return systemd.systemctl("is-active", f"{unit}.timer", timeout_s=_ASK_S).strip() == "active"
    with suppress(MachineError):
        systemd.systemctl("stop", f"{unit}.timer", timeout_s=_ASK_S)
    return False


def _arm_process(command: Sequence[str], timeout_s: float) -> int:
    """Start a process in a session of its own, and wait until it says that it is armed."""
    with subprocess.Popen(  # noqa: S603 - words of our own
        ["/bin/sh", "-c", '"$@" &', "sh", *command, "--leave-container"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    ) as shell:
        line = _first_line(shell.stdout.fileno(), timeout_s) if shell.stdout else ""
    word, _, number = line.partition(" ")
    if word != ARMED or not number.isdecimal():
        raise MachineError(
            "cannot arm the watchdog: its process did not begin in time; nothing was changed"
        )
    return int(number)


def _first_line(descriptor: int, timeout_s: float) -> str:
    """Return what a pipe has up to a line's end, within that time."""
    deadline, text = time.monotonic() + timeout_s, b""
    while not text.endswith(b"\n") and (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left)[0]:
            part = os.read(descriptor, 64)
            if not part:
                break
            text += part
    return text.decode("ascii", "replace").strip()
