"""Tables for a terminal, and the same as JSON."""

import dataclasses
import json
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from sriovbond.bond.plan import BondState
from sriovbond.records import Record


def print_bond(state: BondState, console: Console | None = None) -> None:
    """Print a bond's options on one line and its members as a table."""
    console = console or Console()
    shown = ("mode", "fail_over_mac", "miimon", "arp_interval", "primary")
    options = ", ".join(
        f"{name} {state.settings[name]}" for name in shown if state.settings.get(name)
    )
    carrier = "carrier" if state.has_carrier else "no carrier"
    console.print(
        f"[bold]{state.name}[/]  {state.mac}  mtu {state.mtu}  {carrier}  {options}", soft_wrap=True
    )
    table = Table("member", "device", "MAC", "MTU", "link", "failures", "")
    for member in state.members:
        link = "up" if member.mii_up and member.has_carrier else "down"
        active = "active" if member.is_active else ""
        cells = (member.name, member.device, member.mac, member.mtu, link, member.failures, active)
        table.add_row(*map(str, cells))
    console.print(table)


def print_records(records: Sequence[Record], faults: Sequence[str]) -> None:
    """Print the attachments that stand, and the records that cannot be read."""
    console = Console()
    table = Table("container", "interface", "network", "members", "namespace")
    for record in records:
        plan = record.plan
        members = ", ".join(map(str, plan.members)) if plan else "released, IPAM is left"
        table.add_row(record.container_id, record.ifname, record.network, members, record.netns)
    console.print(table)
    for fault in faults:
        console.print(fault, style="red")


def print_json(state: BondState) -> None:
    """Print the same as JSON."""
    json.dump(dataclasses.asdict(state), sys.stdout, indent=2)
    sys.stdout.write("\n")
