"""`sriovbond show`: a pod's bond as the kernel reports it, and what the NICs under it report."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deviceinfo import Sandbox
from sriovbond import records
from sriovbond.agent import settings
from sriovbond.bond.states import BondState
from sriovbond.cli import explanation, nics, tables
from sriovbond.host import Host
from sriovbond.kernel import bonding, netns
from sriovbond.log import visible
from sriovbond.nic import asking
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function

_OPTIONS = ("mode", "fail_over_mac", "miimon", "arp_interval", "primary")


@click.command()
@click.argument("ifname")
@click.option("--pod", default="", metavar="NAMESPACE/NAME", help="As Kubernetes names it.")
@click.option(
    "--netns",
    "path",
    default="",
    metavar="PATH",
    help="The pod's namespace, such as /run/netns/NAME.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON rather than tables.")
def show(ifname: str, pod: str, path: str, *, as_json: bool) -> None:
    """Show the bond IFNAME of a pod, as the kernel and its NICs report it."""
    named = explanation.parse_pod(pod)
    if bool(named.name) == bool(path) or (pod and path):
        raise click.UsageError("name the pod: either --pod NAMESPACE/NAME, or --netns")
    host = settings.load().host
    path = path or explanation.find_netns(explanation.find_sandbox(host, Sandbox(named)))
    view = look(host, ifname, path)
    if view is None:
        raise click.ClickException(f"{ifname!r} does not exist, or is no bond, in {path}")
    print_json(view) if as_json else print_tables(view, Console())


@dataclass(frozen=True, slots=True)
class View:
    """The bond, why members are missing, and a function for each member and each PF."""

    state: BondState
    missing: tuple[str, ...]
    functions: tuple[Function, ...]


def look(host: Host, ifname: str, path: str) -> View | None:
    """Return the bond of that name in the namespace; None where there is none."""
    with netns.own() as home, netns.opened(path) as pod:
        state = bonding.observe(pod.netlink, ifname)
        if state is None:
            return None
        state = bonding.with_bus_addresses(pod.netlink, state)
        targets = [Target(member.device, member.name, pod) for member in state.members]
        missing = tuple(records.missing(host, pod.identity, state))
        return View(state, missing, asking.ask(host.places.sysfs, home, targets))


def print_tables(view: View, console: Console) -> None:
    """Print the bond and its members, and then what the NICs report."""
    print_bond(view.state, console, view.missing)
    nics.print_nics(view.functions, console)


def print_bond(state: BondState, console: Console, missing: Sequence[str] = ()) -> None:
    """Print a bond's options on one line, its members as a table, and why others are missing."""
    title = Text.assemble((visible(state.name), "bold"), visible(f"  {_describe(state)}"))
    console.print(title, soft_wrap=True)
    table = Table("member", "device", "MAC", "MTU", "link", "failures", "")
    for member in state.members:
        link = "up" if member.mii_up and member.has_carrier else "down"
        active = "active" if member.is_active else ""
        cells = (member.name, member.device, member.mac, member.mtu, link, member.failures, active)
        tables.add_row(table, *cells)
    tables.print_table(table, console)
    for reason in missing:
        tables.print_line(f"degraded: {reason}", console, "red")


def _describe(state: BondState) -> str:
    carrier = "carrier" if state.has_carrier else "no carrier"
    values = [(name, state.settings.get(name)) for name in _OPTIONS]
    options = ", ".join(f"{name} {value}" for name, value in values if value)
    return f"{state.mac}  mtu {state.mtu}  {carrier}  {options}"


def print_json(view: View) -> None:
    """Print the keys of the bond, with its missing members and the NICs, as JSON."""
    state = dataclasses.asdict(view.state)
    tables.print_json({**state, "missing": view.missing, "nics": view.functions})
