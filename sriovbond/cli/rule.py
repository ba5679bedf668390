"""`sriovbond rule`: explains the id at the end of a message or a log line."""

import difflib
import json
from typing import Final

import click

from sriovbond.bond.rules import RULES, Rule
from sriovbond.cli.outcomes import OUTCOMES

_BY_ID: Final = {row.id: row for row in RULES}
_MOST_NEAR: Final = 3


@click.command()
@click.argument("rule_id", metavar="[ID]", required=False)
@click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", help="The format."
)
def rule(rule_id: str | None, output: str) -> None:
    """Print a rule: what breaks it, why, and what to do.

    ID is what a message has in brackets at its end; without it all rules are listed.
    """
    row = _find(rule_id) if rule_id else None
    if output == "json":
        shown = _as_object(row) if row else [_as_object(row) for row in RULES]
        click.echo(json.dumps(shown, indent=2))
    elif row:
        click.echo(_describe(row))
    else:
        width = max(map(len, _BY_ID))
        for row in RULES:
            click.echo(f"{row.id:<{width}}  {OUTCOMES[row.level]}: {row.what}")


def _find(rule_id: str) -> Rule:
    name = rule_id.strip("[]")
    if name in _BY_ID:
        return _BY_ID[name]
    near = [known for known in _BY_ID if name and name in known][:_MOST_NEAR]
    near = near or difflib.get_close_matches(name, _BY_ID, n=_MOST_NEAR)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; without an ID all are listed"
    raise click.BadParameter(f"no rule has the id {name!r}{hint}", param_hint="ID")


def _as_object(row: Rule) -> dict[str, object]:
    return {**row._asdict(), "outcome": OUTCOMES[row.level]}


def _describe(row: Rule) -> str:
    return (
        f"{row.id} ({OUTCOMES[row.level]})\n"
        f"  what:     {row.what}\n"
        f"  why:      {row.why}\n"
        f"  do:       {row.remedy}\n"
        f"  found by: {', '.join(row.where)}"
    )
