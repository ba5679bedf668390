"""An interface as a document wishes it beside what it is: what it loses, what it keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    DOWN,
    ETHERNET,
    IGNORE,
    MACVLAN,
    TYPES,
    UP,
    VLAN,
    AltName,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
    VlanLink,
)
from sriovbond.nodenet.normal import is_dynamic
from sriovbond.nodenet.routing import ABSENT
from sriovbond.nodenet.values import is_link_local

USUAL_MTU: Final = 1500  # ETH_DATA_LEN, of most new interfaces
_MOST_LEVELS: Final = 8  # MAX_NEST_DEV, include/linux/netdevice.h
TAKING: Final = (MACVLAN, "mac-vtap", "ipvlan")
"""Types that take the frames of what they are on, which a port gives its controller."""


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

    def keeps(self, link: NodeLink) -> frozenset[str]:
        """Return the addresses that it is to have; `link` is what it is now, with all it has.

        Those of DHCP and routers stay where these do, and link-local ones.
        """
        kept: set[str] = set()
        for family, wish, now in (
            (4, self.target.ipv4, link.ipv4),
            (6, self.target.ipv6, link.ipv6),
        ):
            if not self.loses(family):
                kept |= _kept(wish, now)
        return frozenset(kept)

    def _is_without(self, family: int) -> bool:
        ip = self.target.ip(family)
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

    @property
    def takes_uppers(self) -> bool:
        """Whether it is to be removed, and what is on it with it; a NIC is not."""
        link = self.current
        return self.is_to_go and link is not None and (link.type != ETHERNET or bool(link.veth))


def alt_names_leaving(pair: Pair | None) -> tuple[AltName, ...]:
    """Return the altnames that an interface has and is to lose, as entries that say so."""
    wishes = pair.target.alt_names if pair else None
    present = {alt.name for alt in (pair and pair.current and pair.current.alt_names) or ()}
    return tuple(alt for alt in wishes or () if alt.state == ABSENT and alt.name in present)


def uppers_of(name: str, links: Mapping[str, NodeLink]) -> list[NodeLink]:
    """Return the interfaces that are made on one: VLANs, MACVLANs, and some that are not ours."""
    return [link for link in links.values() if link.base == name]


def place_of(vlan: VlanLink | None) -> tuple[str | None, int | None, str] | None:
    """Return what the kernel has one VLAN for; None of what is none."""
    return (vlan.base_iface, vlan.id, vlan.protocol or "802.1q") if vlan else None


def peers_of(links: Iterable[NodeLink]) -> dict[str, str]:
    """Return the other ends that a document's veths name, each with that veth."""
    return {
        link.veth.peer: link.label
        for link in links
        if link.veth and link.veth.peer and link.state not in {ABSENT, IGNORE}
    }


def is_bonds_port(link: NodeLink, links: Mapping[str, NodeLink]) -> bool:
    """Return whether an interface is a port of a bond, whose MAC it may have now."""
    owner = links.get(link.controller or "")
    return owner is not None and owner.type == BOND


def own_mac(link: NodeLink, links: Mapping[str, NodeLink]) -> str | None:
    """Return the MAC of an interface; of a bond's port that which it has without the bond."""
    permanent = link.permanent_mac_address if is_bonds_port(link, links) else None
    return permanent or link.mac_address


@dataclass(frozen=True, slots=True)
class LeavingAddresses:
    """The addresses that leave their interface: those that come `again`, those that are `gone`."""

    again: frozenset[str]
    gone: frozenset[str]


