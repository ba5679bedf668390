"""`sriovbond reference`: the docs' tables, made from the tables that the plugin itself uses."""

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Final

import click

from sriovbond.agent.report.series import ROWS
from sriovbond.agent.settings import Settings
from sriovbond.bond.options import ALL, MEMBER_OPTIONS, OPTIONS, BondMode, Option
from sriovbond.bond.ownkeys import OWN_FIELDS, OwnKeys
from sriovbond.bond.rules import RULES, Level, Rule
from sriovbond.bond.schema import camel_case
from sriovbond.bond.switching import TABLE, Lag
from sriovbond.cli import modes
from sriovbond.cli.outcomes import OUTCOMES

_LEVELS: Final[Mapping[Level, str]] = MappingProxyType(
    {
        Level.CONFIG: "Faults of the configuration",
        Level.REFUSED: "What cannot work on these devices",
        Level.WARNING: "What is doubtful",
        Level.NOTICE: "What is doubtful, and never refused",
        Level.NODE: "What is missing on the node",
    }
)


def keys() -> str:
    """Return the table of the keys that are no bonding options."""
    return "\n".join(_keys())


def _keys() -> Iterator[str]:
    yield "| key | default | what |"
    yield "|---|---|---|"
    for name, key in OWN_FIELDS.items():
        field = OwnKeys.model_fields[name]
        default = "" if field.default is None else f"`{field.default}`"
        yield f"| `{key}` | {default} | {field.description} |"


def options() -> str:
    """Return the table of the bonding options."""
    return "\n".join(_options())


def _options() -> Iterator[str]:
    yield "| option | value | default | modes | Linux | what |"
    yield "|---|---|---|---|---|---|"
    for row in (*OPTIONS, *MEMBER_OPTIONS):
        also = [camel_case(row.name), *row.aliases]
        names = ", ".join(f"`{name}`" for name in dict.fromkeys((row.name, *also)))
        default = f"`{row.default}`" if row.default else ""
        cells = (names, row.kind.words(), default, _modes(row), row.since, row.about)
        yield f"| {' | '.join(cells)} |"


def _modes(row: Option) -> str:
    if row.effective == ALL:
        return "all"
    names = ", ".join(mode.value for mode in BondMode if mode in row.effective)
    silent = row.modes - row.effective
    return f"{names} (elsewhere without effect)" if silent else names


def rules() -> str:
    """Return the rules by their levels, each below a heading that is its anchor."""
    return "\n".join(_rules()).strip()


def _rules() -> Iterator[str]:
    for level, title in _LEVELS.items():
        yield f"## {title}: {OUTCOMES[level]}\n"
        for row in RULES:
            if row.level is level:
                yield f"### {row.id}\n"
                yield f"{row.what}\n"
                yield f"- why: {row.why}"
                yield f"- what to do: {row.remedy}"
                yield f"- found by: {', '.join(row.where)}\n"


def switching() -> str:
    """Return the table of what a mode requires of the switch, with the sources."""
    return "\n".join(_switching())


def _switching() -> Iterator[str]:
    yield f"| mode | {' | '.join(Lag)} |"
    yield f"|---|{'---|' * len(Lag)}"
    for mode, row in TABLE.items():
        cells = (row[lag] for lag in Lag)
        verdicts = (f"{_verdict(cell.rules)} ({cell.source})" for cell in cells)
        yield f"| `{mode}` | {' | '.join(verdicts)} |"


def _verdict(broken: Sequence[Rule]) -> str:
    links = ", ".join(f"[`{row.id}`](rules.md#{row.id})" for row in broken)
    return f"warning {links}" if links else "fine"


def metrics() -> str:
    """Return the table of the agent's metrics."""
    return "\n".join(_metrics())


def _metrics() -> Iterator[str]:
    yield "| metric | type | labels | what |"
    yield "|---|---|---|---|"
    for row in ROWS:
        labels = ", ".join(f"`{label}`" for label in row.labels)
        yield f"| `{row.name}` | {row.kind} | {labels} | {row.help} |"


def settings() -> str:
    """Return the table of the agent's settings."""
    return "\n".join(_settings())


def _settings() -> Iterator[str]:
    yield "| setting | default | what |"
    yield "|---|---|---|"
    abouts = _attribute_docs(Settings)
    for name, field in Settings.model_fields.items():
        text = {True: "true", False: "false", None: ""}.get(field.default, str(field.default))
        default = f"`{text.removesuffix('.0')}`" if text else ""
        yield f"| `{name}` | {default} | {abouts[name]} |"


def _attribute_docs(documented: type) -> Mapping[str, str]:
    """Return the text below each annotated attribute of a class."""
    (tree,) = ast.parse(inspect.getsource(documented)).body
    docs = {}
    for node, after in pairwise(getattr(tree, "body", [])):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    docs[node.target.id] = " ".join(text.split())
    return docs


PARTS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "keys": keys,
        "options": options,
        "rules": rules,
        "switching": switching,
        "modes": modes.markdown,
        "metrics": metrics,
        "settings": settings,
    }
)


@click.command()
@click.argument("part", type=click.Choice(list(PARTS)))
def reference(part: str) -> None:
    """Print a table of the reference as Markdown.

    It is made from the tables that the plugin itself uses.
    """
    click.echo(PARTS[part]())
