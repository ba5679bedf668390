"""What a document asks for beside what the node has: each interface with its present self.

As nmstate merges: what is not mentioned stays as it is; lists are given whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from sriovbond.nodenet import refusals
from sriovbond.nodenet.bondoptions import bond_after, of_mode, takes_ports_mac
from sriovbond.nodenet.checks import is_absent_nic, ports_of
from sriovbond.nodenet.controllers import with_ignored_ports, with_port_lists
from sriovbond.nodenet.model import (
    DOWN,
    ETHERNET,
    IGNORE,
    TYPES,
    UP,
    VETH,
    VRF,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
    SrIov,
    Veth,
    VirtualFunction,
)
from sriovbond.nodenet.names import resolve
from sriovbond.nodenet.normal import is_dynamic, normal
from sriovbond.nodenet.pairs import (
    Joined,
    Pair,
    leaving_addresses,
    own_mac,
    peers_of,
    stays,
    uppers_of,
)
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.values import is_link_local

__all__ = ["Joined", "Pair", "has_dynamic_alone", "join", "stays"]

_DEFAULTS: Final[Mapping[str, Any]] = {
    "spoof_check": True,
    "trust": False,
    "min_tx_rate": 0,
    "max_tx_rate": 0,
    "vlan_id": 0,
    "qos": 0,
}
"""Of a VF that the kernel has just made."""
_IP = TypeVar("_IP", Ipv4, Ipv6)


def join(desired: NetState, current: NetState) -> Joined:
    """Return both side by side, by the names that are used on this node."""
    present = {link.label: link for link in current.interfaces or ()}
    desired = with_ignored_ports(resolve(desired, present), present)
    desired = with_port_lists(desired, present)
    resolved = desired.interfaces or ()
    wishes = {link.label: link for link in resolved if link.state != IGNORE}
    peers = peers_of(resolved)
    pairs = [_pair(link, present, peers) for link in wishes.values()]
    pairs += _other_ends(pairs, present)
    pairs = list(_with_controllers(pairs, wishes, present))
    pairs = list(_with_uppers(pairs, present))
    pairs += _bases(pairs, present)
    kinds = {link.label: link.type for link in (*present.values(), *wishes.values())}
    pairs = [replace(pair, is_bound=_is_bound(pair, kinds)) for pair in pairs]
    joined = Joined(desired, current, tuple(pairs), (), present)
    joined = replace(joined, leaving=leaving_addresses(pairs, present))
    return replace(joined, complaints=tuple(refusals.judge(joined)))


def _pair(link: NodeLink, present: Mapping[str, NodeLink], peers: Mapping[str, str]) -> Pair:
    now = present.get(link.label)
    current = normal(now) if now else None
    target = replace(link, state=link.state or UP)
    if now is None and link.label in peers and link.type in {None, ETHERNET, VETH}:
        target = replace(target, type=VETH, veth=Veth(peer=peers[link.label]))
    if is_absent_nic(target, now):
        target = NodeLink(name=link.name, type=ETHERNET, state=DOWN, ipv4=Ipv4(enabled=False))
    if link.copy_mac_from in present:
        source = present[link.copy_mac_from or ""]
        target = replace(target, mac_address=own_mac(source, present))
    if current and now and target.state != ABSENT:
        target = replace(
            target,
            ipv4=_without_nothing(_with_present(target.ipv4, now.ipv4), now.ipv4),
            ipv6=_with_present(target.ipv6, now.ipv6),
        )
    target = _without_identity(target, current)
    if target.link_aggregation:
        former = now.link_aggregation if now else None
        mode = target.link_aggregation.mode or (former.mode if former else None)
        target = replace(target, link_aggregation=of_mode(target.link_aggregation, mode))
    if takes_ports_mac(bond_after(target, now)):
        target = replace(target, mac_address=None)
    target = _with_default_functions(_without_names(normal(target)), current or NodeLink())
    return Pair(link.label, link, target, current)


def _without_identity(link: NodeLink, current: NodeLink | None) -> NodeLink:
    """Return it without what it is known by, which is no wish: no kernel reports a profile."""
    is_by_mac = link.identifier == "mac-address" and current is not None
    mac = None if is_by_mac else link.mac_address
    return replace(link, identifier=None, profile_name=None, pci_address=None, mac_address=mac)


def _without_names(link: NodeLink) -> NodeLink:
    """Return it without the names of its VFs' interfaces: those are for reading, as in nmstate."""
    sr_iov = link.ethernet.sr_iov if link.ethernet else None
    if link.ethernet is None or sr_iov is None or sr_iov.vfs is None:
        return link
    vfs = tuple(replace(vf, iface_name=None) for vf in sr_iov.vfs)
    return replace(link, ethernet=replace(link.ethernet, sr_iov=replace(sr_iov, vfs=vfs)))


