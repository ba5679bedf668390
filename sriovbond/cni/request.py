"""One CNI call: its environment and its stdin, parsed and checked."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sriovbond.cni import environment
from sriovbond.cni.attachment import NO_ATTACHMENT, Attachment
from sriovbond.cni.decoding import JsonObject, shorten
from sriovbond.cni.network import NO_TEXT, NetworkText, read_network
from sriovbond.cni.result import CniResult
from sriovbond.cni.versions import (
    ASSUMED_VERSION,
    CURRENT_VERSION,
    Command,
    check_command,
    check_version,
)
from sriovbond.cni.wire import CniError, ErrorCode

_T = TypeVar("_T")

_TOLERANT = frozenset({Command.DEL, Command.VERSION})
_ATTACHMENT_KEYS = ("cni.dev/valid-attachments", "cni.dev/attachments")


@dataclass(frozen=True, slots=True)
class CniRequest:
    """A checked CNI call.

    `netns` is "" when absent; `netns_descriptor` is the same namespace, opened and later closed by
    the caller; `environment` holds the CNI_* variables as received. For a DEL, `faults` lists what
    could not be parsed and has its default value.
    """

    command: Command
    attachment: Attachment = NO_ATTACHMENT
    netns: str = ""
    args: Mapping[str, str] = field(default_factory=dict, hash=False)
    text: NetworkText = NO_TEXT
    cni_version: str = CURRENT_VERSION
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    netns_override: bool = False
    prev_result: CniResult | None = None
    faults: tuple[str, ...] = ()
    netns_descriptor: int | None = None

    @property
    def config(self) -> Mapping[str, object]:
        """The network configuration; empty where it could not be parsed."""
        return self.text.config

    @property
    def stdin(self) -> bytes:
        """The network configuration as received."""
        return self.text.stdin

    @property
    def ifname(self) -> str:
        """The name of the bond in the pod, CNI_IFNAME."""
        return self.attachment.ifname

    @property
    def path(self) -> tuple[Path, ...]:
        """The folders of CNI_PATH."""
        return environment.parse_path(self.environment.get("CNI_PATH", ""))

    @property
    def network(self) -> str:
        """The network's name; "" when missing or invalid, which only a DEL accepts."""
        name = self.config.get("name")
        return name if isinstance(name, str) and environment.is_network_name(name) else ""


@dataclass(frozen=True, slots=True)
class Caller:
    """The waiting client: the start of its call, in seconds since the epoch; is it connected."""

    sent_at: float
    has_gone: Callable[[], bool] = lambda: False


def parse_request(
    environ: Mapping[str, str], stdin: bytes, netns_descriptor: int | None = None
) -> CniRequest:
    """Parse one call (SPEC section 2), in the order of Go's skel: variables, stdin, name, version.

    A DEL is never refused for its stdin or CNI_ARGS: their faults are listed in `faults`.
    Raises CniError: 4 environment, 6 stdin, 7 network name, 1 version.
    """
    command = environment.read_command(environ)
    environment.check_variables(command, environ)
    text, undecoded = _read_text(stdin, command)
    stated = text.once(_read_statements, command)
    args, faults = _read_args(environ.get("CNI_ARGS", ""), command)
    return CniRequest(
        command=command,
        attachment=Attachment.of(environ),
        netns=environ.get("CNI_NETNS", ""),
        args=args,
        text=text,
        cni_version=stated.cni_version,
        environment={name: text for name, text in environ.items() if name.startswith("CNI_")},
        netns_override=environment.is_true(environ.get("CNI_NETNS_OVERRIDE", "")),
        prev_result=stated.prev_result,
        faults=undecoded + stated.faults + faults,
        netns_descriptor=netns_descriptor,
    )


