"""The CNI_* variables: which commands require each, and the valid values."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sriovbond.cni.decoding import shorten
from sriovbond.cni.versions import Command
from sriovbond.cni.wire import CniError, ErrorCode

NAME_RULE = "start with a letter or digit and go on with letters, digits, '_', '.' or '-'"

MAX_NETWORK_NAME = 255
"""Of a file's name: libcni calls its result of each ADD by the network, and fails for a longer."""

_MAX_IFNAME_BYTES = 15
_ATTACHMENT = frozenset({Command.ADD, Command.CHECK, Command.DEL})
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_NETWORK_NAME = re.compile(rf"[a-zA-Z0-9][a-zA-Z0-9_.\-]{{0,{MAX_NETWORK_NAME - 1}}}")
_NOT_PLAIN = re.compile(r"[/:\0\s]")

# SPEC section 2, "Required environment parameters". Go's skel asks for CNI_PATH in all of them.
_REQUIRED = {
    "CNI_CONTAINERID": _ATTACHMENT,
    "CNI_NETNS": frozenset({Command.ADD, Command.CHECK}),
    "CNI_IFNAME": _ATTACHMENT,
    "CNI_PATH": frozenset({Command.GC}),
}


@dataclass(frozen=True, slots=True)
class _Rule:
    """The requirement on a variable for some commands; `holds` checks a non-empty value."""

    variable: str
    commands: frozenset[Command]
    must: str
    holds: Callable[[str], bool]


def is_name(text: str) -> bool:
    """Return whether `text` is a valid name of a container or a network (SPEC sections 1 and 2)."""
    return _NAME.fullmatch(text) is not None


def is_network_name(text: str) -> bool:
    """Return whether `text` is the name of a network that may have attachments."""
    return _NETWORK_NAME.fullmatch(text) is not None


def _is_short(ifname: str) -> bool:
    return len(ifname.encode("utf-8", "surrogatepass")) <= _MAX_IFNAME_BYTES


def _is_utf8(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _is_plain(ifname: str) -> bool:
    return _NOT_PLAIN.search(ifname) is None


# The rules for an interface name are the kernel's dev_valid_name(); with '%' in it,
# dev_alloc_name() would choose a number.
_RULES = (
    _Rule("CNI_CONTAINERID", _ATTACHMENT, NAME_RULE, is_name),
    _Rule("CNI_IFNAME", _ATTACHMENT, "be UTF-8", _is_utf8),
    _Rule("CNI_IFNAME", _ATTACHMENT, f"be at most {_MAX_IFNAME_BYTES} bytes", _is_short),
    _Rule("CNI_IFNAME", _ATTACHMENT, "not hold '/', ':' or white space", _is_plain),
    _Rule("CNI_IFNAME", _ATTACHMENT, "not be '.' or '..'", lambda name: name not in {".", ".."}),
    _Rule("CNI_IFNAME", frozenset({Command.ADD}), "not hold '%'", lambda name: "%" not in name),
)


def read_command(environ: Mapping[str, str]) -> Command:
    """Return CNI_COMMAND. Raises CniError 4."""
    text = environ.get("CNI_COMMAND", "")
    if text not in Command.__members__:
        state = f"is {shorten(text)}" if text else "is not set"
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT,
            f"cannot run a command: CNI_COMMAND {state}; it must be one of {', '.join(Command)}",
        )
    return Command(text)


def check_variables(command: Command, environ: Mapping[str, str]) -> None:
    """Raise CniError 4 naming each variable that is missing or invalid for `command`."""
    missing = [
        f"{variable} is not set"
        for variable, commands in _REQUIRED.items()
        if command in commands and not environ.get(variable)
    ]
    broken = [
        f"{rule.variable} is {shorten(environ[rule.variable])} and must {rule.must}"
        for rule in _RULES
        if command in rule.commands
        and environ.get(rule.variable)
        and not rule.holds(environ[rule.variable])
    ]
    if missing or broken:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT,
            f"cannot run {command}: {'; '.join(missing + broken)}",
            "the runtime sets these variables (CNI SPEC section 2, Parameters)",
        )


def parse_args(text: str) -> dict[str, str]:
    """Return the pairs of CNI_ARGS (`KEY=VALUE;...`); empty pairs are ignored.

    Raises CniError 4 naming every malformed pair.
    """
    pairs = [pair.partition("=") for pair in text.split(";") if pair]
    broken = [key + sign + value for key, sign, value in pairs if not (key and sign)]
    if broken:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT,
            f"cannot read CNI_ARGS: found {', '.join(map(shorten, broken))}; "
            "each part between ';' must be KEY=VALUE",
        )
    return {key: value for key, _, value in pairs}


def parse_path(text: str) -> tuple[Path, ...]:
    """Return the folders of CNI_PATH; an empty entry, in a shell the current folder, is ignored."""
    return tuple(Path(folder) for folder in text.split(":") if folder)


def is_true(text: str) -> bool:
    """Return whether a boolean such as CNI_NETNS_OVERRIDE is true (Go's pkg/skel)."""
    return text.upper() in {"TRUE", "1"}
