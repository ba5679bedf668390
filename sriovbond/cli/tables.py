"""Tables and lines for a terminal, whatever texts they hold, and JSON."""

import dataclasses
import json
import sys

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sriovbond.log import visible


def print_line(line: str, console: Console, style: str = "") -> None:
    """Print a text unchanged: rich takes brackets for markup, `:ab:` in an address for an emoji.

    Except terminal control characters: pods choose their interfaces' names.
    """
    console.print(Text(visible(line), style), soft_wrap=True)


def add_row(table: Table, *cells: object) -> None:
    """Add texts unchanged, see `print_line`."""
    table.add_row(*(Text(visible(str(cell))) for cell in cells))


def print_table(table: Table, console: Console) -> None:
    """Print the table in its full width, however wide the terminal is: cells are copied from it."""
    unbounded = console.options.update(max_width=sys.maxsize)
    console.width = max(console.width, Measurement.get(console, unbounded, table).maximum)
    console.print(table)


def print_json(value: object) -> None:
    """Print dataclasses, lists and texts as JSON."""
    click.echo(json.dumps(value, indent=2, default=dataclasses.asdict))
