"""Serves a call: command to function, exception to CNI code, result to JSON."""

import errno
import json
import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from deviceinfo import Ask
from sriovbond import log
from sriovbond.bond.options import normal_key
from sriovbond.cni.network import NetworkText, read_network
from sriovbond.cni.request import Caller, CniRequest, parse_request
from sriovbond.cni.versions import CURRENT_VERSION, SUPPORTED_VERSIONS, Command, version_report
from sriovbond.cni.wire import CniError, ErrorCode, error_json
from sriovbond.errors import (
    ConfigError,
    DriftError,
    KernelError,
    MachineError,
    NamespaceError,
    RefusedError,
    SriovbondError,
    TryLaterError,
    UnavailableError,
)
from sriovbond.host import Host
from sriovbond.ipam import IpamError
from sriovbond.subject import Subject

if TYPE_CHECKING:  # most calls release nothing
    from sriovbond.release import Keeper

REFUSED, DRIFT, KERNEL, IPAM, INTERNAL = 101, 102, 103, 104, 199
CODES: Final[tuple[tuple[type[SriovbondError], int], ...]] = (
    (ConfigError, ErrorCode.INVALID_CONFIG),
    (RefusedError, REFUSED),
    (TryLaterError, ErrorCode.TRY_AGAIN_LATER),
    (MachineError, ErrorCode.IO_FAILURE),
    (KernelError, KERNEL),
    (DriftError, DRIFT),
    (NamespaceError, ErrorCode.INVALID_NETNS),
    (UnavailableError, ErrorCode.NOT_AVAILABLE),
)
_SHORTAGES: Final = {
    errno.EMFILE: "this process has as many files open as it may: raise its limit (LimitNOFILE)",
    errno.ENFILE: "this machine has as many files open as it may: raise fs.file-max",
}
_NO_THREAD: Final = "can't start new thread"  # CPython's RuntimeError, for EAGAIN of clone(2)
_RECEIVED: Final = {
    "command": "CNI_COMMAND",
    "container": "CNI_CONTAINERID",
    "ifname": "CNI_IFNAME",
}
_MOST_IN_ANSWER: Final = 16_384  # characters of an error's text
_MOST: Final = 80  # characters; a container's id has 64


class Failure(NamedTuple):  # see bond/rules.Rule
    """An error as the runtime gets it; `rule` is the id of the violated rule, if any."""

    code: int
    message: str
    details: str = ""
    rule: str = ""
    cause: Exception | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The runtime's answer: stdout and exit status; and the failure, if it is an error."""

    stdout: str
    status: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Agency:
    """What the agent adds to a call: the opened CNI_NETNS, the client, the keeper of leases."""

    netns_descriptor: int | None = None
    caller: Caller | None = None
    keeper: "Keeper | None" = None


_NONE: Final = Agency()


def answer(
    environ: Mapping[str, str],
    stdin: bytes,
    host: Host,
    asks: Sequence[Ask] = (),
    agency: Agency = _NONE,
) -> Answer:
    """Serve one call; `asks` are sources of device facts beyond this node.

    Never raises: failures become the answer.
    """
    try:
        request = _parse(environ, stdin, agency.netns_descriptor)
        return Answer(_serve(request, host, asks, agency), 0)
    except Exception as error:  # noqa: BLE001 - the runtime must get JSON, whatever happened
        return answer_error(error, _version_of(stdin))


def answer_error(error: Exception, version: str = CURRENT_VERSION) -> Answer:
    """Return the answer for an error."""
    failure = _failure(error)
    message, details = _cut(failure.message), _cut(failure.details)
    values = error_json(version, failure.code, message, details)
    return Answer(_json(values), 1, failure)


def _cut(text: str) -> str:
    """Return a text that Events and logs can take: a value that it quotes may have 4 MiB."""
    rest = len(text) - _MOST_IN_ANSWER
    return f"{text[:_MOST_IN_ANSWER]}... ({rest} more)" if rest > 0 else text


