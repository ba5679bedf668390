"""What a soak of pods counted: kept in a file, and shown as a table."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypedDict

FILE: Final = Path("soak.json")
"""In the folder of the node's logs."""
PUBLISHED: Final = Path("docs/node-soak.json")
FAULTS: Final = "faults"
LATE: Final = "faults that came too late"
Counts = Mapping[str, Mapping[str, int]]
"""By what was counted, how often each kind of it was."""


class Soaked(TypedDict):
    """A soak: how it was run, what did not hold, and the counts."""

    day: str
    linux: str
    pods: int
    seed: int
    at_once: int
    mover: str
    seconds: int
    against: list[str]
    counts: Counts


def read(path: Path) -> Soaked:
    """Return the soak of a file."""
    soaked: Soaked = json.loads(path.read_text(encoding="utf-8"))
    return soaked


def write(path: Path, soaked: Soaked) -> None:
    """Write it."""
    path.write_text(json.dumps(soaked, indent=1) + "\n", encoding="utf-8")


def table(soaked: Soaked) -> str:
    """Return a sentence on the whole, and a row for each kind of what was counted."""
    return "\n".join([_sentence(soaked), "", "| | | pods |", "|---|---|---|", *_rows(soaked)])


def _sentence(soaked: Soaked) -> str:
    minutes = round(soaked["seconds"] / 60)
    return (
        f"{soaked['pods']} pods, {soaked['at_once']} at once, their VFs moved by "
        f"{soaked['mover']}, on Linux {soaked['linux']} on {soaked['day']}, seed {soaked['seed']}: "
        f"{minutes} minutes, and {len(soaked['against'])} times something did not hold."
    )


def _rows(soaked: Soaked) -> Iterator[str]:
    for what, rows in soaked["counts"].items():
        for name, count in rows.items():
            yield f"| {what} | {name} | {count} |"
