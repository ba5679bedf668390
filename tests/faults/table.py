"""What faults did, as measured: kept in a file, and shown as a table."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

PUBLISHED: Final = Path("docs/faults.json")
"""What the last `make faults` wrote that the docs show: copied there by hand."""
UNPUBLISHED: Final = (
    "No run has been published yet. What judges was tried with faults of the disk and of links, "
    "without bonds; no run over bonds has been seen."
)
FILE: Final = Path("build/faults.json")
Case = tuple[str, str]
"""A fault and its phase."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fault in one phase and way: what was answered, and what did not hold.

    `times` is how often it struck, each time at another step.
    """

    fault: str
    phase: str
    way: str
    answers: str
    against: list[str]
    took_s: float
    times: int = 1

    @property
    def holds(self) -> bool:
        return not self.against

    def __str__(self) -> str:
        state = "held" if self.holds else "BROKEN"
        times = f" at {self.times} steps" if self.times > 1 else ""
        line = f"{state:7}{self.way:6}{self.fault}, {self.phase}{times}: {self.answers}"
        return "\n".join(
            [f"{line} ({self.took_s:.1f} s)", *(f"       {it}" for it in self.against)]
        )


@dataclass(frozen=True, slots=True)
class Run:
    """The rows of a run, with the kernel's release and the day of the last of them."""

    kernel: str
    rows: list[Row]
    date: str = ""

    @property
    def broken(self) -> list[Row]:
        return [row for row in self.rows if not row.holds]


def read(path: Path) -> Run:
    """Return what a run wrote."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    rows = [Row(**row) for row in fields["rows"]]
    return Run(fields["kernel"], rows, fields.get("date", ""))


def write(path: Path, run: Run) -> None:
    """Write it; a run may be cut short, so after each row."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(run), indent=1) + "\n", encoding="utf-8")


def join(before: Run, after: Run) -> Run:
    """Return both runs as one; of a case that both have the later rows stay."""
    cases = {(row.fault, row.phase) for row in after.rows}
    kept = [row for row in before.rows if (row.fault, row.phase) not in cases]
    return Run(after.kernel, [*kept, *after.rows], after.date or before.date)


def table(run: Run, cases: Sequence[Case] = ()) -> str:
    """Return the counts, and a row for each fault and phase with the answers of both ways.

    They are in the order of `cases`; those of them that the run does not have follow.
    """
    if not run.rows:
        return UNPUBLISHED
    places = {case: place for place, case in enumerate(cases)}
    rows = sorted(run.rows, key=lambda row: places.get((row.fault, row.phase), len(places)))
    return "\n".join([*_counts(run), "", *_rows(rows), *_missing(run, cases)])


def _counts(run: Run) -> Iterator[str]:
    faults = len({row.fault for row in run.rows})
    struck = sum(row.times for row in run.rows)
    held = len(run.rows) - len(run.broken)
    yield (
        f"{faults} faults in {len(run.rows)} cases, {struck} times in all, on Linux "
        f"{run.kernel.removesuffix('-amd64')}, the last of them on {run.date}: "
        f"{held} cases held, {len(run.broken)} did not."
    )


def _rows(rows: Sequence[Row]) -> Iterator[str]:
    yield "| fault | when | thin | thick |"
    yield "|---|---|---|---|"
    cells: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        cells.setdefault((row.fault, row.phase), {})[row.way] = row
    for (fault, phase), ways in cells.items():
        yield f"| {fault} | {phase} | {_cell(ways.get('thin'))} | {_cell(ways.get('thick'))} |"


def _missing(run: Run, cases: Sequence[Case]) -> Iterator[str]:
    """Say which cases no run has shown yet, by their phase."""
    played = {(row.fault, row.phase) for row in run.rows}
    missing: dict[str, list[str]] = {}
    for fault, phase in cases:
        if (fault, phase) not in played:
            missing.setdefault(phase, []).append(fault)
    if missing:
        count = sum(map(len, missing.values()))
        yield from (
            "",
            f"Not shown by a run yet: {count} of {len(cases)} faults in their phases.",
        )
        yield ""
    for phase, faults in missing.items():
        yield f"- {phase}: {'; '.join(faults)}"


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    times = f" at each of {row.times} steps" if row.times > 1 else ""
    words = f"{row.answers}{times}"
    return words if row.holds else f"**{words}; {row.against[0].replace('|', ' ')}**"
