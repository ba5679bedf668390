"""What a document asks for beside what the node has: each interface with its present self.

As nmstate merges: what is not mentioned stays as it is; lists are given whole.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    ETHERNET,
    IGNORE,
    TYPES,
    UP,
    VLAN,
    VRF,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
)
from sriovbond.nodenet.names import is_same_type, resolve
from sriovbond.nodenet.normal import is_dynamic, normal
from sriovbond.nodenet.routing import ABSENT, NodeRoutes
from sriovbond.nodenet.values import (
    RESOLVER_OPTIONS,
    family_of,
    is_link_local,
    is_resolver_option,
)

_IP = TypeVar("_IP", Ipv4, Ipv6)


@dataclass(frozen=True, slots=True)
class Pair:
    """An interface that is wished for, or changes because its controller does.

    `desired` is what the document says of it, None where it only follows; `target` the same in one
    form, with what the present decides; `current` is the present in that form, None where it is
    missing. `is_bound` where it is to be a port that can have no addresses.
    """

    name: str
    desired: NodeLink | None
    target: NodeLink
    current: NodeLink | None
    is_bound: bool = False

    def loses(self, family: int) -> bool:
        """Return whether it is to have no addresses of IPv4 or IPv6."""
        return self.target.state == ABSENT or self.is_bound or self._is_without(family)

    def drops_routes(self, family: int) -> bool:
        """Return whether its routes go with the change; a port that stays one keeps what it has."""
        stays_bound = self.is_bound and self.current is not None and self.current.controller
        if stays_bound and self.target.state != ABSENT:
            return self._is_without(family)
        return self.current is not None and self.loses(family)

    def _is_without(self, family: int) -> bool:
        ip = self.target.ipv6 if family == 6 else self.target.ipv4  # noqa: PLR2004 - IPv6
        return ip is not None and ip.enabled is False

    @property
    def state_now(self) -> str:
        """The state that it has; what was ignored is up, now that it is requested."""
        if self.current is None:
            return ABSENT
        return UP if self.current.state in {None, IGNORE} else self.current.state or UP

    @property
    def is_to_go(self) -> bool:
        """Whether it is to be removed, and is there."""
        return self.target.state == ABSENT and self.current is not None


@dataclass(frozen=True, slots=True)
class Joined:
    """A document and a state, side by side; `complaints` say what of it cannot be."""

    desired: NetState
    current: NetState
    pairs: tuple[Pair, ...]
    complaints: tuple[Complaint, ...] = ()
    links: Mapping[str, NodeLink] = field(default_factory=dict)
    """The interfaces of the present by name, those that are ignored among them."""

    def pair(self, name: str) -> Pair | None:
        """Return the pair of an interface, None where nothing asks for it."""
        return next((pair for pair in self.pairs if pair.name == name), None)


def join(desired: NetState, current: NetState) -> Joined:
    """Return both side by side, by the names that are used on this node."""
    present = {link.label: link for link in current.interfaces or ()}
    desired = resolve(desired, present)
    resolved = desired.interfaces or ()
    complaints = list(_complaints(resolved, present))
    wishes = {link.label: link for link in resolved if link.state != IGNORE}
    pairs = [_pair(link, present) for link in wishes.values()]
    pairs = list(_with_controllers(pairs, wishes, present))
    kinds = {link.label: link.type for link in (*present.values(), *wishes.values())}
    pairs = [replace(pair, is_bound=_is_bound(pair, kinds)) for pair in pairs]
    joined = Joined(desired, current, tuple(pairs), tuple(complaints), present)
    further = (*_of_ports(joined), *_of_routes(joined), *_of_resolver(desired, current))
    return replace(joined, complaints=(*complaints, *further))


def _pair(link: NodeLink, present: Mapping[str, NodeLink]) -> Pair:
    now = present.get(link.label)
    current = normal(now) if now else None
    target = replace(link, state=link.state or UP)
    if link.copy_mac_from in present:
        target = replace(target, mac_address=present[link.copy_mac_from or ""].mac_address)
    if current and now and target.state != ABSENT:
        target = replace(
            target,
            ipv4=_with_present(target.ipv4, now.ipv4),
            ipv6=_with_present(target.ipv6, now.ipv6),
        )
    return Pair(link.label, link, normal(target), current)


def _with_present(target: _IP | None, current: _IP | None) -> _IP | None:
    """Return it with what the present decides; without DHCP its addresses become static."""
    if target is None or current is None:
        return target
    enabled = current.enabled if target.enabled is None else target.enabled
    target = replace(target, enabled=enabled)
    if enabled and target.dhcp is None:
        target = replace(target, dhcp=current.dhcp)
    if isinstance(target, Ipv6) and isinstance(current, Ipv6) and enabled:
        autoconf = current.autoconf if target.autoconf is None else target.autoconf
        target = replace(target, autoconf=autoconf)
    if current.is_auto and enabled and not target.is_auto and _has_none_of_its_own(target):
        return _with_addresses_of(target, current)
    return target


def _has_none_of_its_own(ip: Ipv4 | Ipv6) -> bool:
    return all(is_dynamic(part) or is_link_local(part.ip or "::") for part in ip.address or ())


def _with_addresses_of(ip: _IP, current: _IP) -> _IP:
    kept = [
        replace(part, valid_life_time=None, preferred_life_time=None)
        for part in current.address or ()
    ]
    return ip if current.address is None else replace(ip, address=tuple(kept))


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


def stays(bridge: NodeLink, port: str, present: Mapping[str, NodeLink]) -> bool:
    """Return whether a port that is not mentioned stays: a bridge's that others made, as vnet0."""
    link = present.get(port)
    is_ours = link is not None and link.type in TYPES and link.state != IGNORE
    return bridge.type == BRIDGE and not is_ours


