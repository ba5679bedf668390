"""Boot the VM, run one command in it, pass on its output and its exit status.

The command is the environment's RUN; without it, a shell on the terminal. So are KERNEL, VFS,
CPUS, WIRING, NETDEVSIM and SRIOVBOND_CACHE: see `make help`. QEMU_OPTIONS adds to the machine what
some tests need, such as a disk.
"""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tests.vm import debian, kernels, machine, netdevsim, pace

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
BOOT_DEADLINE_S = 300  # by pace.stretched
STATUS_OF_A_BROKEN_RIG = 125
STALL = b"Kernel panic - not syncing: RCU Stall"
PASSED_ON = ("KERNEL", "NETDEVSIM", "PYTEST_ADDOPTS", "TERM", "COLUMNS", "CI", "LANG")
# What the guest may write to, and what vanishes with it. /usr stays read-only.
VANISHING = ("etc", "var", "opt", "root", "home", "srv", "mnt", "tmp")
# What a VM reads once, blind to later changes; but at a shell, sources are edited meanwhile.
PACKAGES = ".venv"
SOURCES = ("sriovbond", "deviceinfo", "tests/support", "tests/vm")


class BootError(Exception):
    """The VM did not come up; the text says what it printed last."""


class VmLostError(Exception):
    """The VM went away while the command ran, which is not run again for that."""


class VmStalledError(VmLostError):
    """The emulator lost the timer of a virtual CPU: no fault of the command, which runs again."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the person asked for, and what to do it with."""

    command: str | None
    vfs: int
    cpus: int
    wiring: str
    image: Path
    accel: str
    netdevsim: Path | None
    qemu_options: tuple[str, ...] = ()


