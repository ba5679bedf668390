"""Tables for a terminal, and the same as JSON."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from sriovbond.bond.plan import BondState
from sriovbond.log import visible
from sriovbond.records import Record


def print_bond(
    state: BondState, console: Console | None = None, *, missing: Sequence[str] = ()
) -> None:
    """Print a bond's options on one line, its members as a table, and those that are missing."""
    console = console or Console()
    shown = ("mode", "fail_over_mac", "miimon", "arp_interval", "primary")
    options = ", ".join(
        f"{name} {state.settings[name]}" for name in shown if state.settings.get(name)
    )
    carrier = "carrier" if state.has_carrier else "no carrier"
    told = f"  {state.mac}  mtu {state.mtu}  {carrier}  {options}"
    console.print(Text.assemble((visible(state.name), "bold"), visible(told)), soft_wrap=True)
    table = Table("member", "device", "MAC", "MTU", "link", "failures", "")
    for member in state.members:
        link = "up" if member.mii_up and member.has_carrier else "down"
        active = "active" if member.is_active else ""
        cells = (member.name, member.device, member.mac, member.mtu, link, member.failures, active)
        add_row(table, *cells)
    print_table(table, console)
    for words in missing:
        print_line(f"degraded: {words}", console, "red")


def print_records(
    records: Sequence[Record], kept: Sequence[Path] = (), console: Console | None = None
) -> None:
    """Print the attachments that stand, and those whose records were set aside."""
    table = Table("container", "interface", "network", "members", "namespace")
    for one in records:
        members = ", ".join(map(str, one.plan.members)) if one.plan else "released, IPAM is left"
        add_row(table, one.container_id, one.ifname, one.network, members, one.netns)
    for path in kept:
        container_id, _, ifname = path.stem.partition("@")
        add_row(table, container_id, ifname, "", f"cannot be read, kept as {path}", "")
    print_table(table, console or Console())


def print_records_as_json(records: Sequence[Record], kept: Sequence[Path] = ()) -> None:
    """Print the attachments that stand, and records that were set aside, as a JSON list."""
    print_json(
        [
            {
                "container_id": one.container_id,
                "ifname": one.ifname,
                "network": one.network,
                "netns": one.netns,
                "pod": "/".join(filter(None, one.pod[:2])),
                "members": [
                    {"name": member.name, "device": member.device}
                    for member in (one.plan.members if one.plan else ())
                ],
                "state": _state(one),
            }
            for one in records
        ]
        + [_set_aside(path) for path in kept]
    )


def _set_aside(path: Path) -> dict[str, str]:
    container_id, _, ifname = path.stem.partition("@")
    state = path.suffix.removeprefix(".")
    return {"container_id": container_id, "ifname": ifname, "state": state, "file": str(path)}


def _state(record: Record) -> str:
    if record.plan is None:
        return "ipam-left"
    return "complete" if record.is_complete else "incomplete"


def print_line(line: str, console: Console, style: str = "") -> None:
    """Print a text as it is: rich takes brackets for markup, `:ab:` in an address for an emoji.

    But for what would steer the terminal: pods choose their interfaces' names.
    """
    console.print(Text(visible(line), style), soft_wrap=True)


def add_row(table: Table, *cells: object) -> None:
    """Add texts as they are, see `print_line`."""
    table.add_row(*(Text(visible(str(cell))) for cell in cells))


def print_table(table: Table, console: Console) -> None:
    """Print the table in its full width, however wide the terminal is: cells are copied from it."""
    unbounded = console.options.update(max_width=sys.maxsize)
    console.width = max(console.width, Measurement.get(console, unbounded, table).maximum)
    console.print(table)


def print_json(value: object) -> None:
    """Print what dataclasses, lists and texts make up."""
    click.echo(json.dumps(value, indent=2, default=dataclasses.asdict))
