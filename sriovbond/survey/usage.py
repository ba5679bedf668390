"""Who uses what a change would touch: pods that have a PF's VFs or links on it, guests."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import deviceinfo
from sriovbond import records
from sriovbond.host import Host
from sriovbond.kernel import elsewhere
from sriovbond.kernel.netns import Namespace
from sriovbond.nodenet.acts import NEEDS_EMPTY
from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.difference import is_changed, link_difference
from sriovbond.nodenet.joined import Joined, Pair
from sriovbond.nodenet.model import BOND, BRIDGE, ETHERNET, UP, LinkAggregation, NodeLink

_OF_GUESTS: Final = ("tun", "mac-vtap")
"""Types of interfaces that a virtual machine has its frames from."""
_VF: Final = "virtfn"
_MOST_NAMES: Final = 8
_FORCE: Final = "--force changes it all the same"


@dataclass(frozen=True, slots=True)
class Uses:
    """What a change would do to others: what is `refused` unless forced, and its users, `known`."""

    refused: tuple[Complaint, ...]
    known: tuple[str, ...]


def find(joined: Joined, node: Namespace, host: Host) -> Uses:
    """Return who uses what a change touches. Asks only where that may be.

    `joined` has the state of `node`. Raises KernelError, MachineError.
    """
    changing = [pair for pair in joined.pairs if is_changed(pair, joined)]
    paths = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    refused: list[Complaint] = []
    known: list[str] = []
    cuts = [*_of_guests(changing, joined), *_of_uppers(changing, node)]
    for name, words, is_cut in (*_of_functions(changing, joined, host), *cuts):
        if is_cut:
            path = ("interfaces", paths[name]) if name in paths else ("interfaces",)
            text = f"{name}: {words}; {_FORCE}"
            refused.append(Complaint(path, text))
        known.append(f"{name}: {words}")
    return Uses(tuple(refused), tuple(known))


def _of_functions(
    changing: list[Pair], joined: Joined, host: Host
) -> Iterator[tuple[str, str, bool]]:
    """Yield each PF whose VFs are in pods, with these, and whether the change would cut them."""
    pairs = {pair.name: pair for pair in changing}
    pfs = [pair.name for pair in changing if pair.current and pair.current.type == ETHERNET]
    pfs += sorted(_moved_ports(changing, joined) - {*pfs})
    functions = {name: _functions(host.places.sysfs, name) for name in pfs}
    pods = _pods(host) if any(functions.values()) else {}
    for name in pfs:
        users = {pods[vf] for vf in functions[name] if vf in pods}
        if users:
            is_cut = name in pairs and _cuts_functions(pairs[name], joined)
            yield name, f"its VFs are in pods: {_names(users)}", is_cut


def _moved_ports(changing: list[Pair], joined: Joined) -> set[str]:
    """Return the ports that leave their bond and come back, or get its MTU, by its change."""
    ports: set[str] = set()
    for pair in changing:
        change = link_difference(pair, joined) or NodeLink()
        bond = change.link_aggregation or LinkAggregation()
        names = {row.name for row in bond.settings} | ({"mode"} if bond.mode else set())
        if pair.target.type == BOND and (change.mtu or names & NEEDS_EMPTY):
            ports |= {*(ports_of(pair.current or NodeLink()) or ())}
    return ports


def _cuts_functions(pair: Pair, joined: Joined) -> bool:
    """Return whether a change takes VFs away, changes them, or takes the PF down under them."""
    change = link_difference(pair, joined)
    ethernet = change.ethernet if change else None
    return pair.target.state != UP or bool(ethernet and ethernet.sr_iov)


def _functions(sysfs: Path, name: str) -> list[str]:
    """Return the PCI addresses of a PF's VFs; none for another interface."""
    folder = sysfs / "class" / "net" / name / "device"
    with suppress(OSError):
        links = [entry for entry in os.listdir(folder) if entry.startswith(_VF)]  # noqa: PTH208 - names alone
        return [os.path.basename(os.readlink(folder / link)) for link in links]  # noqa: PTH115, PTH119
    return []


def _pods(host: Host) -> Mapping[str, str]:
    """Return the pod of each device, by its address: of this boot's records, and of kubelet's."""
    pods: dict[str, str] = {}
    reading = deviceinfo.find_claims(host.places, kubelet_timeout_s=host.kubelet_timeout_s)
    pods |= {str(claim.device): claim.pod for claim in reading.claims}
    boot = host.boot_id()
    current = [record for record in records.read_all(host)[0] if record.boot_id == boot]
    for record in current:
        for member in record.plan.members if record.plan else ():
            pods[member.device] = str(record.pod) if any(record.pod) else record.container_id
    return pods


def _of_guests(changing: list[Pair], joined: Joined) -> Iterator[tuple[str, str, bool]]:
    """Yield each interface that carries virtual machines: a bridge with taps, and what is below."""
    for pair in changing:
        guests = _guests(pair.name, joined) if pair.current else set()
        if guests:
            yield pair.name, f"virtual machines are on it, by {_names(guests)}", True


def _guests(name: str, joined: Joined) -> set[str]:
    """Return the interfaces of guests that are in an interface, on it, or on what it is in."""
    waiting, seen, guests = [name], {name}, set()
    while waiting:
        now = waiting.pop()
        for link in _above(now, joined):
            if link.type in _OF_GUESTS:
                guests.add(link.label)
            elif link.label not in seen:
                seen.add(link.label)
                waiting.append(link.label)
    return guests


def _above(name: str, joined: Joined) -> Iterator[NodeLink]:
    """Yield what has its frames by an interface: what is on it, its controller, its taps."""
    link = joined.links.get(name) or NodeLink()
    owner = joined.links.get(link.controller or "")
    yield from (owner,) if owner else ()
    for upper in joined.links.values():
        is_tap = upper.type in _OF_GUESTS and upper.controller == name
        if upper.base == name or (link.type == BRIDGE and is_tap):
            yield upper


def _of_uppers(changing: list[Pair], node: Namespace) -> Iterator[tuple[str, str, bool]]:
    """Yield what is to be removed and has an interface of another namespace, a pod's, on it."""
    going = {pair.name for pair in changing if pair.takes_uppers}
    links = {n: name for n, name in node.run(socket.if_nameindex) if name in going} if going else {}
    uppers = elsewhere.find_uppers(node, links) if links else {}
    for index, upper in uppers.items():
        yield links[index], f"{upper} of another namespace is on it, and would go with it", True


def _names(names: set[str]) -> str:
    shown = sorted(names)[:_MOST_NAMES]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
