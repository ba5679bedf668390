"""Files of sections with keys, and the tables from a document's values to them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
"""Where a value is in an interface: ("bridge", "options", "stp", "enabled")."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """Where a value goes, and how it is written; by default a truth is yes or no."""

    section: str
    key: str
    write: Callable[[Any], str] | None = None


@dataclass(slots=True)
class Sections:
    """A file in the making: sections in their order, some more than once."""

    truths: tuple[str, str]
    rows: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)

    def put(self, section: str, key: str, value: object) -> None:
        """Add a key to a section, the last one of this name."""
        rows = next((rows for name, rows in reversed(self.rows) if name == section), None)
        if rows is None:
            rows = self.begin(section)
        rows.append((key, self.written(value)))

    def begin(self, section: str) -> list[tuple[str, str]]:
        """Begin a section, another one where there is one of this name."""
        rows: list[tuple[str, str]] = []
        self.rows.append((section, rows))
        return rows

    def written(self, value: object) -> str:
        """Return a value as the file has it."""
        if isinstance(value, bool):
            return self.truths[0] if value else self.truths[1]
        return str(value)

    def text(self, head: Iterable[str]) -> str:
        """Return the file, with comments before all."""
        lines = [f"# {line}" for line in head]
        for name, rows in self.rows:
            lines += ["", f"[{name}]", *(f"{key}={value}" for key, value in rows)]
        return "\n".join(lines) + "\n"


def leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Yield each value of a plain section by its path; a list is one value."""
    if isinstance(value, dict) and (value or not path):
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    else:
        yield path, value


def fill(
    sections: Sections, values: Mapping[str, object], table: Mapping[Path, TableRow]
) -> Iterator[str]:
    """Write the values that a table has; yield the others, by their path in words."""
    for path, value in leaves(values):
        row = table.get(path)
        if row is None:
            yield ".".join(path)
        elif value not in (None, "", {}):
            sections.put(row.section, row.key, row.write(value) if row.write else value)
