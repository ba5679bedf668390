"""What `make fuzz` has judged: kept in a file, and shown as a table."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.fuzz.tally import Tally

FILE: Final = Path("build/fuzz.json")
PUBLISHED: Final = Path("docs/fuzz.json")
"""What the last `make fuzz` wrote that SECURITY.md shows: copied there by hand."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A run: its day, what chose its inputs, its faults, and a tally of each kind of input."""

    day: str
    seed: int
    faults: int
    tallies: dict[str, Tally]

    @property
    def inputs(self) -> int:
        return sum(tally.inputs for tally in self.tallies.values())


def read(path: Path) -> Counted:
    """Return the run of a file."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    tallies = {what: Tally(**tally) for what, tally in fields.pop("tallies").items()}
    return Counted(tallies=tallies, **fields)


def write(path: Path, counted: Counted) -> None:
    """Write it."""
    path.write_text(json.dumps(asdict(counted), indent=1) + "\n", encoding="utf-8")


def table(counted: Counted) -> str:
    """Return a sentence on the whole, and a row for each kind of input."""
    return "\n".join([_sentence(counted), "", *_rows(counted)])


def _sentence(counted: Counted) -> str:
    return (
        f"{counted.inputs:,} inputs on {counted.day}, seed {counted.seed}: "
        f"{counted.faults} of the runs ended with a fault."
    )


def _rows(counted: Counted) -> Iterator[str]:
    yield "| input | judged | slowest | most memory |"
    yield "|---|--:|--:|--:|"
    for what, tally in counted.tallies.items():
        yield f"| {what} | {tally.inputs:,} | {tally.slowest_s:.2f} s | {tally.most_mib} MiB |"
