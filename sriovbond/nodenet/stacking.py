"""Which interface can be made on which, or be a port of which: what the kernel would refuse."""

from collections.abc import Iterator
from typing import Final

from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.model import BOND, BRIDGE, DOWN, MACVLAN, UP, VLAN, VRF, NodeLink, VlanLink
from sriovbond.nodenet.pairs import (
    TAKING,
    Joined,
    Pair,
    alt_names_leaving,
    place_of,
    uppers_of,
)
from sriovbond.nodenet.remaking import is_remade, vlan_after
from sriovbond.nodenet.routing import ABSENT

_NESTED: Final = {
    BRIDGE: "the kernel puts no bridge into a bridge",
    BOND: "a bond over bonds is not made here",
    VRF: "the kernel puts no VRF into a VRF",
}


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what the interfaces of a document cannot be made on, or have as ports."""
    for number, link in enumerate(joined.desired.interfaces or ()):
        pair = joined.pair(link.label)
        if pair is None or pair.target.state == ABSENT:
            continue
        texts = (
            *_of_names(pair, joined),
            *_of_loop(pair, joined),
            *_of_ports(pair, joined),
            *_of_base(pair, joined),
        )
        yield from (Complaint(("interfaces", number), f"{pair.name}: {text}") for text in texts)


def _of_names(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield the names that another interface has, and does not lose by the document."""
    names = {alt.name for alt in pair.target.alt_names or () if alt.state != ABSENT}
    names |= {pair.name} if pair.current is None else set()
    for link in joined.links.values() if names else ():
        leaving = {alt.name for alt in alt_names_leaving(joined.pair(link.label))}
        taken = names & ({link.name, *(alt.name for alt in link.alt_names or ())} - leaving)
        if link.label != pair.name and taken:
            yield f"{link.label} has the name {', '.join(map(str, sorted(taken, key=str)))} already"


def _of_loop(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield that an interface would be on itself."""
    none: tuple[str, ...] = ()
    waiting = [(name, none) for name in joined.below(pair.name)]
    seen: set[str] = set()
    while waiting:
        name, way = waiting.pop()
        if name == pair.name:
            by = f", by {', '.join(way)}" if way else ""
            yield f"it would be on itself{by}"
            return
        if name not in seen:
            seen.add(name)
            waiting += [(below, (*way, name)) for below in joined.below(name)]


def _of_ports(pair: Pair, joined: Joined) -> Iterator[str]:
    kind = _type_of(pair.name, joined)
    before = ports_of(pair.current or NodeLink()) or ()
    for port in ports_of(pair.target) or ():
        if port in before:
            continue
        if kind in _NESTED and _type_of(port, joined) == kind and port != pair.name:
            yield f"{port} can be no port of it: {_NESTED[kind]}"
        if port == "lo":
            yield "lo can be no port"
        if kind in {BOND, BRIDGE} and _type_of(port, joined) == VRF:
            yield f"{port} is a VRF, which can be no port of it"
        for upper in _on(port, joined) if kind != VRF else ():
            if _type_of(upper, joined) in TAKING and joined.state_of(upper) != ABSENT:
                yield f"{upper} is on {port} and takes its frames, so that it can be no port"


def _of_base(pair: Pair, joined: Joined) -> Iterator[str]:
    link = pair.current or pair.target
    base = pair.target.base or link.base
    if base is None:
        peer = pair.target.veth.peer if pair.target.veth else None
        if pair.current is None and peer and (peer == pair.name or peer in joined.links):
            yield f"its peer {peer} is there already: veth are made in pairs"
        return
    if link.type == VLAN:
        yield from _of_vlan(pair, base, joined)
    if _is_new(pair) and (base == "lo" or _type_of(base, joined) == VRF):
        yield f"{base}, which it is on, takes no VLAN and no MACVLAN"
    if link.type == MACVLAN and pair.current is None:
        yield from _of_macvlan(pair, base, joined)


def _is_new(pair: Pair) -> bool:
    return pair.current is None or is_remade(pair)


def _of_macvlan(pair: Pair, base: str, joined: Joined) -> Iterator[str]:
    owner = _owner_of(base, joined)
    if owner:
        yield f"{base} is a port of {owner}, which gets its frames: put it on {owner}"
    if _type_of(base, joined) == MACVLAN:
        real = (joined.links.get(base) or (joined.pair(base) or pair).target).base
        yield f"the kernel puts a MACVLAN on a MACVLAN on {real}, which that is on: name {real}"
    for name in _on(base, joined):
        other = joined.links.get(name) or (joined.pair(name) or pair).target
        modes = {row.mac_vlan.mode for row in (pair.target, other) if row.mac_vlan}
        if name != pair.name and other.type == MACVLAN and "passthru" in modes:
            yield f"{name} is on {base}, too, and a MACVLAN in mode passthru is alone on it"


def _of_vlan(pair: Pair, base: str, joined: Joined) -> Iterator[str]:
    vlan = vlan_after(pair.name, joined) or VlanLink()
    for name in _on(base, joined) if _is_new(pair) else ():
        if name != pair.name and place_of(vlan_after(name, joined)) == place_of(vlan):
            remedy = ": let it be absent in this document" if name in joined.links else ""
            yield f"VLAN {vlan.id} of {base} is {name}{remedy}"
    is_loose = (pair.target.vlan or VlanLink()).loose_binding or (
        (pair.current and pair.current.vlan) or VlanLink()
    ).loose_binding
    if pair.target.state == UP and not is_loose and joined.state_of(base) == DOWN:
        yield f"{base}, which it is on, is down: a VLAN comes up on what is up"


def _on(base: str, joined: Joined) -> list[str]:
    """Return what is made on an interface, or is to be."""
    present = [row.label for row in uppers_of(base, joined.links)]
    wishes = [pair.name for pair in joined.pairs if pair.target.base == base]
    return [
        name
        for name in dict.fromkeys((*present, *wishes))
        if (pair := joined.pair(name)) is None or pair.target.state != ABSENT or name in present
    ]


def _owner_of(name: str, joined: Joined) -> str:
    """Return the bond or bridge that an interface is to be a port of, empty for none."""
    pair, now = joined.pair(name), joined.links.get(name) or NodeLink()
    owner = now.controller if pair is None or pair.target.controller is None else None
    owner = (pair.target.controller if pair and owner is None else owner) or ""
    return "" if _type_of(owner, joined) == VRF else owner


def _type_of(name: str, joined: Joined) -> str | None:
    pair, now = joined.pair(name), joined.links.get(name)
    return (now and now.type) or (pair and pair.target.type) or None