def main() -> int:
    """Run the environment's RUN in a VM."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: sys.exit(128 + received))
    cache = Path(os.environ["SRIOVBOND_CACHE"])
    os.environ["PATH"] = f"{cache}/virtiofsd/bin:{os.environ['PATH']}:/usr/sbin:/sbin"
    try:
        return _run_with_retry(_order(os.environ, cache))
    except (debian.FetchError, BootError, VmLostError, ValueError) as error:
        sys.stderr.write(f"rig: {error}\n")
        return STATUS_OF_A_BROKEN_RIG


def _order(environment: Mapping[str, str], cache: Path) -> Order:
    command = environment.get("RUN")
    vfs = int(environment.get("VFS") or 4)
    cpus = int(environment.get("CPUS") or 2)
    wiring = environment.get("WIRING") or "hub"
    if not 1 <= cpus <= machine.MOST_CPUS:
        raise ValueError(f"cannot make {cpus} CPUs: there are 1 to {machine.MOST_CPUS}; set CPUS")
    if not 1 <= vfs <= machine.MOST_VFS:
        raise ValueError(f"cannot make {vfs} VFs on a PF: igb has 1 to {machine.MOST_VFS}; set VFS")
    if wiring not in machine.WIRINGS:
        raise ValueError(f"cannot wire {wiring!r}: WIRING is one of {', '.join(machine.WIRINGS)}")
    if environment.get("NETDEVSIM") not in {None, "", "0", "1"}:
        raise ValueError("cannot tell what NETDEVSIM asks for: it is 1 or 0")
    if not command and not sys.stdin.isatty():
        raise ValueError("cannot give a shell without a terminal; do: make vm RUN='COMMAND'")
    home = kernels.fetch(environment.get("KERNEL") or kernels.DEFAULT, cache)
    image = kernels.image(home)
    module = netdevsim.fetch(home) if environment.get("NETDEVSIM") == "1" else None
    more = tuple(shlex.split(environment.get("QEMU_OPTIONS") or ""))
    accel = machine.find_accel(image)
    return Order(command or None, vfs, cpus, wiring, image, accel, module, more)


def _run_with_retry(order: Order) -> int:
    try:
        return _run(order)
    except (BootError, VmStalledError) as error:
        sys.stderr.write(f"rig: {error}\nrig: trying once more\n")
    return _run(order)


def _run(order: Order) -> int:
    sys.stderr.write(f"rig: booting {order.image.name} ({order.accel})\n")
    _compile()
    with tempfile.TemporaryDirectory(prefix="sriovbond-vm-") as name:
        folder = Path(name)
        with socket.socket(socket.AF_UNIX) as door, _vm(order, folder, door) as vm:
            talk = _await_guest(door, vm, folder)
            with talk:
                talk.sendall(json.dumps(_request(order)).encode() + b"\n")
                return _follow(talk, folder)


def _compile() -> None:
    """Compile the sources: the guest cannot. What is wrong in them it says itself."""
    python = CHECKOUT / PACKAGES / "bin/python"
    subprocess.run([python, "-m", "compileall", "-q", *SOURCES], cwd=CHECKOUT, check=False)


def _request(order: Order) -> dict[str, object]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("SRIOVBOND_")
    }
    plugins = os.environ.get("SRIOVBOND_PLUGINS") or ""
    # the guest has the host's files, so that what the host finds (a Go of its own) is there too
    path = f"{CHECKOUT}/.venv/bin:{os.environ['PATH']}"
    environment |= {"SRIOVBOND_PLUGINS": plugins, "PATH": path, "HOME": "/root"}
    return {
        "command": order.command,
        "cwd": str(CHECKOUT),
        "environment": environment,
        "accel": order.accel,
        "vfs": order.vfs,
        "wiring": order.wiring,
        "read_once": [PACKAGES, *(SOURCES if order.command else ())],
        "netdevsim": order.netdevsim and str(order.netdevsim),
    }


@contextlib.contextmanager
def _vm(order: Order, folder: Path, door: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    """Run virtme-ng and all that it starts; at the end nothing of it is left."""
    door.bind(str(folder / "talk"))
    door.listen()
    is_shell = order.command is None
    with (folder / "log").open("wb") as log:
        vm = subprocess.Popen(
            _virtme(order, folder),
            env=os.environ | {"TMPDIR": str(folder)},  # for virtme-ng's own files
            start_new_session=True,
            stdin=None if is_shell else subprocess.DEVNULL,
            stdout=None if is_shell else log,
            stderr=log,
        )
    try:
        yield vm
    finally:
        _end(vm)


def _end(vm: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(vm.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            vm.wait(timeout=2)


def _virtme(order: Order, folder: Path) -> list[str]:
    inside = str(HERE / "init" / "inside")
    options = ["--name=rig", "--kimg", str(order.image), "--mods=auto", "--disable-microvm"]
    options += ["--memory", machine.MEMORY, f"--cpus={order.cpus}", f"--rwdir={CHECKOUT}"]
    options += [] if order.accel == "kvm" else ["--disable-kvm"]
    options += [f"--kopt={option}" for option in machine.KERNEL_OPTIONS]
    options += [f"--overlay-rwdir=/{name}" for name in VANISHING if Path("/", name).is_dir()]
    if order.command is None:
        options += ["--shell", inside]
    else:
        options += ["--show-boot-console", "--script-sh", inside]
    hardware = machine.qemu_options(order.wiring, order.accel, folder)
    hardware += order.qemu_options
    return [sys.executable, "-m", "tests.vm.launch", *options, "--qemu-opts", *hardware]


def _await_guest(door: socket.socket, vm: subprocess.Popen[bytes], folder: Path) -> socket.socket:
    door.settimeout(1)
    deadline = time.monotonic() + pace.stretched(BOOT_DEADLINE_S)
    while time.monotonic() < deadline and vm.poll() is None:
        with contextlib.suppress(TimeoutError):
            return door.accept()[0]
    raise BootError(_last_words("QEMU did not start", folder))


def _last_words(what: str, folder: Path) -> str:
    lines = (folder / "log").read_text(errors="replace").splitlines()[-30:]
    return "\n".join([f"cannot use the VM: {what}; its last words:", *lines])


def _follow(talk: socket.socket, folder: Path) -> int:
    """Copy the guest's output to ours until it sends the exit status."""
    kind_of_loss: type[BootError | VmLostError] = BootError
    try:
        for kind, body in _frames(talk):
            match kind:
                case b"ready":
                    talk.settimeout(None)
                    kind_of_loss = VmLostError
                case b"out":
                    _write(sys.stdout, body)
                case b"err":
                    _write(sys.stderr, body)
                case b"error":
                    raise BootError(_last_words(body.decode(), folder))
                case b"status":
                    return int(body)
    except TimeoutError as error:
        raise BootError(_last_words(f"no answer for {talk.gettimeout():g} s", folder)) from error
    raise _stall(folder) or kind_of_loss(_last_words("it ended", folder))


def _stall(folder: Path) -> VmStalledError | None:
    is_stalled = STALL in (folder / "log").read_bytes()
    return (
        VmStalledError("cannot use the VM: a virtual CPU's timer stopped") if is_stalled else None
    )


def _frames(talk: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    talk.settimeout(pace.stretched(BOOT_DEADLINE_S))
    # QEMU resets the connection when it ends with something of ours unread.
    with talk.makefile("rb") as stream, contextlib.suppress(ConnectionResetError):
        while header := stream.readline().split():
            yield header[0], stream.read(int(header[1]))


def _write(stream: TextIO, data: bytes) -> None:
    while data:
        data = data[os.write(stream.fileno(), data) :]


if __name__ == "__main__":
    sys.exit(main())
