"""Runs the delegated IPAM plugin (CNI SPEC section 4) in the host's root."""

import contextlib
import errno
import hashlib
import json
import logging
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, NoReturn

from sriovbond import hostroot, log
from sriovbond.bond.keys import DHCP
from sriovbond.bond.plugins import NOT_IPAM
from sriovbond.cni.decoding import MAX_ELEMENTS, JsonObject, decode_object
from sriovbond.cni.environment import is_network_name
from sriovbond.cni.request import CniRequest
from sriovbond.cni.result import CniResult
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError
from sriovbond.errors import ConfigError, MachineError, SriovbondError, TryLaterError
from sriovbond.host import Host

MAX_OUTPUT_BYTES = 1024 * 1024

_PASSED_ON_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_TAIL_CHARACTERS = 200
_EXIT_POLL_MS = 20
_BUSY_RETRIES = 25
_BUSY_DELAY_S = 0.04
_KILLED_S = 2.0
_SHORTAGES = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE})

_PURPOSES = {
    Command.ADD: "get addresses from",
    Command.DEL: "release addresses through",
    Command.CHECK: "have addresses checked by",
    Command.GC: "have stale addresses collected by",
    Command.STATUS: "learn the status of",
}


class IpamError(SriovbondError):
    """The IPAM plugin `plugin` ran `command` and failed.

    `code` and `plugin_message` are the plugin's own, None and "" when it returned no CNI error.
    """

    def __init__(
        self,
        plugin: str,
        command: Command,
        reason: str,
        code: int | None = None,
        details: str = "",
    ) -> None:
        super().__init__(
            f"cannot {_PURPOSES[command]} the IPAM plugin {plugin!r}: {reason}", details
        )
        self.plugin = plugin
        self.command = command
        self.code = code
        self.plugin_message = "" if code is None else reason


class IpamHungError(IpamError):
    """It did not end in time; a repetition would not either."""


def is_asked_for(config: Mapping[str, object]) -> bool:
    """Return whether the configuration delegates IPAM; without `ipam.type` it does not."""
    section = config.get("ipam")
    return bool(section.get("type")) if isinstance(section, dict) else bool(section)


def needs_interface(config: Mapping[str, object]) -> bool:
    """Return whether the plugin's DEL needs the interface: dhcp informs its server over it."""
    section = config.get("ipam")
    return isinstance(section, dict) and section.get("type") == DHCP


class NetworkIpam(NamedTuple):
    """The IPAM of a network: tenants may give one name to networks of their own.

    `section` is a digest of the configuration's `ipam`.
    """

    name: str
    section: str


def of_network(config: Mapping[str, object]) -> NetworkIpam:
    """Return which IPAM a configuration asks, wherever the configuration comes from."""
    try:
        section = json.dumps(config.get("ipam"), sort_keys=True)
    except RecursionError:  # it was read where the stack was less deep
        section = "nested too deeply"
    digest = hashlib.blake2b(section.encode("ascii"), digest_size=16)
    return NetworkIpam(name_of(config), digest.hexdigest())


def name_of(config: Mapping[str, object]) -> str:
    """Return the name of the network, "" where the configuration has none that is valid."""
    name = config.get("name")
    return name if isinstance(name, str) and is_network_name(name) else ""


def require(request: CniRequest, host: Host) -> None:
    """Raise ConfigError or MachineError if the IPAM plugin is missing or cannot be run."""
    _find_program(request, host)


def add(request: CniRequest, host: Host, lock: int | None = None) -> CniResult:
    """Run the IPAM plugin's ADD, and return its result with at least one address.

    The caller runs its DEL when this or anything later fails (SPEC section 4). If the caller is
    killed, the plugin holds its `lock` until it has ended: a DEL before that would find no lease.
    Raises IpamError, ConfigError, MachineError.
    """
    program = _find_program(request, host, lock)
    return _read_result(program, _run(program, request, Command.ADD), request)


def delete(request: CniRequest, host: Host) -> None:
    """Run the IPAM plugin's DEL, which releases this attachment's lease. Idempotent by SPEC.

    `request` may be of any command, and may come from a record.
    Raises IpamError, ConfigError, MachineError.
    """
    _run(_find_program(request, host), request, Command.DEL)


def check(request: CniRequest, host: Host) -> None:
    """Run the IPAM plugin's CHECK. Raises IpamError, ConfigError, MachineError."""
    _run(_find_program(request, host), request, Command.CHECK)