def _with_default_functions(link: NodeLink, now: NodeLink) -> NodeLink:
    """Return a PF that is to have an empty list of VFs with the defaults of those that it has.

    As nmstate has it; a MAC has no default, and what the PF does not report is left out.
    """
    wish = link.ethernet.sr_iov if link.ethernet else None
    present = (now.ethernet.sr_iov if now.ethernet else None) or SrIov()
    if link.ethernet is None or wish is None or wish.vfs != ():
        return link
    vfs = tuple(_default(vf) for vf in present.vfs or ())
    return replace(link, ethernet=replace(link.ethernet, sr_iov=replace(wish, vfs=vfs)))


def _default(vf: VirtualFunction) -> VirtualFunction:
    known = {name: value for name, value in _DEFAULTS.items() if getattr(vf, name) is not None}
    return VirtualFunction(id=vf.id, **known)


def _with_present(target: _IP | None, current: _IP | None) -> _IP | None:
    """Return it with what the present decides; without DHCP its addresses become static.

    An empty list says that there are to be none, and is met when it is applied again. nmstate makes
    the addresses of a lease static there, too, and has the next apply remove them.
    """
    if target is None or current is None:
        return target
    enabled = current.enabled if target.enabled is None else target.enabled
    target = replace(target, enabled=enabled)
    if enabled and target.dhcp is None:
        target = replace(target, dhcp=current.dhcp)
    if isinstance(target, Ipv6) and isinstance(current, Ipv6) and enabled:
        autoconf = current.autoconf if target.autoconf is None else target.autoconf
        target = replace(target, autoconf=autoconf)
    if not enabled or target.is_auto:
        return target
    if current.is_auto and target.address != () and _has_none_of_its_own(target):
        return _with_addresses_of(target, current)
    return replace(target, address=None) if has_dynamic_alone(target) else target


def _without_nothing(target: Ipv4 | None, current: Ipv4 | None) -> Ipv4 | None:
    """Return it as it is where IPv4 is to be enabled without addresses, and has none.

    The kernel has it enabled always; what it is called comes of addresses and routes.
    """
    is_on = target is not None and target.enabled and not target.is_auto
    if target is None or not is_on or target.address or (current and current.enabled):
        return target
    return replace(target, enabled=None, dhcp=None, address=None)


def has_dynamic_alone(ip: Ipv4 | Ipv6) -> bool:
    """Return whether a list has addresses that were given for a time, and no others."""
    return any(map(is_dynamic, ip.address or ())) and _has_none_of_its_own(ip)


def _has_none_of_its_own(ip: Ipv4 | Ipv6) -> bool:
    return all(is_dynamic(part) or is_link_local(part.ip or "::") for part in ip.address or ())


def _with_addresses_of(ip: _IP, current: _IP) -> _IP:
    kept = [
        replace(part, valid_life_time=None, preferred_life_time=None)
        for part in current.address or ()
    ]
    return ip if current.address is None else replace(ip, address=tuple(kept))


