"""The port lists of a document in which a port says itself which controller it has.

As nmstate has it: a name puts the port into that bond, bridge or VRF, the empty name takes it out.
Where the document lists the controller's ports, that counts.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sriovbond.nodenet.checks import is_absent_nic, ports_of
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    IGNORE,
    VRF,
    BondPort,
    Bridge,
    BridgePort,
    LinkAggregation,
    NetState,
    NodeLink,
    Vrf,
)
from sriovbond.nodenet.routing import ABSENT

CONTROLLERS: Final = (BOND, BRIDGE, VRF)
"""The types that have ports."""


def with_ignored_ports(state: NetState, present: Mapping[str, NodeLink]) -> NetState:
    """Return the document with the ports that it ignores in the lists of where they are."""
    links = state.interfaces or ()
    ignored = {link.label for link in links if link.state == IGNORE}
    rows = tuple(_with_ignored(link, present.get(link.label), ignored) for link in links)
    return replace(state, interfaces=rows) if ignored else state


def _with_ignored(link: NodeLink, now: NodeLink | None, ignored: Collection[str]) -> NodeLink:
    ports, before = ports_of(link), (now and ports_of(now)) or ()
    if ports is None or link.state in {ABSENT, IGNORE}:
        return link
    staying = [name for name in before if name in ignored and name not in ports]
    if link.bridge:
        rows = (*(link.bridge.port or ()), *(BridgePort(name=name) for name in staying))
        return replace(link, bridge=replace(link.bridge, port=rows))
    bond = link.link_aggregation
    if bond and bond.ports_config is not None:
        settings = (*bond.ports_config, *(BondPort(name=name) for name in staying))
        link = replace(link, link_aggregation=replace(bond, ports_config=settings))
    return _with_ports(link, [*ports, *staying])


def with_port_lists(state: NetState, present: Mapping[str, NodeLink]) -> NetState:
    """Return the document with the lists that its ports' `controller` asks for.

    A controller that the document does not mention is in it then, as it is but for its ports.
    """
    links = {link.label: link for link in state.interfaces or ()}
    owners = _owners(links.values())
    lists: dict[str, list[str]] = {}
    for name, port in _moves(links.values(), present):
        owner = links.get(name) or _as_it_is(present.get(name))
        if owner and owner.type in CONTROLLERS and owner.state not in {ABSENT, IGNORE}:
            links[name] = owner
            before = ports_of(present.get(name, owner)) or ()
            kept = [label for label in before if owners.get(label, name) == name]
            lists.setdefault(name, kept)
            if port.controller:
                lists[name].append(port.label)
    changed = {name: _with_ports(links[name], ports) for name, ports in lists.items()}
    rows = [changed.pop(link.label, link) for link in state.interfaces or ()]
    return replace(state, interfaces=(*rows, *changed.values())) if state.interfaces else state


def _owners(links: Iterable[NodeLink]) -> dict[str, str]:
    """Return the controller that a document gives each port, by either's word; empty for none."""
    owners: dict[str, str] = {}
    for link in links:
        if link.state == ABSENT or link.controller is not None:
            owners[link.label] = "" if link.state == ABSENT else link.controller or ""
    for link in links:
        ports = None if link.state in {ABSENT, IGNORE} else ports_of(link)
        owners.update((port, link.label) for port in ports or ())
    return owners


def _moves(
    links: Iterable[NodeLink], present: Mapping[str, NodeLink]
) -> Iterator[tuple[str, NodeLink]]:
    """Yield the ports that come or go by their own word, each with the controller."""
    listed = {link.label for link in links if ports_of(link) is not None}
    for link in tuple(links):
        now = _controller_now(link.label, present)
        is_leaving = is_absent_nic(link, present.get(link.label))
        port = replace(link, controller="") if is_leaving else link
        is_heeded = is_leaving or link.state not in {ABSENT, IGNORE}
        if port.controller not in (None, now) and is_heeded:
            name = port.controller or now
            if name not in listed:
                yield name, port


def _controller_now(name: str, present: Mapping[str, NodeLink]) -> str:
    return next((row.label for row in present.values() if name in (ports_of(row) or ())), "")


def _as_it_is(link: NodeLink | None) -> NodeLink | None:
    return link and NodeLink(name=link.name, type=link.type, state=link.state)


def _with_ports(owner: NodeLink, ports: list[str]) -> NodeLink:
    if owner.bridge or owner.type == BRIDGE:
        rows = tuple(BridgePort(name=name) for name in ports)
        return replace(owner, bridge=replace(owner.bridge or Bridge(), port=rows))
    if owner.vrf or owner.type == VRF:
        return replace(owner, vrf=replace(owner.vrf or Vrf(), port=tuple(ports)))
    bond = owner.link_aggregation or LinkAggregation()
    return replace(owner, link_aggregation=replace(bond, port=tuple(ports)))
