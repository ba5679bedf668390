"""What kernels take of bonding, as measured: kept in a file, and shown as a table."""

import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, TypedDict

from sriovbond.bond.options import MEMBER_OPTIONS, OPTIONS, Option

PUBLISHED: Final = Path("docs/kernels.json")
"""What the last `make test-kernels` wrote that the docs tell of: copied there by hand."""


class Outcome(StrEnum):
    """What a kernel does with a value."""

    TAKEN = "taken"
    REFUSED = "refused"
    DROPPED = "dropped"
    """Without a word; the plugin reads the bond back, and refuses the ADD by the option's name."""


class Measured(TypedDict):
    """What a kernel does with an option: the modes in which it takes it, and its values."""

    modes: list[str]
    values: dict[str, Outcome]


class Kernel(TypedDict):
    """A kernel's release, and what it does with each option by its name."""

    release: str
    options: dict[str, Measured]


def read(path: Path) -> dict[str, Kernel]:
    """Return the kernels of a file by their series, such as 6.12, oldest first."""
    kernels: dict[str, Kernel] = json.loads(path.read_text(encoding="utf-8"))
    return kernels


def write(path: Path, kernels: Mapping[str, Kernel]) -> None:
    """Write them, oldest first."""
    ordered = {series: kernels[series] for series in sorted(kernels, key=_number)}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def differences(kept: Kernel, measured: Kernel) -> list[str]:
    """Name the options that a kernel treats otherwise than the kept figures say."""
    return [
        name
        for name in kept["options"] | measured["options"]
        if kept["options"].get(name) != measured["options"].get(name)
    ]


def table(kernels: Mapping[str, Kernel]) -> str:
    """Return a row for each option and a column for each kernel."""
    return "\n".join(_rows(kernels))


def _rows(kernels: Mapping[str, Kernel]) -> Iterator[str]:
    releases = (_release(kernel) for kernel in kernels.values())
    yield f"| option | known since | {' | '.join(releases)} |"
    yield f"|---|---|{'---|' * len(kernels)}"
    for row in (*OPTIONS, *MEMBER_OPTIONS):
        if row.name != "mode":
            cells = [_cell(row, kernel["options"][row.name]) for kernel in kernels.values()]
            yield f"| `{row.name}` | {row.since} | {' | '.join(cells)} |"


def _release(kernel: Kernel) -> str:
    return kernel["release"].removesuffix("-amd64")


def _cell(row: Option, measured: Measured) -> str:
    outcomes = measured["values"]
    lacking = [value for value, outcome in outcomes.items() if outcome != Outcome.TAKEN]
    if len(lacking) == len(outcomes):
        return "no"
    words = [f"not `{value}`" for value in lacking]
    if set(measured["modes"]) != row.modes:
        words.append(f"in {', '.join(measured['modes'])} only")
    return f"yes, {'; '.join(words)}" if words else "yes"


def _number(series: str) -> list[int]:
    return [int(number) for number in series.split(".")]