def _other_ends(pairs: Iterable[Pair], present: Mapping[str, NodeLink]) -> list[Pair]:
    """Return the other ends of new veths that a document does not mention: they come up, too."""
    known = {*present, *(pair.name for pair in pairs)}
    new = [pair.target for pair in pairs if pair.current is None and pair.target.state == UP]
    return [
        Pair(peer, None, NodeLink(name=peer, type=VETH, state=UP, veth=Veth(peer=name)), None)
        for peer, name in peers_of(new).items()
        if peer not in known
    ]


def _with_controllers(
    pairs: Iterable[Pair], wishes: Mapping[str, NodeLink], present: Mapping[str, NodeLink]
) -> Iterator[Pair]:
    """Yield the pairs with the controllers that port lists give them, and the ports that follow."""
    pairs = list(pairs)
    owners = _owners(pairs, present)
    for pair in pairs:
        if pair.name in owners and pair.target.state != ABSENT:
            yield replace(pair, target=replace(pair.target, controller=owners[pair.name]))
        else:
            yield pair
    for name, owner in owners.items():
        if name not in wishes and name in present:
            current = normal(present[name])
            target = NodeLink(name=name, type=current.type, state=UP, controller=owner)
            yield Pair(name, None, target, current)


def _with_uppers(pairs: Iterable[Pair], present: Mapping[str, NodeLink]) -> Iterator[Pair]:
    """Yield the pairs, with those that go unasked: what they are on goes, or a veth's other end."""
    pairs = list(pairs)
    in_document = {pair.name for pair in pairs if pair.desired is not None}
    going = [pair.name for pair in pairs if pair.takes_uppers]
    unasked: dict[str, Pair] = {}
    for name in going:
        for upper in (*uppers_of(name, present), *_peer_of(name, present)):
            if upper.type in TYPES and upper.label not in {*in_document, *unasked}:
                target = NodeLink(name=upper.name, type=upper.type, state=ABSENT)
                unasked[upper.label] = Pair(upper.label, None, target, normal(upper))
                going.append(upper.label)
    yield from (pair for pair in pairs if pair.name not in unasked)
    yield from unasked.values()


def _peer_of(name: str, present: Mapping[str, NodeLink]) -> Iterator[NodeLink]:
    """Yield the other end of a veth: it goes with it."""
    veth = present[name].veth
    peer = present.get((veth and veth.peer) or "")
    if peer is not None:
        yield peer


def _bases(pairs: list[Pair], present: Mapping[str, NodeLink]) -> Iterator[Pair]:
    """Yield what is down and not mentioned, where something on it is to be up: it has to be, too.

    Else a boot, after which nothing else sets it up, would not apply the document.
    """
    known = {pair.name for pair in pairs}
    bases = (
        present.get(pair.target.base or (pair.current or pair.target).base or "")
        for pair in pairs
        if pair.desired and pair.target.state == UP
    )
    for base in dict.fromkeys(link for link in bases if link):
        if base.state == DOWN and base.label not in known:
            target = NodeLink(name=base.name, type=base.type, state=UP)
            yield Pair(base.label, None, target, normal(base))


def _is_bound(pair: Pair, kinds: Mapping[str, str | None]) -> bool:
    """Return whether its controller, the new or the one that it keeps, takes its addresses."""
    now = pair.current.controller if pair.current else None
    owner = now if pair.target.controller is None else pair.target.controller
    return bool(owner) and kinds.get(owner or "") != VRF


def _owners(pairs: Iterable[Pair], present: Mapping[str, NodeLink]) -> dict[str, str]:
    """Return the owner of each port that changes its owner; the empty name for none."""
    owners: dict[str, str] = {}
    for pair in pairs:
        before = set((pair.current and ports_of(pair.current)) or ())
        after = () if pair.target.state == ABSENT else ports_of(pair.target)
        if after is None:
            continue
        for port in sorted(set(after) - before):
            owners[port] = pair.name
        for port in sorted(before - set(after)):
            if pair.target.state == ABSENT or not stays(pair.target, port, present):
                owners.setdefault(port, "")
    return owners
