"""The exceptions of sriovbond, sorted by what their reader can do; they know no CNI codes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, what to do about it, and the id of the rule (bond/rules) that it breaks."""

    text: str
    remedy: str = ""
    rule: str = ""

    @property
    def words(self) -> str:
        """What is wrong and what to do, for a log line, where the rule is a field."""
        return f"{self.text}; {self.remedy}" if self.remedy else self.text

    def __str__(self) -> str:
        """Write it as people read it: the one place that puts a rule into a text."""
        return f"{self.words} [{self.rule}]" if self.rule else self.words


class SriovbondError(Exception):
    """What went wrong: `faults` for the operator, `hints` at what else may be why; `details`."""

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
        """Make the error that says what cannot be done for all of these, one at least."""
        first, *rest = faults
        error = cls(replace(first, text=f"{what}: {first.text}"), further=rest)
        error.hints = tuple(hints)
        return error

    @property
    def message(self) -> str:
        """All of it but the details, as people read it."""
        return "; ".join(map(str, (*self.faults, *self.hints)))

    @property
    def rule(self) -> str:
        """The id of the rule that was broken, the first of several; empty where none was."""
        return next((fault.rule for fault in self.faults if fault.rule), "")

    @property
    def remedy(self) -> str:
        """What to do, where the first fault says it apart from what was found."""
        return self.faults[0].remedy

    def __str__(self) -> str:
        return self.message


class ConfigError(SriovbondError):
    """The network configuration asks for something that has no meaning: edit it."""


class RefusedError(SriovbondError):
    """What is asked cannot work on these devices: change the request, the PF or the driver."""


class TryLaterError(SriovbondError):
    """Nothing is wrong with the request, only with the moment: try again."""


class MachineError(SriovbondError):
    """A file, a program or a namespace of this node is missing or unusable: mend the node."""


class UnavailableError(SriovbondError):
    """No ADD can succeed on this node now: mend what is named."""


class NamespaceError(SriovbondError):
    """CNI_NETNS is the namespace of no pod: look at the runtime."""


class KernelError(SriovbondError):
    """The kernel refused a request: `errno` is its reason, `said` are its own words."""

    def __init__(
        self, fault: str | Fault, errno: int, details: str = "", *, said: str = ""
    ) -> None:
        super().__init__(fault, details)
        self.errno = errno
        self.said = said


class DriftError(SriovbondError):
    """The kernel has something else than was asked for: look at who changed it."""
