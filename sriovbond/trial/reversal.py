"""The document that takes a node from what it is now to what it was, where it was changed. No I/O.

Addresses and routes over links are none of it: those are restored as the kernel had them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sriovbond.nodenet.acts import is_nic
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    IGNORE,
    TYPES,
    VRF,
    BondPort,
    Bridge,
    BridgePort,
    Ethernet,
    Ipv6,
    LinkAggregation,
    NetState,
    NodeLink,
    Vrf,
)
from sriovbond.nodenet.routing import ABSENT
from sriovbond.trial import footprints
from sriovbond.trial.checkpoint import Journal

Links = Mapping[str, NodeLink]


def reversal(before: NetState, back: NetState, journal: Journal, now: NetState) -> NetState:
    """Return the document that reverts what the journal says was begun.

    `back` reverts the whole change, also what of it was not begun. Of links that were only touched
    because others were, it has what they may have lost. A NIC that is missing is not in it, for
    nothing can make it: see `missing_nics`.
    """
    old, present = _links(before), _links(now)
    wishes = {name: _gone(present[name]) for name in journal.made if name in present}
    wishes = {name: link for name, link in wishes.items() if name not in old}
    for name in footprints.closure(journal.touched, old):
        if name in old and old[name].type in TYPES and _is_lost(name, old, present, journal):
            wishes[name] = _bare(old[name])
            if is_nic(old[name]):  # its MAC is restored otherwise: it may be fixed by the PF
                wishes[name] = replace(wishes[name], mac_address=None)
    for link in back.interfaces or ():
        name = link.label
        is_changed = name in old and old[name] != present.get(name)
        if name in journal.touched and is_changed and name not in wishes:
            wishes[name] = _bare(link)
    for owner in _owners(journal, old):
        if owner.label in present or owner.label in wishes:
            state = None if owner.state == IGNORE else owner.state
            wish = wishes.get(owner.label, NodeLink(owner.label, type=owner.type, state=state))
            wishes[owner.label] = _with_ports(wish, owner, old, present, journal)
    return NetState(interfaces=tuple(wishes.values()))


def missing_nics(before: NetState, journal: Journal, now: NetState) -> list[str]:
    """Return the NICs that the change touched and that are missing now, such as VFs."""
    old, present = _links(before), _links(now)
    names = footprints.closure(journal.touched, old)
    return [name for name in names if name not in present and name in old and is_nic(old[name])]


def names_of_functions(before: NetState, journal: Journal) -> dict[str, dict[int, str]]:
    """Return the names that the VFs of PFs had, by PF and number, of those that were touched."""
    names: dict[str, dict[int, str]] = {}
    for pf in before.interfaces or ():
        vfs = (pf.ethernet and pf.ethernet.sr_iov and pf.ethernet.sr_iov.vfs) or ()
        rows = {vf.id or 0: vf.iface_name for vf in vfs if vf.iface_name in journal.touched}
        if pf.label in journal.touched and rows:
            names[pf.label] = {number: name for number, name in rows.items() if name}
    return names


def _is_lost(name: str, old: Links, present: Links, journal: Journal) -> bool:
    """Return whether a link is missing and can be made, or is a VF's that was made anew."""
    if name in present:
        remade = names_of_functions(NetState(interfaces=tuple(old.values())), journal)
        return any(name in row.values() for row in remade.values()) and old[name] != present[name]
    return not is_nic(old[name])


def _links(state: NetState) -> dict[str, NodeLink]:
    return {link.label: link for link in state.interfaces or ()}


def _gone(link: NodeLink) -> NodeLink:
    return NodeLink(name=link.name, type=link.type, state=ABSENT)


def _bare(link: NodeLink) -> NodeLink:
    """Return a link without what is restored otherwise; a token is kept only here.

    What a PF has for its VFs is: a document would have it fix MACs that they have by themselves.
    """
    token = link.ipv6.token if link.ipv6 else None
    return replace(
        link,
        ethernet=link.ethernet and _without_functions(link.ethernet),
        ipv4=None,
        ipv6=Ipv6(token=token) if token else None,
        controller=None,
        state=None if link.state == IGNORE else link.state,
    )


def _without_functions(ethernet: Ethernet) -> Ethernet:
    sr_iov = ethernet.sr_iov
    return replace(ethernet, sr_iov=sr_iov and replace(sr_iov, vfs=None))


def _owners(journal: Journal, old: Links) -> Iterator[NodeLink]:
    """Yield the controllers that had a port that was touched, or that were touched themselves."""
    for link in old.values():
        ports = ports_of(link)
        if ports is not None and not {link.label, *ports}.isdisjoint(journal.touched):
            yield link


def _with_ports(
    wish: NodeLink, owner: NodeLink, old: Links, present: Links, journal: Journal
) -> NodeLink:
    """Return it with the ports that it had; those that others put in meanwhile stay."""
    had = [name for name in ports_of(owner) or () if name in present or _is_ours(old.get(name))]
    now = (ports_of(present[owner.label]) if owner.label in present else None) or ()
    joined_since = [name for name in now if name not in had and name not in journal.touched]
    ports = tuple(dict.fromkeys((*had, *joined_since)))
    if owner.type == BRIDGE:
        bridge = wish.bridge or Bridge()
        return replace(wish, bridge=replace(bridge, port=tuple(map(BridgePort, ports))))
    if owner.type == VRF:
        return replace(wish, vrf=replace(wish.vrf or Vrf(), port=ports))
    if owner.type == BOND:
        bond = wish.link_aggregation or LinkAggregation()
        entries = _entries(owner, had)
        bond = replace(bond, port=ports, ports_config=entries if set(ports) == set(had) else None)
        return replace(wish, link_aggregation=bond)
    return wish


def _entries(owner: NodeLink, had: Iterable[str]) -> tuple[BondPort, ...] | None:
    rows = (owner.link_aggregation and owner.link_aggregation.ports_config) or ()
    kept = set(had)
    return tuple(row for row in rows if row.name in kept) or None


def _is_ours(link: NodeLink | None) -> bool:
    return link is not None and link.type in TYPES