def valid_attachments(config: Mapping[str, object]) -> frozenset[Attachment]:
    """Return the attachments that a GC must keep (SPEC section 2, GC).

    Reads `cni.dev/valid-attachments`, else `cni.dev/attachments`, as in the tag spec-v1.1.0. null
    is an empty list, as libcni writes it: CRI-O sends it where a network has no pods left.
    Raises CniError 7 when neither is a list of attachments: then nothing may be removed.
    """
    node = JsonObject(config, "stdin")
    keys = [key for key in _ATTACHMENT_KEYS if key in config]
    if not keys:
        raise CniError(
            ErrorCode.INVALID_CONFIG,
            f"cannot collect garbage: found neither {' nor '.join(map(repr, _ATTACHMENT_KEYS))} "
            "on stdin, without which every attachment would count as stale; nothing was removed",
        )
    key = next(filter(node.has, keys), keys[0])
    try:
        return frozenset(
            Attachment(item.required_text("containerID"), item.required_text("ifname"))
            for item in node.children(key)
        )
    except CniError as error:
        raise CniError(
            ErrorCode.INVALID_CONFIG,
            f"cannot collect garbage: {error.msg}; nothing was removed",
        ) from error


@dataclass(frozen=True, slots=True)
class _Stated:
    """The values parsed from stdin; `faults` as in a request."""

    cni_version: str
    prev_result: CniResult | None
    faults: tuple[str, ...]


def _read_text(stdin: bytes, command: Command) -> tuple[NetworkText, tuple[str, ...]]:
    if command is Command.VERSION and not stdin.strip():
        return NO_TEXT, ()
    try:
        return read_network(stdin), ()
    except CniError as error:
        return NetworkText(stdin), _tolerate(error, command)


def _read_statements(text: NetworkText, command: Command) -> _Stated:
    reading, config = _Reading(command), text.config
    reading.attempt(lambda: _check_name(config, command), None)
    version = reading.attempt(lambda: _version(config, command), CURRENT_VERSION)
    prev_result = reading.attempt(lambda: _prev_result(config, version), None)
    return _Stated(version, prev_result, tuple(reading.faults))


def _read_args(text: str, command: Command) -> tuple[Mapping[str, str], tuple[str, ...]]:
    if command in {Command.GC, Command.STATUS, Command.VERSION}:
        return {}, ()
    try:
        return environment.parse_args(text), ()
    except CniError as error:
        return {}, _tolerate(error, command)


def _tolerate(error: CniError, command: Command) -> tuple[str, ...]:
    """Return the fault's text if `command` tolerates it; raise it otherwise."""
    if command not in _TOLERANT:
        raise error
    return (error.msg,)


@dataclass(frozen=True, slots=True)
class _Reading:
    """Parses the values of a request one by one, so that one fault does not hide another."""

    command: Command
    faults: list[str] = field(default_factory=list)

    def attempt(self, read: Callable[[], _T], default: _T) -> _T:
        """Return `read()`; for a tolerant command, on a fault, note it and return `default`."""
        try:
            return read()
        except CniError as error:
            self.faults.extend(_tolerate(error, self.command))
            return default


def _check_name(config: Mapping[str, object], command: Command) -> None:
    name = config.get("name")
    is_valid = isinstance(name, str) and environment.is_network_name(name)
    if command is Command.VERSION or is_valid:
        return
    raise CniError(
        ErrorCode.INVALID_CONFIG,
        f"cannot run {command}: the network configuration's name is {shorten(name)} "
        f"and must {environment.NAME_RULE}, {environment.MAX_NETWORK_NAME} at most",
    )


def _version(config: Mapping[str, object], command: Command) -> str:
    assumed = CURRENT_VERSION if command is Command.VERSION else ASSUMED_VERSION
    version = check_version(JsonObject(config, "stdin").text("cniVersion") or assumed)
    check_command(command, version)
    return version


def _prev_result(config: Mapping[str, object], version: str) -> CniResult | None:
    node = JsonObject(config, "stdin")
    if not node.has("prevResult"):
        return None
    return CniResult.from_json(node.child("prevResult").values, version, "prevResult")
