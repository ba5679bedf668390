"""QEMU's control socket, as the VM itself sees it: commands, cables, unplugging."""

import contextlib
import errno
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.vm import layout, machine

ANSWER_DEADLINE_S = 60
UNPLUG_DEADLINE_S = 60


class QemuError(Exception):
    """QEMU did not do what it was asked; the text says what it answered."""


def pull_cable(pf: str) -> None:
    """Pull a PF's cable: its carrier drops in 0.2 s, that of its VFs never does by itself."""
    qmp("set_link", name=pf, up=False)


def plug_cable(pf: str) -> None:
    """Put a PF's cable back."""
    qmp("set_link", name=pf, up=True)


def unplug(pf: str) -> None:
    """Take a PF and its VFs out of the machine, for good; return when they are gone.

    Linux 6.17.13 and 6.18.15 never let a PF with VFs go; 5.10, 6.1, 6.12 and 7.2 do.
    """
    pci = next(made.pci for made in layout.load().pfs if made.name == pf)
    place = Path("/sys/bus/pci/devices", pci)
    qmp("device_del", id=pf)
    deadline = time.monotonic() + UNPLUG_DEADLINE_S
    while place.exists():
        if time.monotonic() > deadline:
            raise QemuError(f"cannot unplug {pf}: it is still there after {UNPLUG_DEADLINE_S} s")
        time.sleep(0.05)


def qmp(command: str, **arguments: object) -> Any:  # noqa: ANN401 - QMP answers any JSON
    """Give QEMU a command and return its answer.

    Raises QemuError with QEMU's own words when it refuses.
    """
    with _opened(port(machine.QMP_PORT)) as descriptor:
        # Refused from the second time on: the connection outlives the process that greeted.
        _ask(descriptor, {"execute": "qmp_capabilities"})
        answer = _ask(descriptor, {"execute": command, "arguments": arguments})
    if "error" in answer:
        raise QemuError(f"cannot {command} {arguments}: QEMU says {answer['error']['desc']!r}")
    return answer["return"]


def port(name: str) -> Path:
    """Return the device of the virtio port `name`: without udev there is no link to it.

    QEMU tells a port's name a moment after the port itself.
    """
    deadline = time.monotonic() + ANSWER_DEADLINE_S
    while time.monotonic() < deadline:
        for entry in Path("/sys/class/virtio-ports").glob("*/name"):
            with contextlib.suppress(FileNotFoundError):
                if entry.read_text() == f"{name}\n":
                    return Path("/dev", entry.parent.name)
        time.sleep(0.02)
    raise QemuError(f"cannot find the port {name!r} in /sys/class/virtio-ports: not in the VM?")


@contextlib.contextmanager
def _opened(device: Path) -> Iterator[int]:
    """Open the port, which only one process at a time can."""
    deadline = time.monotonic() + ANSWER_DEADLINE_S
    while True:
        try:
            descriptor = os.open(device, os.O_RDWR)
            break
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _ask(descriptor: int, request: dict[str, object]) -> dict[str, Any]:
    """Send a request; return its answer, passing over greetings, events and older answers."""
    request["id"] = f"{os.getpid()}.{time.monotonic_ns()}"
    os.write(descriptor, json.dumps(request).encode() + b"\n")
    text = b""
    while True:
        text += os.read(descriptor, 65536)
        *lines, text = text.split(b"\n")
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            if answer.get("id") == request["id"]:
                return answer
