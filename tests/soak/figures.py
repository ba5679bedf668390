"""The soak's figures, each with its bound: printed at once, written at the end."""

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; without a bound it is for information only."""

    part: str
    name: str
    value: float
    unit: str = ""
    most: float | None = None

    @property
    def holds(self) -> bool:
        return self.most is None or self.value <= self.most

    def __str__(self) -> str:
        bound = "" if self.most is None else f"   at most {self.most:g}"
        broken = "" if self.holds else "   BROKEN"
        value = f"{self.value:,.2f}".rstrip("0").rstrip(".")
        return f"{self.part:10} {self.name:58} {value:>12} {self.unit:6}{bound}{broken}"


@dataclass(slots=True)
class Report:
    """All figures of a run."""

    file: Path
    figures: list[Figure] = field(default_factory=list)

    def tell(
        self, part: str, name: str, value: float, unit: str = "", most: float | None = None
    ) -> None:
        """Take a figure, print it, and write all that there are: a run may be cut short."""
        figure = Figure(part, name, value, unit, most)
        self.figures.append(figure)
        sys.stdout.write(f"{figure}\n")
        sys.stdout.flush()
        self.file.parent.mkdir(exist_ok=True)
        rows = [{**asdict(figure), "holds": figure.holds} for figure in self.figures]
        self.file.write_text(json.dumps(rows, indent=2) + "\n")

    @property
    def broken(self) -> list[Figure]:
        return [figure for figure in self.figures if not figure.holds]
