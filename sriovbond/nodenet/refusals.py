"""What of a document cannot be on a node, whatever would bring it about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sriovbond.nodenet.checks import IPV6_OF_LO, Complaint, is_absent_nic, ports_of
from sriovbond.nodenet.controllers import CONTROLLERS
from sriovbond.nodenet.model import (
    BOND,
    ETHERNET,
    IGNORE,
    MACVLAN,
    SECTION_OF,
    TYPES,
    VETH,
    VLAN,
    VRF,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
    Stp,
)
from sriovbond.nodenet.names import is_same_type, is_unknown
from sriovbond.nodenet.pairs import Joined, Pair, peers_of, uppers_of
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.sections import keys_of
from sriovbond.nodenet.values import (
    NAME_BYTES,
    NO_INTERFACE_ID,
    RESOLVER_OPTIONS,
    family_of,
    is_resolver_option,
)

_LEAST_DELAY: Final = 2  # BR_MIN_FORWARD_DELAY, net/bridge/br_private_stp.h


@dataclass(frozen=True, slots=True)
class _Beside:
    """What else is on the node or in the document: all names, ends of veths, whether VFs come."""

    names: frozenset[str]
    peers: Mapping[str, str]
    makes_functions: bool


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what cannot be, each with the path of the part of the document that asks for it."""
    yield from _of_links(joined.desired.interfaces or (), joined.links)
    yield from _of_ports(joined)
    yield from _of_pairs(joined)
    yield from _of_routes(joined)
    yield from _of_resolver(joined)
    yield from _of_servers(joined)


def _of_links(links: Sequence[NodeLink], present: Mapping[str, NodeLink]) -> Iterator[Complaint]:
    wishes = {link.label: link for link in links}
    beside = _Beside(frozenset({*present, *wishes}), peers_of(links), _makes_functions(links))
    seen: set[str] = set()
    for number, link in enumerate(links):
        if link.state == IGNORE and link.type not in (None, *TYPES):
            continue
        if link.label in seen:
            yield Complaint(("interfaces", number), f"{link.label} is meant by two names")
        seen.add(link.label)
        now = present.get(link.label)
        owner = wishes.get(link.controller or "") or present.get(link.controller or "")
        if now and link.state != IGNORE and is_unknown(link, present):
            address = link.mac_address if link.identifier == "mac-address" else link.pci_address
            text = f"no interface has the {link.identifier} {address}, by which it is to be known"
            yield Complaint(("interfaces", number), f"{link.label}: {text}")
        for text in (
            *_faults(link, now, beside),
            *_of_controller(link, now, owner),
            *_of_ignored(link, now, wishes),
        ):
            yield Complaint(("interfaces", number), f"{link.label}: {text}")


def _of_ports(joined: Joined) -> Iterator[Complaint]:
    """Yield the ports that are given addresses, which their controller takes."""
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    for pair in joined.pairs:
        wish = pair.desired
        if wish is None or not pair.is_bound or wish.state == ABSENT:
            continue
        for family, ip in (("ipv4", wish.ipv4), ("ipv6", wish.ipv6)):
            if ip and ip.enabled:
                path = ("interfaces", numbers.get(pair.name, 0), family)
                yield Complaint(path, f"{pair.name} is a port, and has no addresses of its own")


def _of_pairs(joined: Joined) -> Iterator[Complaint]:
    """Yield what cannot be of interfaces because of others: below them, on them, or their ports."""
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    going = {pair.name for pair in joined.pairs if pair.is_to_go or _is_absent(pair)}
    for pair in joined.pairs:
        path = ("interfaces", numbers[pair.name]) if pair.name in numbers else ("interfaces",)
        texts = _of_going(pair, joined) if pair.takes_uppers else _of_staying(pair, joined, going)
        yield from (Complaint(path, f"{pair.name}: {text}") for text in texts)


def _is_absent(pair: Pair) -> bool:
    return pair.desired is not None and is_absent_nic(pair.desired, pair.current)


