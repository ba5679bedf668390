"""`sriovbond explain`: which of a pod's devices a bond would take, for a terminal or as JSON."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from deviceinfo import PodDevices, Sandbox, Statement
from sriovbond import cluster
from sriovbond.agent import settings
from sriovbond.bond.config import parse_config
from sriovbond.bond.links import Member
from sriovbond.bond.selection import Verdict
from sriovbond.cli import configurations, explanation, files, nics, tables
from sriovbond.cli.configurations import OURS, Configuration
from sriovbond.cli.explanation import Explanation
from sriovbond.errors import Fault

_FIELDS = (
    "resource",
    "container",
    "network",
    "interface",
    "kind",
    "driver",
    "pf",
    "numa_node",
    "rdma",
    "mac",
    "administrative_mac",
    "details",
)


@click.command()
@click.option("--pod", default="", metavar="NAMESPACE/NAME", help="As Kubernetes names it.")
@click.option("--uid", default="", metavar="UID", help="The pod's UID in Kubernetes.")
@click.option("--netns", default="", metavar="PATH", help="The pod's network namespace.")
@click.option("--container-id", default="", metavar="ID", help="The pod's sandbox.")
@click.option(
    "--config",
    "file",
    type=files.TYPE,
    help="Choose as this configuration would (-: standard input); else as one without `links`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON rather than tables.")
def explain(file: Path | None, *, as_json: bool, **names: str) -> None:
    """Show which of a pod's devices a bond would take, and why not the others.

    It looks as an ADD would, at what kubelet, files and sysfs say of the pod's devices, and changes
    nothing. `sriovbond rule ID` has more on an id in brackets.
    """
    named = _parse_names(**names)
    configuration = _only_configuration(file) if file else Configuration("", {"type": OURS})
    config = parse_config(configuration.values, faults=configuration.twice)
    host = settings.load().host
    sandbox = explanation.find_sandbox(host, named)
    plugin = str(configuration.type or OURS)
    answer = explanation.explain(host, sandbox, config, plugin, cluster.asks(host))
    print_json(answer) if as_json else print_tables(answer, Console())


def _parse_names(pod: str, uid: str, netns: str, container_id: str) -> Sandbox:
    named = explanation.parse_pod(pod)
    if not (pod or uid or netns or container_id) or (pod and not named.name):
        raise click.UsageError(
            "name the pod: --pod NAMESPACE/NAME, --uid, --netns or --container-id"
        )
    return Sandbox(named._replace(uid=uid), container_id, netns)


def _only_configuration(file: Path) -> Configuration:
    name = files.name_of(file)
    configuration, *more = configurations.find(file)
    if more:
        places = ", ".join(each.place for each in (configuration, *more))
        raise click.ClickException(
            f"{name} has {len(more) + 1} configurations, where one is needed: {places}"
        )
    if configuration.fault:
        raise click.ClickException(f"{name}: {configuration.label}{configuration.fault}")
    return configuration


def print_tables(answer: Explanation, console: Console) -> None:
    """Print the verdicts, the statements, the sources, and the outcome."""
    tables.print_table(_verdicts(answer), console)
    tables.print_table(_statements(answer.devices), console)
    nics.print_nics(answer.functions, console)
    for reading in answer.devices.readings:
        for problem in reading.problems:
            tables.print_line(f"{reading.source}: {problem}", console, style="yellow")
    for line in (*_summaries(answer.devices), *answer.outcome):
        tables.print_line(line, console)


def _verdicts(answer: Explanation) -> Table:
    table = Table("device", "interface", "PF", "resource", "network", "container", "verdict")
    for verdict in answer.verdicts:
        subject = verdict.subject
        allocation = subject.allocation
        pf = (subject.pf.name or subject.pf.device) if subject.pf else ""
        origin = (allocation.resource, allocation.network, allocation.container)
        cells = (subject.device, _interface_of(verdict), pf, *origin, _describe(verdict))
        tables.add_row(table, *cells)
    return table


def _interface_of(verdict: Verdict) -> str:
    subject = verdict.subject
    return subject.name if isinstance(subject, Member) else subject.ifname


def _describe(verdict: Verdict) -> str:
    words = "taken" if verdict.is_taken else f"not: {verdict.why_not}"
    return str(Fault(words, rule=verdict.rule.id if verdict.rule else ""))


def _statements(devices: PodDevices) -> Table:
    table = Table("device", "source", "says")
    for device in devices.devices:
        for statement in device.statements:
            tables.add_row(table, device.id, statement.source, _words_of(statement))
        for claim in device.claims:
            tables.add_row(table, device.id, claim.source, f"allocated to {claim.pod}")
    for loose in devices.loose:
        tables.add_row(table, "", loose.source, _words_of(loose))
    return table


def _words_of(statement: Statement) -> str:
    fields = [(name, getattr(statement, name)) for name in _FIELDS]
    words = [f"{name.replace('_', ' ')} {value}" for name, value in fields if value is not None]
    return ", ".join(words) or "the pod has it"


def _summaries(devices: PodDevices) -> Iterator[str]:
    absent = [str(reading.source) for reading in devices.readings if reading.is_absent]
    if absent:
        yield f"not on this node: {', '.join(dict.fromkeys(absent))}"
    yield from map(str, devices.disagreements)


def print_json(answer: Explanation) -> None:
    """Print the same as JSON."""
    devices = answer.devices
    shown = {
        "pod": devices.sandbox.names,
        "devices": devices.devices,
        "loose": devices.loose,
        "verdicts": [_as_object(verdict) for verdict in answer.verdicts],
        "sources": [
            {"source": reading.source, "absent": reading.is_absent, "problems": reading.problems}
            for reading in devices.readings
        ],
        "disagreements": [str(disagreement) for disagreement in devices.disagreements],
        "outcome": answer.outcome,
        "nics": answer.functions,
    }
    tables.print_json(shown)


def _as_object(verdict: Verdict) -> dict[str, object]:
    return {
        "device": verdict.subject.device,
        "interface": _interface_of(verdict),
        "taken": verdict.is_taken,
        "why_not": verdict.why_not,
        "rule": verdict.rule.id if verdict.rule else "",
    }