def _complaints(links: Iterable[NodeLink], present: Mapping[str, NodeLink]) -> Iterator[Complaint]:
    links = list(links)
    names = {*present, *(link.label for link in links)}
    seen: set[str] = set()
    for number, link in enumerate(links):
        if link.label in seen:
            yield Complaint(("interfaces", number), f"{link.label} is meant by two names")
        seen.add(link.label)
        now = present.get(link.label)
        for text in _faults(link, now, names):
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


def _of_routes(joined: Joined) -> Iterator[Complaint]:
    """Yield the routes whose interface is missing, or has no addresses of their family."""
    for number, route in enumerate((joined.desired.routes or NodeRoutes()).config or ()):
        name = route.next_hop_interface
        if route.state == ABSENT or route.route_type or name is None:
            continue
        family = family_of(route.destination or "")
        pair, link = joined.pair(name), joined.links.get(name)
        if not (pair or link):
            yield Complaint(("routes", "config", number), f"{name} is missing")
        elif pair.loses(family) if pair else not _has_family(link, family):
            yield Complaint(("routes", "config", number), f"{name} is to have no IPv{family}")


def _of_resolver(desired: NetState, current: NetState) -> Iterator[Complaint]:
    """Yield the options of the resolver that neither resolv.conf(5) nor the node has."""
    present = _options_of(current)
    for number, word in enumerate(_options_of(desired)):
        if not is_resolver_option(word) and word not in present:
            text = f"{word!r} is unknown: one of {RESOLVER_OPTIONS} is expected"
            yield Complaint(("dns-resolver", "config", "options", number), text)


def _options_of(state: NetState) -> tuple[str, ...]:
    resolver = state.dns_resolver.config if state.dns_resolver else None
    return (resolver.options if resolver else None) or ()


def _has_family(link: NodeLink | None, family: int) -> bool:
    ip = link and (link.ipv6 if family == 6 else link.ipv4)  # noqa: PLR2004 - IPv6
    return bool(ip and ip.enabled)


def _faults(link: NodeLink, now: NodeLink | None, names: set[str]) -> Iterator[str]:
    if link.state in {ABSENT, IGNORE}:
        return
    if now and not is_same_type(link.type, now.type):
        yield f"it is of type {now.type}; remove it before it becomes {link.type}"
    if now and now.type and now.type not in TYPES:
        yield f"type {now.type} is not ours"
    if link.copy_mac_from and link.copy_mac_from not in names:
        yield f"copy-mac-from {link.copy_mac_from} is missing"
    yield from _faults_of_addresses(link, now or NodeLink())
    missing = sorted({*(ports_of(link) or ())} - names)
    if missing:
        yield f"its ports {', '.join(missing)} are missing"
    if link.mtu and now and not (now.min_mtu or 0) <= link.mtu <= (now.max_mtu or link.mtu):
        yield f"the MTU must be from {now.min_mtu} to {now.max_mtu}"
    if now is None:
        yield from _faults_of_new(link, names)


def _faults_of_addresses(link: NodeLink, now: NodeLink) -> Iterator[str]:
    if _is_enabled_nowhere(link.ipv4, now.ipv4):
        yield "ipv4 needs enabled: true"
    if _is_enabled_nowhere(link.ipv6, now.ipv6):
        yield "ipv6 needs enabled: true"


def _is_enabled_nowhere(wish: Ipv4 | Ipv6 | None, now: Ipv4 | Ipv6 | None) -> bool:
    """Return whether addresses are requested, and neither side says that the family is enabled."""
    if wish is None or wish.enabled is not None or (now is not None and now.enabled):
        return False
    return bool(wish.address or replace(wish, enabled=True).is_auto)


def _faults_of_new(link: NodeLink, names: set[str]) -> Iterator[str]:
    if link.type is None:
        yield "it is missing, and has no type to make it by"
    if link.type == ETHERNET and not link.veth:
        yield "it is missing, and a NIC cannot be made"
    if link.type == BOND and not (link.link_aggregation and link.link_aggregation.mode):
        yield "a new bond needs link-aggregation.mode"
    if link.type == VRF and not (link.vrf and link.vrf.route_table_id):
        yield "a new VRF needs vrf.route-table-id"
    if link.type == VLAN and not (link.vlan and link.vlan.base_iface and link.vlan.id is not None):
        yield "a new VLAN needs vlan.base-iface and vlan.id"
    base = link.vlan or link.mac_vlan
    if base and base.base_iface and base.base_iface not in names:
        yield f"its base-iface {base.base_iface} is missing"