def _of_going(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield what is on an interface that goes, and which a document cannot make again."""
    for link in uppers_of(pair.name, joined.links):
        if link.type not in TYPES:
            kind = f"of type {link.type}" if link.type else "of a type that is not ours"
            yield f"{link.label} is on it, {kind}, and would go with it: remove that first"


def _of_staying(pair: Pair, joined: Joined, going: set[str]) -> Iterator[str]:
    if pair.target.state == ABSENT:
        return
    below = (*(ports_of(pair.target) or ()), pair.target.base or (pair.current or pair.target).base)
    for name in sorted(going.intersection(below)):
        yield f"{name}, which it is made of, is to be removed"
    yield from _of_owner(pair, joined)
    yield from _of_mtu(pair, joined)


def _of_owner(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield the controller that it would have to leave, and which nothing here takes ports from."""
    before = pair.current.controller if pair.current else None
    owner, after = joined.links.get(before or "") or NodeLink(), pair.target.controller
    if after not in (None, before) and owner.type not in (None, *CONTROLLERS):
        yield f"it is a port of {before}, of type {owner.type}: take it out by what made that"


def _of_mtu(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield the MTUs that the kernel refuses, or changes again: by what is below, or the bond."""
    mtu, now = pair.target.mtu, pair.current or NodeLink()
    base = pair.target.base or now.base
    most = joined.mtu_of(base) if mtu and base else None
    if mtu and most and mtu > most:
        yield f"the MTU cannot be {mtu}: {base}, which it is on, has {most}; give that one more"
    if pair.target.type != BOND or not pair.desired:
        return
    of_bond = joined.mtu_of(pair.name)
    for port in joined.below(pair.name) if of_bond else ():
        yield from _of_port(port, of_bond or 0, pair, joined)


def _of_port(name: str, mtu: int, bond: Pair, joined: Joined) -> Iterator[str]:
    """Yield what is wrong with the MTU of a bond's port: it gets that of the bond."""
    link, pair = joined.links.get(name) or NodeLink(), joined.pair(name)
    now = bond.current or NodeLink()
    is_given = name not in (ports_of(now) or ()) or mtu != now.mtu
    if is_given and link.max_mtu and mtu > link.max_mtu:
        yield f"the MTU cannot be {mtu}: its port {name} takes at most {link.max_mtu}"
    wish = pair.target.mtu if pair else None
    if wish and wish != mtu and (is_given or wish != link.mtu):
        yield f"its port {name} is to have the MTU {wish}, and gets that of the bond, {mtu}"


def _of_routes(joined: Joined) -> Iterator[Complaint]:
    """Yield the routes whose interface is missing, or has no addresses of their family."""
    for number, route in enumerate(joined.desired.configured_routes):
        name = route.next_hop_interface
        if route.state != ABSENT and route.vrf_name:  # names.resolve() had its table else
            text = f"{route.vrf_name} is no VRF whose table it is in"
            yield Complaint(("routes", "config", number), text)
        if route.state == ABSENT or route.route_type or name is None:
            continue
        family = family_of(route.destination or "")
        pair, link = joined.pair(name), joined.links.get(name)
        if not (pair or link):
            yield Complaint(("routes", "config", number), f"{name} is missing")
        elif link and link.type not in (None, *TYPES):
            text = f"{name} is of type {link.type}, which is not ours, nor are routes over it"
            yield Complaint(("routes", "config", number), text)
        elif pair.loses(family) if pair else not _has_family(link, family):
            words = "is to have no" if pair else "has no"
            yield Complaint(("routes", "config", number), f"{name} {words} IPv{family}")
        elif route.source in joined.leaving.gone:
            text = f"its source {route.source} goes from the node"
            yield Complaint(("routes", "config", number), text)


def _of_resolver(joined: Joined) -> Iterator[Complaint]:
    """Yield the options of the resolver that neither resolv.conf(5) nor the node has."""
    present = _options_of(joined.current)
    for number, word in enumerate(_options_of(joined.desired)):
        if not is_resolver_option(word) and word not in present:
            text = f"{word!r} is unknown: one of {RESOLVER_OPTIONS} is expected"
            yield Complaint(("dns-resolver", "config", "options", number), text, is_taken=True)


def _of_servers(joined: Joined) -> Iterator[Complaint]:
    """Yield the DNS servers over an interface that is missing, or is to be removed."""
    for number, server in enumerate(_servers_of(joined.desired)):
        name = server.partition("%")[2]
        pair, is_there = joined.pair(name), name in joined.links
        is_gone = pair.target.state == ABSENT if pair else not is_there
        if name and is_gone and server not in _servers_of(joined.current):
            text = f"{name}, over which the DNS server {server} is, is missing"
            yield Complaint(("dns-resolver", "config", "server", number), text)


def _servers_of(state: NetState) -> tuple[str, ...]:
    resolver = state.dns_resolver.config if state.dns_resolver else None
    return (resolver.server if resolver else None) or ()


def _options_of(state: NetState) -> tuple[str, ...]:
    resolver = state.dns_resolver.config if state.dns_resolver else None
    return (resolver.options if resolver else None) or ()


def _has_family(link: NodeLink | None, family: int) -> bool:
    ip = link and link.ip(family)
    return bool(ip and ip.enabled) or (link is not None and link.type == VRF)


def _faults(link: NodeLink, now: NodeLink | None, beside: _Beside) -> Iterator[str]:
    if link.state == IGNORE:
        return
    yield from _faults_of_type(link, now or NodeLink())
    if link.state == ABSENT:
        return
    yield from _faults_of_sections(link)
    yield from _faults_of_stp(_stp(link), _stp(now or NodeLink()))
    if link.copy_mac_from and link.copy_mac_from not in beside.names:
        yield f"copy-mac-from {link.copy_mac_from} is missing"
    yield from _faults_of_addresses(link, now or NodeLink())
    known = beside.names | {*(ports_of(now or NodeLink()) or ())}
    missing = sorted({*(ports_of(link) or ())} - known)
    if missing:
        yield f"its ports {', '.join(missing)} are missing{_of_functions(missing, beside)}"
    if (
        link.mtu is not None
        and now
        and not (now.min_mtu or 0) <= link.mtu <= (now.max_mtu or link.mtu)
    ):
        yield f"the MTU must be from {now.min_mtu} to {now.max_mtu}"
    if now is None:
        yield from _faults_of_new(link, beside)
    else:
        yield from _faults_of_peer(link, now)


def _faults_of_type(link: NodeLink, now: NodeLink) -> Iterator[str]:
    """Yield that it is of another type, or of one that no way back could make again."""
    if not is_same_type(link.type, now.type):
        remedy = "" if link.state == ABSENT else f"; remove it before it becomes {link.type}"
        yield f"it is of type {now.type}{remedy}"
    if now.type and now.type not in TYPES:
        yield f"type {now.type} is not ours"


def _faults_of_peer(link: NodeLink, now: NodeLink) -> Iterator[str]:
    """Yield why an interface whose other end is not on this node gets none."""
    peer = link.veth.peer if link.veth else None
    if peer and now.type == ETHERNET and now.veth is None:
        yield f"it is no veth, and has no peer {peer}"
    elif peer and now.type == VETH and now.veth is None:
        yield f"its other end is in another namespace: remove it before its peer is {peer}"


def _stp(link: NodeLink) -> Stp:
    options = link.bridge.options if link.bridge else None
    return (options and options.stp) or Stp()


def _faults_of_stp(wish: Stp, now: Stp) -> Iterator[str]:
    """Yield a delay that the kernel takes only where STP is off, before and after."""
    delay = wish.forward_delay
    if delay is not None and delay < _LEAST_DELAY and (wish.enabled or now.enabled):
        yield f"forward-delay {delay} is for a bridge without STP: with it {_LEAST_DELAY} to 30"


def _faults_of_sections(link: NodeLink) -> Iterator[str]:
    """Yield the sections of another type than the interface has on the node, if none is given."""
    rows = {row.field: row.name for row in keys_of(NodeLink)}
    for section, types in SECTION_OF.items():
        if link.type in TYPES and link.type not in types and getattr(link, section) is not None:
            yield f"{rows[section]} is for type {types[0]}, not for {link.type}"


def _of_controller(link: NodeLink, now: NodeLink | None, owner: NodeLink | None) -> Iterator[str]:
    """Yield why an interface cannot be a port of the controller that it names itself."""
    is_as_before = now is not None and link.controller == now.controller
    if not link.controller or link.state in {ABSENT, IGNORE} or is_as_before:
        return
    words = f"its controller {link.controller}"
    if owner is None:
        yield f"{words} is missing"
    elif owner.state == ABSENT:
        yield f"{words} is to be removed"
    elif owner.type not in (None, *CONTROLLERS):
        here = "" if owner.type in TYPES else " here"
        yield f"{words} is of type {owner.type}, which has no ports{here}"


def _of_ignored(
    link: NodeLink, now: NodeLink | None, wishes: Mapping[str, NodeLink]
) -> Iterator[str]:
    """Yield the ports that are to come, and are to be ignored."""
    before = (now and ports_of(now)) or ()
    ports = () if link.state in {ABSENT, IGNORE} else ports_of(link) or ()
    for port in ports:
        if port in wishes and wishes[port].state == IGNORE and port not in before:
            yield f"{port}, which is to be its port, is to be ignored"


def _makes_functions(links: Iterable[NodeLink]) -> bool:
    sections = [link.ethernet.sr_iov for link in links if link.ethernet]
    return any(section and section.total_vfs for section in sections)


def _of_functions(missing: Sequence[str], beside: _Beside) -> str:
    """Say what makes VFs that are missing: what has no name yet cannot be a port."""
    is_vf = beside.makes_functions or any(name.startswith("sriov:") for name in missing)
    return "; a document before this one makes VFs (sr-iov.total-vfs)" if is_vf else ""


def _faults_of_addresses(link: NodeLink, now: NodeLink) -> Iterator[str]:
    if _is_enabled_nowhere(link.ipv4, now.ipv4):
        yield "ipv4 needs enabled: true"
    if _is_enabled_nowhere(link.ipv6, now.ipv6):
        yield "ipv6 needs enabled: true"
    if _is_token_useless(link.ipv6, now.ipv6):
        yield "its IPv6 token is for SLAAC: with `autoconf: false` leave it out"
    if link.type != VRF and IPV6_OF_LO in [row.ip for row in link.addresses]:
        yield f"{IPV6_OF_LO} is an address of lo and of VRFs"


def _is_enabled_nowhere(wish: Ipv4 | Ipv6 | None, now: Ipv4 | Ipv6 | None) -> bool:
    """Return whether addresses are requested, and neither side says that the family is enabled."""
    if wish is None or wish.enabled is not None or (now is not None and now.enabled):
        return False
    return bool(wish.address or replace(wish, enabled=True).is_auto)


def _is_token_useless(wish: Ipv6 | None, now: Ipv6 | None) -> bool:
    """Return whether a token is requested, and neither side has routers give addresses."""
    if wish is None or wish.enabled is False or wish.token in (None, NO_INTERFACE_ID):
        return False
    autoconf = (now and now.autoconf) if wish.autoconf is None else wish.autoconf
    return autoconf is False


def _faults_of_name(link: NodeLink, beside: _Beside) -> Iterator[str]:
    """Yield why an interface that is missing cannot be made by what the document calls it."""
    if len(link.label.encode()) > NAME_BYTES:
        yield f"none has that altname, and the name of a new one has at most {NAME_BYTES} bytes"
    if link.type is None and link.label not in beside.peers:
        remedy = _of_functions([link.label], beside)
        yield f"it is missing, and has no type to make it by{remedy}"


def _faults_of_new(link: NodeLink, beside: _Beside) -> Iterator[str]:
    yield from _faults_of_name(link, beside)
    is_end = bool(link.veth and link.veth.peer) or link.label in beside.peers
    if link.type == ETHERNET and not is_end:
        yield f"it is missing, and a NIC cannot be made{_of_functions([link.label], beside)}"
    if link.type == VETH and not is_end:
        yield "a new veth needs veth.peer"
    if link.type == BOND and not (link.link_aggregation and link.link_aggregation.mode):
        yield "a new bond needs link-aggregation.mode"
    if link.type == VRF and not (link.vrf and link.vrf.route_table_id):
        yield "a new VRF needs vrf.route-table-id"
    if link.type == VLAN and not (link.vlan and link.vlan.base_iface and link.vlan.id is not None):
        yield "a new VLAN needs vlan.base-iface and vlan.id"
    if link.type == MACVLAN and not (link.mac_vlan and link.mac_vlan.base_iface):
        yield "a new MACVLAN needs mac-vlan.base-iface"
    base = link.vlan or link.mac_vlan
    if base and base.base_iface and base.base_iface not in beside.names:
        name = base.base_iface
        yield f"its base-iface {name} is missing{_of_functions([name], beside)}"
