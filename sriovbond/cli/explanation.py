"""Why a bond would take which of a pod's devices: every source's statement, verdict and rule."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import deviceinfo
from deviceinfo import UNKNOWN_POD, Ask, PodDevices, PodRef, Sandbox
from sriovbond import candidates, records
from sriovbond.bond import selection
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.neighbours import Neighbour, find_mixed
from sriovbond.bond.plan import plan_bond
from sriovbond.bond.seen import Seen
from sriovbond.bond.selection import Verdict
from sriovbond.cli import nics
from sriovbond.errors import MachineError, SriovbondError
from sriovbond.host import Host
from sriovbond.kernel import netns
from sriovbond.kernel.netns import Namespace
from sriovbond.lending import Lender
from sriovbond.nic import asking
from sriovbond.nic.asking import Target
from sriovbond.nic.facts import Function


@dataclass(frozen=True, slots=True)
class Explanation:
    """A pod's devices, the verdict on each, and the resulting bond.

    `functions` is what the NICs report of themselves, on which no verdict depends.
    """

    devices: PodDevices
    verdicts: tuple[Verdict, ...]
    outcome: tuple[str, ...]
    functions: tuple[Function, ...] = ()


def parse_pod(text: str) -> PodRef:
    """Parse NAMESPACE/NAME; UNKNOWN_POD for any other text."""
    namespace, _, name = text.rpartition("/")
    return PodRef(namespace, name) if namespace and name else UNKNOWN_POD


def find_netns(sandbox: Sandbox) -> str:
    """Return the path of the pod's namespace. Raises MachineError if it is unknown."""
    if sandbox.netns:
        return sandbox.netns
    raise MachineError(
        f"cannot look into the pod {sandbox}: no cache of this node knows its namespace; is it "
        "on another node, or its name misspelt? Else give --netns"
    )


def find_sandbox(host: Host, named: Sandbox) -> Sandbox:
    """Complete what a person named of a pod from libcni's results, else from our own records."""
    names = {key: name for key, name in named.names.items() if name}
    for sandbox in _list_sandboxes(host):
        known = sandbox.names
        if _matches(known, names):
            return _sandbox(known | names)
    return named


def _list_sandboxes(host: Host) -> Iterator[Sandbox]:
    yield from deviceinfo.find_sandboxes(host.places.results)
    for record in records.read_all(host)[0]:
        yield Sandbox(record.pod, record.container_id, record.netns)


def _sandbox(names: Mapping[str, str]) -> Sandbox:
    pod = PodRef(names["namespace"], names["name"], names["uid"])
    return Sandbox(pod, names["container_id"], names["netns"])


def _matches(known: Mapping[str, str], names: Mapping[str, str]) -> bool:
    """Return whether the pod matches all of the known names, and at least one."""
    common = [key for key in names if known[key]]
    return bool(common) and all(
        _plain(key, known[key]) == _plain(key, names[key]) for key in common
    )


def _plain(key: str, value: str) -> str:
    # /var/run is a link to /run on most nodes
    return os.path.realpath(value) if key == "netns" and value else value


def explain(
    host: Host, sandbox: Sandbox, config: NetConf, plugin: str, asks: Sequence[Ask] = ()
) -> Explanation:
    """Look as an ADD with this configuration of that plugin would, and change nothing.

    Bonds of the pod are named, and their members judged as if they were free.
    Raises MachineError if no namespace of the pod is known, or it is gone.
    """
    path = find_netns(sandbox)
    search = deviceinfo.Search(sandbox, host.places, kubelet_timeout_s=host.kubelet_timeout_s)
    with netns.own() as home, netns.opened(path) as pod:
        in_pod, on_host, devices = candidates.look(search, config, pod, home, asks)
        bonds = {link.index: link.name for link in in_pod if link.kind == "bond"}
        sources = candidates.Sources(home.netlink, devices)
        seen = sources.seen(_without(bonds, in_pod), on_host, plugin)
        verdicts = selection.verdicts(config, seen)
        functions = asking.ask(host.places.sysfs, home, list(_targets(verdicts, pod, home)))
        pfs = [verdict.subject.pf for verdict in verdicts if verdict.subject.pf]
        outcome = (
            *_describe_bonds(in_pod, bonds),
            *_predict(
                config, seen, devices, Lender(host, home, devices), _neighbours(host, sandbox)
            ),
            *nics.contradictions(pfs, functions),
        )
        return Explanation(devices, verdicts, outcome, functions)


def _without(bonds: Mapping[int, str], in_pod: Sequence[Link]) -> list[Link]:
    """Return the pod's links as they would be if those bonds did not exist."""
    return [
        replace(link, master=0) if link.master in bonds else link
        for link in in_pod
        if link.index not in bonds
    ]


def _targets(verdicts: Sequence[Verdict], pod: Namespace, home: Namespace) -> Iterator[Target]:
    """Yield which NICs to query: existing devices or interfaces."""
    for verdict in verdicts:
        subject = verdict.subject
        if isinstance(subject, Member):
            namespace = pod if subject.place == Place.POD else home
            yield Target(subject.device, subject.name, namespace)
        elif subject.device and not subject.is_gone:
            yield Target(subject.device, "", home)


def _describe_bonds(in_pod: Sequence[Link], bonds: Mapping[int, str]) -> Iterator[str]:
    for index, name in bonds.items():
        members = [link.name for link in in_pod if link.master == index]
        yield f"the pod has {name} over {', '.join(members) or 'no member'}; without it:"


def _neighbours(host: Host, sandbox: Sandbox) -> list[Neighbour]:
    """Return the bonds of the node's other pods."""
    return [
        Neighbour(
            f"{record.ifname} of {record.pod.full_name}", record.plan.mode, record.plan.members
        )
        for record in records.read_all(host)[0]
        if record.plan and _plain("netns", record.netns) != _plain("netns", sandbox.netns)
    ]


def _predict(
    config: NetConf,
    seen: Seen,
    devices: PodDevices,
    lender: Lender,
    neighbours: Sequence[Neighbour],
) -> Iterator[str]:
    try:
        members = candidates.choose(config, seen, lender)
        plan = plan_bond("bond", config, members)
    except SriovbondError as error:
        yield error.message
        return
    yield f"a bond would take {', '.join(map(str, members))}"
    warnings = (
        *plan.warnings,
        *find_mixed(plan.mode, members, neighbours),
        *candidates.uses_beside(devices, plan),
    )
    for warning in warnings:
        yield f"warning: {warning}"
