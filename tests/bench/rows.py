"""What the bench measures, as rows: kept in a file, and shown as tables."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Case:
    """What one subject was asked; `kubelet`: it asked the kubelet's socket."""

    subject: str
    command: str
    members: str
    ipam: str | None = None
    kubelet: bool = False
    parallel: int = 1
    existing_bonds: int = 0

    def title(self) -> str:
        """Return the case in words, without its subject and command."""
        words = {"vf": "two VFs", "dummy": "two dummies"}[self.members]
        words += f", {self.ipam}" if self.ipam else ""
        words += ", a kubelet asked" if self.kubelet else ""
        words += f", {self.parallel} pods at once" if self.parallel > 1 else ""
        noun = "bond" if self.existing_bonds == 1 else "bonds"
        return words + (f", {self.existing_bonds} {noun} there" if self.existing_bonds else "")


@dataclass(frozen=True, slots=True)
class Row:
    """The times of a case."""

    case: Case
    n: int
    median_ms: float
    p95_ms: float


def row(case: Case, took_ms: Sequence[float]) -> Row:
    *_, p95 = statistics.quantiles(took_ms, n=20, method="inclusive")
    return Row(case, len(took_ms), round(statistics.median(took_ms), 1), round(p95, 1))


def write(path: Path, rows: Iterable[Row]) -> None:
    path.parent.mkdir(exist_ok=True)
    flat = [{**asdict(row.case), **_figures(row)} for row in rows]
    path.write_text(json.dumps(flat, indent=1) + "\n", encoding="utf-8")


def _figures(row: Row) -> dict[str, float]:
    return {"n": row.n, "median_ms": row.median_ms, "p95_ms": row.p95_ms}


def read(path: Path) -> list[Row]:
    flat = json.loads(path.read_text(encoding="utf-8"))
    keys = ("n", "median_ms", "p95_ms")
    return [
        Row(
            Case(**{key: entry[key] for key in entry if key not in keys}),
            *(entry[key] for key in keys),
        )
        for entry in flat
    ]


SUBJECTS = ("netlink", "sriovbond", "bond-cni", "sriovbond-thin")
NAMES = {
    "netlink": "the kernel's limit",
    "sriovbond": "sriovbond",
    "bond-cni": "bond-cni",
    "sriovbond-thin": "thin",
}


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table: a line for each case and command, median and p95 by subject."""
    lines = ["| | | " + " | ".join(NAMES[subject] for subject in SUBJECTS) + " |"]
    lines += ["|---|---|" + "---:|" * len(SUBJECTS)]
    for title in dict.fromkeys(row.case.title() for row in rows):
        for command in ("ADD", "DEL"):
            by_subject = {
                row.case.subject: row
                for row in rows
                if (row.case.title(), row.case.command) == (title, command)
            }
            cells = (_cell(by_subject.get(subject)) for subject in SUBJECTS)
            lines.append(f"| {title} | {command} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row | None) -> str:
    return f"{row.median_ms:.0f} ({row.p95_ms:.0f})" if row else ""
