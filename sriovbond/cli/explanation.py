"""Why a bond would take which of a pod's devices: every source's statement, verdict and rule."""

import dataclasses
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

import deviceinfo
from deviceinfo import Ask, PodDevices, PodRef, Statement
from sriovbond import candidates, records
from sriovbond.bond import selection
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.neighbours import Neighbour, mixed_with
from sriovbond.bond.plan import plan_bond
from sriovbond.bond.seen import Seen
from sriovbond.bond.selection import Verdict
from sriovbond.cli import nics, tables
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.kernel.netns import Namespace
from sriovbond.lending import Lender
from sriovbond.nic import asking
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function

_SAYING = (
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


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found of a pod, the verdict on each device, and what a bond would come to.

    `functions` is what the NICs tell of themselves, which no verdict hangs on.
    """

    found: PodDevices
    verdicts: tuple[Verdict, ...]
    outcome: tuple[str, ...]
    functions: tuple[Function, ...] = ()


def find_pod(host: Host, wanted: PodRef) -> PodRef:
    """Complete what a person named of a pod from libcni's results, else from our own records."""
    known = [one.pod for one in deviceinfo.find_sandboxes(host.places.results)]
    known += [PodRef(*one.pod, one.container_id, one.netns) for one in records.read_all(host)[0]]
    asked = {key: value for key, value in dataclasses.asdict(wanted).items() if value}
    for pod in known:
        if _is_meant(pod, asked):
            return replace(pod, **asked)
    return wanted


def _is_meant(pod: PodRef, asked: Mapping[str, str]) -> bool:
    """Tell whether nothing that is known of the pod contradicts what was asked for."""
    told = {key: getattr(pod, key) for key in asked if getattr(pod, key)}
    return bool(told) and all(_plain(key, told[key]) == _plain(key, asked[key]) for key in told)


def _plain(key: str, value: str) -> str:
    # /var/run is a link to /run on most nodes
    return os.path.realpath(value) if key == "netns" and value else value


def explain(
    host: Host, pod: PodRef, config: NetConf, type_: str, asks: Sequence[Ask] = ()
) -> Explanation:
    """Look as an ADD with this configuration would, and change nothing.

    Bonds that stand in the pod are named, and judged as if they were not there.
    Raises MachineError where no namespace of the pod is known, or it is gone.
    """
    if not pod.netns:
        raise MachineError(
            f"cannot look into the pod {pod}: no cache of this node knows its namespace; is it on "
            "another node, or its name misspelt? Else give --netns"
        )
    search = deviceinfo.Search(pod, host.places, kubelet_timeout_s=host.kubelet_timeout_s)
    with netns.own() as home, netns.opened(pod.netns) as opened:
        in_pod, on_host, found = candidates.look(search, config, opened, home, asks)
        bonds = {link.index: link.name for link in in_pod if link.kind == "bond"}
        free = [
            replace(link, master=0) if link.master in bonds else link
            for link in in_pod
            if link.index not in bonds
        ]
        lender = Lender(host, home, found)
        seen = candidates.Sources(home.netlink, found, lender).seen(free, on_host, type_)
        told = selection.verdicts(config, seen)
        functions = asking.ask(host.places.sysfs, home, list(_targets(told, opened, home)))
        pfs = [verdict.subject.pf for verdict in told if verdict.subject.pf]
        outcome = (
            *_standing(in_pod, bonds),
            *_outcome(config, seen, found, _neighbours(host, pod)),
            *nics.contradictions(pfs, functions),
        )
        return Explanation(found, told, outcome, functions)


def _targets(verdicts: Sequence[Verdict], pod: Namespace, home: Namespace) -> Iterator[Target]:
    """Yield whom to ask: what is a device, or an interface, and exists."""
    for verdict in verdicts:
        subject = verdict.subject
        if isinstance(subject, Member):
            namespace = pod if subject.place == Place.POD else home
            yield Target(subject.device, subject.name, namespace)
        elif subject.device and not subject.is_gone:
            yield Target(subject.device, "", home)


def _standing(in_pod: Sequence[Link], bonds: Mapping[int, str]) -> Iterator[str]:
    for index, name in bonds.items():
        members = [link.name for link in in_pod if link.master == index]
        yield f"{name} stands over {', '.join(members) or 'nothing'}; without it:"


def _neighbours(host: Host, pod: PodRef) -> list[Neighbour]:
    """Return the bonds of the node's other pods."""
    return [
        Neighbour(
            f"{record.ifname} of {'/'.join(record.pod[:2])}", record.plan.mode, record.plan.members
        )
        for record in records.read_all(host)[0]
        if record.plan and _plain("netns", record.netns) != _plain("netns", pod.netns)
    ]


def _outcome(
    config: NetConf, seen: Seen, found: PodDevices, others: Sequence[Neighbour]
) -> tuple[str, ...]:
    try:
        members = selection.choose(config, seen)
        plan = plan_bond("bond", config, members)
    except SriovbondError as error:
        return (error.message,)
    taken = ", ".join(str(member) for member in members)
    told = (
        *map(str, plan.warnings),
        *mixed_with(plan.mode, members, others),
        *candidates.uses_beside(found, plan),
    )
    return (f"a bond would take {taken}", *(f"warning: {one}" for one in told))


def print_tables(told: Explanation, console: Console | None = None) -> None:
    """Print the verdicts, the statements, the sources, and the outcome."""
    console = console or Console()
    tables.print_table(_verdicts(told), console)
    tables.print_table(_statements(told.found), console)
    nics.print_nics(told.functions, console)
    for reading in told.found.readings:
        for problem in reading.problems:
            tables.print_line(f"{reading.source}: {problem}", console, style="yellow")
    absent = [str(one.source) for one in told.found.readings if one.is_absent]
    not_here = [f"not here: {', '.join(dict.fromkeys(absent))}"] if absent else []
    for line in (*not_here, *map(str, told.found.disagreements), *told.outcome):
        tables.print_line(line, console)


def _verdicts(told: Explanation) -> Table:
    table = Table("device", "interface", "PF", "resource", "network", "container", "verdict")
    for verdict in told.verdicts:
        one = verdict.subject
        given = one.allocation
        interface = one.name if isinstance(one, Member) else one.ifname
        pf = (one.pf.name or one.pf.device) if one.pf else ""
        words = "taken" if verdict.is_taken else f"not: {verdict.why_not}"
        rule = f" [{verdict.rule}]" if verdict.rule else ""
        cells = (one.device, interface, pf, given.resource, given.network, given.container)
        tables.add_row(table, *cells, words + rule)
    return table


def _statements(found: PodDevices) -> Table:
    table = Table("device", "source", "says")
    for device in found.devices:
        for statement in device.statements:
            tables.add_row(table, device.id, statement.source, _says(statement))
        for claim in device.claims:
            tables.add_row(table, device.id, claim.source, f"{claim.pod} was given it")
    for loose in found.loose:
        tables.add_row(table, "", loose.source, _says(loose))
    return table


def _says(statement: Statement) -> str:
    said = [(field, getattr(statement, field)) for field in _SAYING]
    told = [f"{field.replace('_', ' ')} {value}" for field, value in said if value is not None]
    return ", ".join(told) or "the pod has it"


def print_json(told: Explanation) -> None:
    """Print the same as JSON."""
    shown = {
        "pod": told.found.pod,
        "devices": told.found.devices,
        "loose": told.found.loose,
        "verdicts": [
            {
                "device": one.subject.device,
                "interface": one.subject.name
                if isinstance(one.subject, Member)
                else one.subject.ifname,
                "taken": one.is_taken,
                "why_not": one.why_not,
                "rule": one.rule,
            }
            for one in told.verdicts
        ],
        "sources": [
            {"source": one.source, "absent": one.is_absent, "problems": one.problems}
            for one in told.found.readings
        ],
        "disagreements": [str(one) for one in told.found.disagreements],
        "outcome": told.outcome,
        "nics": told.functions,
    }
    tables.print_json(shown)
