"""The exceptions of sriovbond, classified by who can act on them; without CNI codes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, the remedy, and the id of the violated rule (bond/rules)."""

    text: str
    remedy: str = ""
    rule: str = ""

    @property
    def words(self) -> str:
        """Return fault and remedy as a text for a log line, which has the rule as a field."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    def __str__(self) -> str:
        """Return the text for people: the only place that adds the rule to a text."""
        return f"{self.words} [{self.rule}]" if self.rule else self.words


class SriovbondError(Exception):
    """A failure: `faults` for the operator, `hints` at other possible reasons; `details`."""

    hints: tuple[Fault, ...] = ()

    def __init__(
        self, fault: str | Fault, details: str = "", further: Iterable[Fault] = ()
    ) -> None:
        super().__init__()
        first = fault if isinstance(fault, Fault) else Fault(fault)
        self.faults = (first, *further)
        self.details = details

    @classmethod
    def of(cls, what: str, faults: Sequence[Fault], hints: Iterable[Fault] = ()) -> Self:
        """Return the error that `what` failed for all of these faults, at least one."""
        first, *rest = faults
        error = cls(replace(first, text=f"{what}: {first.text}"), further=rest)
        error.hints = tuple(hints)
        return error

    @property
    def message(self) -> str:
        """The text for people, without the details."""
        return "; ".join(map(str, (*self.faults, *self.hints)))

    @property
    def rule(self) -> str:
        """The id of the violated rule, the first of several; empty if none."""
        return next((fault.rule for fault in self.faults if fault.rule), "")

    @property
    def remedy(self) -> str:
        """The remedy of the first fault, if it is separate from its text."""
        return self.faults[0].remedy

    def __str__(self) -> str:
        return self.message


class ConfigError(SriovbondError):
    """The network configuration is invalid: edit it."""


class RefusedError(SriovbondError):
    """The request cannot work on these devices: change the request, the PF or the driver."""


class TryLaterError(SriovbondError):
    """The request is valid, but cannot be served at this moment: retry."""


class MachineError(SriovbondError):
    """A file, a program or a namespace of this node is missing or unusable: repair the node."""


class UnavailableError(SriovbondError):
    """No ADD can succeed on this node now: repair what is named."""


class NamespaceError(SriovbondError):
    """CNI_NETNS is not a pod's namespace: check the runtime."""


class KernelError(SriovbondError):
    """The kernel refused a request: `errno` is the reason, `said` the kernel's own text."""

    def __init__(
        self, fault: str | Fault, errno: int, details: str = "", *, said: str = ""
    ) -> None:
        super().__init__(fault, details)
        self.errno = errno
        self.said = said


class DriftError(SriovbondError):
    """The kernel's state differs from the record: check who changed it."""


@contextmanager
def collected(failures: list[str]) -> Iterator[None]:
    """Append the message of an error in the block to `failures`, and go on behind the block."""
    try:
        yield
    except SriovbondError as error:
        failures.append(error.message)