def gc(request: CniRequest, host: Host, is_wanted: Callable[[], bool] = lambda: True) -> None:
    """Run the IPAM plugin's GC; kill it once `is_wanted` returns False.

    Raises as `check` does.
    """
    _run(replace(_find_program(request, host), is_wanted=is_wanted), request, Command.GC)


def status(request: CniRequest, host: Host) -> None:
    """Run the IPAM plugin's STATUS: can it serve an ADD. Raises as `check` does."""
    _run(_find_program(request, host), request, Command.STATUS)


@dataclass(frozen=True, slots=True)
class _Program:
    """The configured IPAM plugin, and its path on the host.

    `lock` is a descriptor that it inherits; it is killed once `is_wanted` returns False.
    """

    name: str
    path: Path
    host: Host
    lock: int | None = None
    is_wanted: Callable[[], bool] = lambda: True


class _KilledError(Exception):
    """We killed a program; the text says why."""


class _HungError(_KilledError):
    """It did not end within its time limit."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A program's exit: as in subprocess, a negative status is a signal."""

    status: int
    output: bytes


def _find_program(request: CniRequest, host: Host, lock: int | None = None) -> _Program:
    name = _program_name(request.config)
    folders = os.pathsep.join(map(str, request.path))
    search = partial(shutil.which, name, path=folders)
    program = hostroot.run_below(host.root, search) if folders else None
    if program is None:
        raise MachineError(
            f"cannot find the IPAM plugin {name!r} as an executable file in CNI_PATH: searched "
            f"{folders or 'nothing, since it is empty'}; install the plugin there or "
            "correct ipam.type"
        )
    return _Program(name, Path(program), host, lock)


def _program_name(config: Mapping[str, object]) -> str:
    section = config.get("ipam")
    name = section.get("type") if isinstance(section, dict) else section
    if not isinstance(name, str) or not name or set(name) & set("/\\\0") or name in {".", ".."}:
        _refuse_name(name, "give the file name of an IPAM plugin, without a folder")
    if name == config.get("type"):
        _refuse_name(name, "name another plugin: this one would call itself without end")
    if (
        name in NOT_IPAM
    ):  # it would change interfaces as root, also those that the node does not lend
        _refuse_name(name, "name an IPAM plugin, such as host-local")
    return name


def _refuse_name(name: object, remedy: str) -> NoReturn:
    raise ConfigError(
        f"cannot run the IPAM plugin of the network configuration: ipam.type is {name!r}; {remedy}"
    )


def _read_result(program: _Program, output: bytes, request: CniRequest) -> CniResult:
    try:
        values = decode_object(output, "its result", MAX_ELEMENTS)
        result = CniResult.from_json(values, request.cni_version, "its result")
    except CniError as error:
        reason = f"{error.msg}; {_stdout_tail(output)}"
        raise IpamError(program.name, Command.ADD, reason) from error
    if not result.ips:
        reason = f"its result holds no address; {_stdout_tail(output)}"
        raise IpamError(program.name, Command.ADD, reason)
    return result


def _run(program: _Program, request: CniRequest, command: Command) -> bytes:
    """Run one command of the plugin and return its stdout; its stderr is passed on at its end."""
    try:
        outcome = _execute(program, request.stdin, _environment(request, command))
    except _KilledError as error:
        kind = IpamHungError if isinstance(error, _HungError) else IpamError
        raise kind(program.name, command, f"{error} and was killed") from error
    if outcome.status != 0:
        raise _failure(program, command, outcome)
    return outcome.output


def _environment(request: CniRequest, command: Command) -> dict[str, str]:
    """Return our environment with the CNI_* variables of the request and no others.

    Variables may vanish meanwhile: the first call to kubelet sets some for its import of gRPC.
    """
    texts = {name: os.environ.get(name) for name in os.environ if not name.startswith("CNI_")}
    ours = {name: text for name, text in texts.items() if text is not None}
    return {**ours, **request.environment, "CNI_COMMAND": str(command)}


def _failure(program: _Program, command: Command, outcome: _Outcome) -> IpamError:
    """Return the plugin's own error if its stdout has one (SPEC section 5, Error)."""
    with contextlib.suppress(CniError):
        fields = JsonObject(decode_object(outcome.output, "stdout", MAX_ELEMENTS), "stdout")
        code = fields.number("code")
        if code is not None:
            msg = fields.text("msg") or f"it answered code {code} without a message"
            return IpamError(program.name, command, msg, code, fields.text("details"))
    reason = f"{_describe_end(outcome.status)} without a CNI error; {_stdout_tail(outcome.output)}"
    return IpamError(program.name, command, reason)


