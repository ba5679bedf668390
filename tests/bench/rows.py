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
        one = "bond" if self.existing_bonds == 1 else "bonds"
        return words + (f", {self.existing_bonds} {one} there" if self.existing_bonds else "")


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
    flat = [{**asdict(one.case), **_figures(one)} for one in rows]
    path.write_text(json.dumps(flat, indent=1) + "\n", encoding="utf-8")


def _figures(one: Row) -> dict[str, float]:
    return {"n": one.n, "median_ms": one.median_ms, "p95_ms": one.p95_ms}


def read(path: Path) -> list[Row]:
    flat = json.loads(path.read_text(encoding="utf-8"))
    keys = ("n", "median_ms", "p95_ms")
    return [
        Row(Case(**{key: one[key] for key in one if key not in keys}), *(one[key] for key in keys))
        for one in flat
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
    lines = ["| | | " + " | ".join(NAMES[one] for one in SUBJECTS) + " |"]
    lines += ["|---|---|" + "---:|" * len(SUBJECTS)]
    for title in dict.fromkeys(one.case.title() for one in rows):
        for command in ("ADD", "DEL"):
            found = {
                one.case.subject: one
                for one in rows
                if (one.case.title(), one.case.command) == (title, command)
            }
            cells = (_cell(found.get(subject)) for subject in SUBJECTS)
            lines.append(f"| {title} | {command} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(one: Row | None) -> str:
    return f"{one.median_ms:.0f} ({one.p95_ms:.0f})" if one else ""
