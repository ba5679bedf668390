"""A document as it is kept for a boot: with what the present has decided of it."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TypeVar

from sriovbond.nodenet.bondoptions import bond_after, takes_ports_mac
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.joined import Joined, has_dynamic_alone
from sriovbond.nodenet.model import (
    BOND,
    IGNORE,
    VETH,
    IpAddress4,
    IpAddress6,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
    Veth,
)
from sriovbond.nodenet.pairs import is_bonds_port, own_mac
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.values import is_link_local

_IP = TypeVar("_IP", Ipv4, Ipv6)
_Address = TypeVar("_Address", IpAddress4, IpAddress6)


def document(joined: Joined) -> NetState:
    """Return the document with the addresses, and the MACs of bonds and veths, that it leaves."""
    links = joined.desired.interfaces
    if links is None:
        return joined.desired
    rows = (*(_lasting(link, joined) for link in links), *_other_ends(links, joined))
    return replace(joined.desired, interfaces=rows)


def _lasting(link: NodeLink, joined: Joined) -> NodeLink:
    pair, now = joined.pair(link.label), joined.links.get(link.label)
    if pair is None or now is None or pair.target.state == ABSENT:
        return link
    if pair.is_bound:
        return _without_bonds_mac(link, now, joined)
    return replace(
        link,
        ipv4=_decided(link.ipv4, pair.target.ipv4, now.ipv4),
        ipv6=_decided(link.ipv6, pair.target.ipv6, now.ipv6),
        mac_address=link.mac_address or _kept_mac(link, now, joined),
    )


def _other_ends(links: Collection[NodeLink], joined: Joined) -> Iterator[NodeLink]:
    """Yield the other ends of the veths that are there: a boot would make them with other MACs.

    Not of a port, which may have its bond's.
    """
    names = {link.label for link in links}
    for link in links:
        veth = link.veth if link.state not in {ABSENT, IGNORE} else None
        peer = joined.links.get((veth and veth.peer) or "")
        if peer is None or link.label not in joined.links or peer.label in names:
            continue
        pair = joined.pair(peer.label)
        if not (pair.is_bound if pair else is_bonds_port(peer, joined.links)):
            yield NodeLink(
                name=peer.name,
                type=VETH,
                state=joined.state_of(peer.label),
                mac_address=peer.mac_address,
                veth=Veth(peer=link.name),
            )


def _decided(wish: _IP | None, target: _IP | None, now: _IP | None) -> _IP | None:
    """Return a family that is enabled, or has DHCP, because it is so; and the addresses it has."""
    if wish is None or target is None or now is None or not target.enabled:
        return wish
    if isinstance(wish, Ipv4) and wish.dhcp is None and target.dhcp:
        wish = replace(wish, dhcp=True)
    if wish.address or wish.dhcp or getattr(wish, "autoconf", None):
        wish = replace(wish, enabled=True)
    is_static = wish.dhcp is False or getattr(wish, "autoconf", None) is False
    keeps_all = wish.address is None or has_dynamic_alone(wish)
    rows = _static(now.address) if is_static and keeps_all and not target.is_auto else ()
    return replace(wish, address=rows) if rows else wish


def _static(rows: tuple[_Address, ...] | None) -> tuple[_Address, ...]:
    """Return addresses as static ones, but for those that each link makes for itself."""
    return tuple(
        replace(row, valid_life_time=None, preferred_life_time=None)
        for row in rows or ()
        if not is_link_local(row.ip or "::")
    )


def _without_bonds_mac(link: NodeLink, now: NodeLink, joined: Joined) -> NodeLink:
    """Return a bond's port without the MAC that it has of its bond: a boot begins with its own."""
    is_bonds = is_bonds_port(now, joined.links) and link.identifier != "mac-address"
    is_as_shown = link.mac_address == now.mac_address != own_mac(now, joined.links)
    return replace(link, mac_address=None) if is_bonds and is_as_shown else link


def _kept_mac(link: NodeLink, now: NodeLink, joined: Joined) -> str | None:
    """Return the MAC of what is there and would be made with another: a bond's port's, or any."""
    ports = ports_of(link)
    if link.copy_mac_from or link.identifier == "mac-address":
        return None
    if link.veth and now.veth:
        return own_mac(now, joined.links)
    if link.type != BOND or not ports or takes_ports_mac(bond_after(link, now)):
        return None
    first = joined.links.get(min(ports))
    mac = own_mac(first, joined.links) if first else None
    return now.mac_address if mac not in (None, now.mac_address) else None