@dataclass(frozen=True, slots=True)
class Joined:
    """A document and a state, side by side; `complaints` say what of it cannot be."""

    desired: NetState
    current: NetState
    pairs: tuple[Pair, ...]
    complaints: tuple[Complaint, ...] = ()
    links: Mapping[str, NodeLink] = field(default_factory=dict)
    """The interfaces of the present by name, those that are ignored among them."""
    leaving: LeavingAddresses = LeavingAddresses(frozenset(), frozenset())

    def pair(self, name: str) -> Pair | None:
        """Return the pair of an interface, None where nothing asks for it."""
        return next((pair for pair in self.pairs if pair.name == name), None)

    def is_ignored(self, name: str) -> bool:
        """Return whether the document leaves an interface as it is, with its routes."""
        links = self.desired.interfaces or ()
        return any(link.name == name and link.state == IGNORE for link in links)

    def state_of(self, name: str) -> str | None:
        """Return the state that an interface is to have, None where it has none."""
        pair = self.pair(name)
        return pair.target.state if pair else (self.links.get(name) or NodeLink()).state

    def goes_down(self, name: str) -> bool:
        """Return whether an interface that is up goes down: a VLAN does with its base.

        Unless its binding is loose (vlan_device_event()).
        """
        for _ in range(_MOST_LEVELS):
            link, pair = self.links.get(name) or NodeLink(), self.pair(name)
            if link.state != UP or (pair and pair.target.state == ABSENT):
                return False
            if pair and pair.target.state == DOWN:
                return True
            if link.vlan is None or link.vlan.loose_binding:
                return False
            name = link.vlan.base_iface or ""
        return False

    def below(self, name: str) -> tuple[str, ...]:
        """Return what an interface is to be on, or to have as ports; empty where it is to go."""
        pair, now = self.pair(name), self.links.get(name) or NodeLink()
        target = pair.target if pair else now
        base, ports = target.base or now.base, ports_of(target)
        if target.state == ABSENT:
            return ()
        return (*((base,) if base else ()), *((ports_of(now) if ports is None else ports) or ()))

    def mtu_of(self, name: str) -> int | None:
        """Return the MTU that an interface is to have; None where it is not known.

        Of a bridge that is there and has no other MTU than its ports it is the most that can be: it
        follows them unless it was set, which the kernel does not report.
        """
        return self._mtu_of(name, frozenset())

    def _mtu_of(self, name: str, above: frozenset[str]) -> int | None:
        pair, now = self.pair(name), self.links.get(name)
        if pair is not None and pair.target.mtu:
            return pair.target.mtu
        link = now or (pair.target if pair else None)
        if link is None or name in above or len(above) > _MOST_LEVELS:
            return None
        above |= {name}
        mtus = [mtu for row in self.below(name) if (mtu := self._mtu_of(row, above))]
        if link.type == BRIDGE:
            return self._mtu_of_bridge(now, min(mtus, default=None))
        if now is not None:
            is_lower = link.type in {VLAN, MACVLAN} and now.mtu
            return min(now.mtu or 0, *mtus) if is_lower and mtus else now.mtu
        return min(mtus, default=USUAL_MTU) if link.type in {VLAN, MACVLAN} else USUAL_MTU

    def _mtu_of_bridge(self, now: NodeLink | None, of_ports: int | None) -> int | None:
        if now is None:
            return of_ports or USUAL_MTU
        ports = [self.links.get(port) or NodeLink() for port in ports_of(now) or ()]
        mtus = [port.mtu for port in ports if port.mtu]
        is_set = bool(mtus) and min(mtus) != now.mtu
        return now.mtu if is_set else max(now.mtu or 0, of_ports or 0) or None


def stays(owner: NodeLink, port: str, present: Mapping[str, NodeLink]) -> bool:
    """Return whether a port that is not mentioned stays: one that others made, as vnet0."""
    link = present.get(port)
    if link is None:
        return owner.type == BRIDGE
    return link.type not in TYPES or link.state == IGNORE


def leaving_addresses(pairs: Iterable[Pair], links: Mapping[str, NodeLink]) -> LeavingAddresses:
    """Return the addresses that are for a time, or for good, on no interface of the present."""
    wishes = {pair.name: pair for pair in pairs}
    moved: set[str] = set()
    staying: set[str] = set()
    coming: set[str] = set()
    for name, link in links.items():
        present = addresses_of(link)
        kept = wishes[name].keeps(link) if name in wishes else present
        moved |= present - kept
        staying |= present & kept
    for pair in wishes.values():
        coming |= pair.keeps(links.get(pair.name) or NodeLink())
    moved -= staying
    return LeavingAddresses(frozenset(moved & coming), frozenset(moved - coming))


def addresses_of(link: NodeLink) -> frozenset[str]:
    """Return the addresses of an interface without their prefixes."""
    return frozenset(row.ip or "" for row in link.addresses)


def _kept(target: Ipv4 | Ipv6 | None, now: Ipv4 | Ipv6 | None) -> set[str]:
    present = {*((now and now.address) or ())}
    if target is None or target.address is None:
        return {row.ip or "" for row in present}
    dynamic = {row for row in present if target.is_auto and is_dynamic(row)}
    local = {row for row in present if is_link_local(row.ip or "::")}
    return {row.ip or "" for row in {*target.address} | dynamic | local}
