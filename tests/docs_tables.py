"""Rewrite what the docs hold of generated text: `python -m tests.docs_tables`, or `make docs`."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from sriovbond.bond.schema import json_schema
from sriovbond.cli.reference import PARTS
from tests.bench import picture, rows
from tests.faults import cases
from tests.faults import table as faults
from tests.fuzz import counted
from tests.kernels import table
from tests.node import soaked, tried

CHECKOUT: Final = Path(__file__).resolve().parent.parent
README: Final = CHECKOUT / "README.md"
SCHEMA: Final = CHECKOUT / "manifests" / "netconf.schema.json"
FIGURES: Final = CHECKOUT / "docs" / "bench.json"
"""What the last `make bench` wrote that is told of: copied there by hand."""


PAGES: Final = (README, *sorted((CHECKOUT / "docs").glob("*.md")))
"""What users read; each may hold tables between markers."""
DECISIONS: Final = CHECKOUT / "DECISIONS.md"
SECURITY: Final = CHECKOUT / "SECURITY.md"
_DECISION: Final = re.compile(r"^## (\d+)\. (.+)\n\n(\S+)\. (.*(?:\n.+)*)", re.MULTILINE)
_OVERRULES: Final = re.compile(r"\b([Ss]upersedes|[Cc]hanges)(?: what)? (\d+)")
_BEGIN: Final = re.compile("<!-- begin: ([a-z]+) -->\n")


def tables() -> Mapping[str, Callable[[], str]]:
    """Return how each table of the pages is made, by the name that its markers have."""
    figures = {"figures": lambda: rows.table(rows.read(FIGURES))}
    measured = {"kernels": lambda: table.table(table.read(CHECKOUT / table.PUBLISHED))}
    struck = {"faults": _struck}
    ran = {"node": lambda: tried.table(tried.read(CHECKOUT / tried.PUBLISHED))}
    soak = {"soak": lambda: soaked.table(soaked.read(CHECKOUT / soaked.PUBLISHED))}
    fuzz = {"fuzz": lambda: counted.table(counted.read(CHECKOUT / counted.PUBLISHED))}
    shown = {**figures, **measured, **struck, **ran, **soak, **fuzz}
    return {**PARTS, **shown, "decisions": decisions}


def _struck() -> str:
    return faults.table(faults.read(CHECKOUT / faults.PUBLISHED), tuple(cases.names()))


def decisions() -> str:
    """Return an index of the decisions, with what became of each."""
    matches = _DECISION.findall(DECISIONS.read_text(encoding="utf-8"))
    states: dict[str, list[str]] = {}
    for number, _, _, body in matches:
        for verb, earlier in _OVERRULES.findall(body):
            state = "superseded" if verb.lower() == "supersedes" else "changed"
            states.setdefault(earlier, []).append(f"{state} by {number}")
    rows_of_table = (
        f"| [{number}](#{anchor_of(f'{number}. {title}')}) | {title.replace('|', ' ')} | {date} | "
        f"{', '.join(states.get(number, ['holds']))} |"
        for number, title, date, _ in matches
    )
    return "\n".join(["| | decision | date | state |", "|---|---|---|---|", *rows_of_table])


def anchor_of(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def page(path: Path) -> str:
    """Return a page with every table between its markers as the code has it now."""
    text, known = path.read_text(encoding="utf-8"), tables()
    for part in _BEGIN.findall(text):
        text = _replaced(text, part, known[part]())
    return text


def parts_of(path: Path) -> list[str]:
    """Return the names of the tables that a page holds."""
    return _BEGIN.findall(path.read_text(encoding="utf-8"))


def schema() -> str:
    """Return what `sriovbond schema` prints."""
    return json.dumps(json_schema(), indent=2) + "\n"


def bench_picture() -> str:
    """Return the picture of the figures."""
    return picture.draw(rows.read(FIGURES))


GENERATED: Final[Mapping[Path, Callable[[], str]]] = MappingProxyType(
    {
        **{path: partial(page, path) for path in (*PAGES, DECISIONS, SECURITY)},
        SCHEMA: schema,
        FIGURES.with_suffix(".svg"): bench_picture,
    }
)


def main() -> int:
    """Write the files that are stale, and name them."""
    for path, made in GENERATED.items():
        fresh = made()
        if not path.exists() or path.read_text(encoding="utf-8") != fresh:
            path.write_text(fresh, encoding="utf-8")
            sys.stdout.write(f"rewrote {path.relative_to(CHECKOUT)}\n")
    return 0


def _replaced(text: str, part: str, table: str) -> str:
    begin, end = f"<!-- begin: {part} -->\n", f"<!-- end: {part} -->"
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if len(between.findall(text)) != 1:
        raise ValueError(f"cannot place the table {part!r}: its markers are not there once")
    return between.sub(lambda _: f"{begin}\n{table}\n\n{end}", text)


if __name__ == "__main__":
    sys.exit(main())
