"""What is aimed at in the figures of one run; how near it comes hangs on the machine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tests.bench.rows import Case, Row

CORE = Case("sriovbond", "ADD", "vf")


@dataclass(frozen=True, slots=True)
class Target:
    """One case takes at most so many times what another one takes."""

    case: Case
    other: Case
    most: float

    def words(self) -> str:
        less = "the kernel's limit" if self.other.subject == "netlink" else self.other.subject
        if self.other.subject == self.case.subject:
            less = f"with {self.other.existing_bonds} bond there"
        return f"{self.case.command}, {self.case.title()}: at most {self.most} x {less}"


def _targets() -> Iterator[Target]:
    for command, limit, peer in (("ADD", 1.4, 0.6), ("DEL", 1.2, 0.65)):
        case = replace(CORE, command=command)
        yield Target(case, replace(case, subject="netlink"), limit)
        yield Target(case, replace(case, subject="bond-cni"), peer)
    for members in ("vf", "dummy"):
        for command in ("ADD", "DEL"):
            case = replace(CORE, command=command, members=members, existing_bonds=250)
            yield Target(case, replace(case, existing_bonds=1), 1.2)


TARGETS = tuple(_targets())


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was found; `ratio` is None where one of the cases was left out.

    `least` is the kernel's limit by the same measure: nobody can be below it.
    """

    target: Target
    ratio: float | None
    least: float | None

    @property
    def is_short(self) -> bool:
        return self.ratio is not None and self.ratio > self.target.most

    def __str__(self) -> str:
        if self.ratio is None:
            return f"left out  {self.target.words()}"
        verdict = (
            f"{'missed' if self.is_short else 'ok':<9} {self.target.words()}: {self.ratio:.2f}"
        )
        return f"{verdict}; the kernel's limit: {self.least:.2f}" if self.least else verdict


def judge(rows: Sequence[Row]) -> list[Verdict]:
    medians = {row.case: row.median_ms for row in rows}

    def ratio(case: Case, other: Case) -> float | None:
        median_ms, two = medians.get(case), medians.get(other)
        return median_ms / two if median_ms and two else None

    return [
        Verdict(
            target,
            ratio(target.case, target.other),
            ratio(replace(target.case, subject="netlink"), target.other)
            if target.other.subject == "bond-cni"
            else None,
        )
        for target in TARGETS
    ]