def _parse(environ: Mapping[str, str], stdin: bytes, netns_descriptor: int | None) -> CniRequest:
    """Parse the request; a malformed one is logged with its CNI_* variables."""
    try:
        return parse_request(environ, stdin, netns_descriptor)
    except Exception as error:
        received = {field: environ.get(name, "")[:_MOST] for field, name in _RECEIVED.items()}
        _tell(error, **received)
        raise


def _serve(request: CniRequest, host: Host, asks: Sequence[Ask], agency: Agency) -> str:
    with log.logged_to(request.text.once(_find_log_file), host.logs, **_fields(request)):
        try:
            return _run(request, host, asks, agency)
        except Exception as error:
            _tell(error)
            raise


def _tell(error: Exception, **fields: object) -> None:
    """Log the error of an answer."""
    failure = _failure(error)
    facts = {"rule": failure.rule, "details": failure.details}
    facts = {name: fact for name, fact in facts.items() if fact}
    log.event(logging.ERROR, failure.message, **fields, code=int(failure.code), **facts)


def _run(request: CniRequest, host: Host, asks: Sequence[Ask], agency: Agency) -> str:
    """Call the command's function; each imports only what it needs."""
    match request.command:
        case Command.VERSION:
            return _json(version_report(request.cni_version))
        case Command.ADD:
            from sriovbond.commands.add import add  # noqa: PLC0415 - see above

            return _json(add(request, host, asks, agency.keeper).to_json(request.cni_version))
        case Command.DEL:
            from sriovbond.commands.delete import delete  # noqa: PLC0415

            delete(request, host, agency.keeper)
        case Command.CHECK:
            from sriovbond.commands.check import check  # noqa: PLC0415

            check(request, host)
        case Command.GC:
            from sriovbond.commands.gc import gc  # noqa: PLC0415

            gc(request, host, agency.caller or Caller(time.time()), agency.keeper)
        case Command.STATUS:
            from sriovbond.commands.status import status  # noqa: PLC0415

            status(request, host)
            return ""  # runtimes send it all the time
    log.event(logging.INFO, "done")
    return ""


def _failure(error: Exception) -> Failure:
    """Map an error to its CNI code: only here sriovbond's errors get one."""
    shortage = _shortage(error)
    if shortage:
        what = error.message if isinstance(error, SriovbondError) else "cannot go on now"
        return Failure(ErrorCode.TRY_AGAIN_LATER, f"{what}; {shortage}, or try later", cause=error)
    if isinstance(error, CniError):
        return Failure(error.code, error.msg, error.details, cause=error)
    if isinstance(error, SriovbondError):
        return Failure(_code(error), error.message, error.details, error.rule, error)
    trace = "".join(traceback.format_exception(error))
    message = f"cannot go on: {type(error).__name__}: {error}; this is a fault of sriovbond"
    return Failure(INTERNAL, message, trace, cause=error)


def _shortage(error: BaseException) -> str:
    """Return what was short at that moment, wherever in the call; "" where it was nothing."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, OSError) and reason.errno in _SHORTAGES:
            return _SHORTAGES[reason.errno]
        if isinstance(reason, RuntimeError) and str(reason) == _NO_THREAD:
            return "this process can start no thread: raise its limit (TasksMax, pids.max)"
        reason = reason.__cause__
    return ""


def _code(error: SriovbondError) -> int:
    if not isinstance(error, IpamError):
        return next(code for kind, code in CODES if isinstance(error, kind))
    # with code 3 the runtime would skip the DEL, and 0 is no error
    is_misleading = error.code in (None, 0, ErrorCode.UNKNOWN_CONTAINER)
    return IPAM if is_misleading or error.code is None else error.code


def _fields(request: CniRequest) -> dict[str, object]:
    return {"command": request.command, **Subject.of(request).fields}


def _find_log_file(text: NetworkText) -> str | None:
    values = (value for key, value in text.config.items() if normal_key(key) == "logfile")
    path = next(values, None)
    return path if isinstance(path, str) else None


def _version_of(stdin: bytes) -> str:
    """Return the cniVersion to answer errors in: the current one if stdin cannot be decoded."""
    try:
        version = read_network(stdin).config.get("cniVersion")
    except CniError:
        return CURRENT_VERSION
    return str(version) if version in SUPPORTED_VERSIONS else CURRENT_VERSION


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(values) + "\n"