def _describe_end(status: int) -> str:
    if status >= 0:
        return f"it ended with exit status {status}"
    try:
        return f"it was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"it was killed by signal {-status}"


def _stdout_tail(output: bytes) -> str:
    text = output.decode("utf-8", "replace").strip()
    if not text:
        return "its stdout is empty"
    return f"its stdout ends with {text[-_TAIL_CHARACTERS:]!r}"


def _execute(program: _Program, stdin: bytes, environ: dict[str, str]) -> _Outcome:
    """Run a program in a process group of its own, which is killed when it does not end.

    Raises _KilledError, or MachineError or TryLaterError when it cannot be started.
    """
    timeout_s = program.host.ipam_timeout_s
    deadline = time.monotonic() + timeout_s
    with _passed_on_stderr() as complaints:
        with os.fdopen(os.memfd_create("cni-stdin"), "w+b") as source:
            source.write(stdin)
            source.seek(0)
            process = _start(program, source, complaints, environ)
        try:
            output = _read_output(process, complaints, deadline, program.is_wanted)
            return _Outcome(process.wait(max(0.0, deadline - time.monotonic())), output)
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            raise _HungError(f"it did not end within {timeout_s:g} s") from error
        finally:
            _end(process)


@contextlib.contextmanager
def _passed_on_stderr() -> Iterator[int]:
    """Yield a descriptor for a program's stderr; its content is written to ours at the end.

    A file in memory: on our own stderr, or a pipe, the program would hang without a reader.
    """
    with os.fdopen(os.memfd_create("cni-stderr"), "rb") as complaints:
        try:
            yield complaints.fileno()
        finally:
            complaints.seek(0)
            log.pass_on(complaints.read(_PASSED_ON_BYTES).decode("utf-8", "backslashreplace"))


def _start(
    program: _Program, source: IO[bytes], complaints: int, environ: dict[str, str]
) -> subprocess.Popen[bytes]:
    """Start a program; retry for a second while it is being written (ETXTBSY), as libcni."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # CNI_PATH and ipam.type are the runtime's
            [program.path],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=environ,
            start_new_session=True,
            pass_fds=() if program.lock is None else (program.lock,),
        )

    for retries_left in reversed(range(_BUSY_RETRIES)):
        try:
            return hostroot.run_below(program.host.root, start)
        except OSError as error:
            if error.errno != errno.ETXTBSY or not retries_left:
                raise _describe_start(program, error) from error
            time.sleep(_BUSY_DELAY_S)
    raise AssertionError(program.path)


def _describe_start(program: _Program, error: OSError) -> SriovbondError:
    reason = errno.errorcode.get(error.errno or 0, str(error))
    text = f"cannot start the IPAM plugin {str(program.path)!r}: {reason}"
    if error.errno in _SHORTAGES:
        return TryLaterError(f"{text}; there is no room for another process now")
    return MachineError(f"{text}; install it anew")


def _read_output(
    process: subprocess.Popen[bytes],
    complaints: int,
    deadline: float,
    is_wanted: Callable[[], bool],
) -> bytes:
    """Read stdout until its end, or until the program has ended and no more output is there.

    The second, since a daemon started by the program may hold the pipe for ever.
    """
    descriptor = _stdout_descriptor(process)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    output = bytearray()
    while len(output) <= MAX_OUTPUT_BYTES:
        if time.monotonic() > deadline:
            raise TimeoutError
        if not is_wanted():
            raise _KilledError("its caller has gone: it")
        if os.fstat(complaints).st_size > MAX_OUTPUT_BYTES:
            raise _KilledError(f"it wrote more than {MAX_OUTPUT_BYTES} bytes to stderr")
        has_ended = process.poll() is not None
        if poll.poll(_EXIT_POLL_MS):
            chunk = os.read(descriptor, _CHUNK_BYTES)
            output += chunk
            has_ended = not chunk
        if has_ended:
            return bytes(output)
    raise _KilledError(f"it wrote more than {MAX_OUTPUT_BYTES} bytes to stdout")


def _stdout_descriptor(process: subprocess.Popen[bytes]) -> int:
    if process.stdout is None:
        raise AssertionError(process.args)
    return process.stdout.fileno()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Close its descriptors, and kill its group if it still runs.

    A process in uninterruptible sleep (a dead NFS server) is left: it ends when the kernel wakes
    it.
    """
    if process.stdout:
        process.stdout.close()
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(_KILLED_S)
    except subprocess.TimeoutExpired:
        text = (
            "an IPAM plugin was killed and does not end: it waits in the kernel; look at its disk"
        )
        log.event(logging.ERROR, text, pid=process.pid)
