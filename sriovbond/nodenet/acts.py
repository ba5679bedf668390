"""What a plan is made of: each step says what it does, in data for who does it and in words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sriovbond.bond.options import DELAYS
from sriovbond.nodenet.bondoptions import followers
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.model import (
    BOND,
    ETHERNET,
    UP,
    VRF,
    BondPort,
    BridgePort,
    Ipv4,
    Ipv6,
    NodeLink,
)
from sriovbond.nodenet.routing import HostName, NodeRoute, Resolver, RouteRule
from sriovbond.nodenet.writer import plain

NEEDS_EMPTY: Final = frozenset({"mode", "fail_over_mac"})
"""What a bond takes only while it has no ports (BOND_OPTFLAG_NOSLAVES in bond_options.c)."""
NEEDS_DOWN: Final = frozenset(
    {
        "mode",
        "lacp_rate",
        "lacp_active",
        "lacp_strict",
        "ad_select",
        "ad_user_port_key",
        "tlb_dynamic_lb",
        "coupled_control",
    }
)
"""What a bond takes only while it is down (BOND_OPTFLAG_IFDOWN in bond_options.c)."""
_ELSEWHERE: Final = frozenset({"name", "type", "state", "controller", "ipv4", "ipv6", "identifier"})
_PORTS: Final = frozenset({"port", "ports-config"})


@dataclass(frozen=True, slots=True)
class Make:
    """Make an interface as `link` says; a bond with the MAC of the port `mac_of`.

    Where `link` has a MAC, too, it is that which this port had before it was another bond's.
    """

    link: NodeLink
    mac_of: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words: a line for each value."""
        name, mac = self.link.label, self.link.mac_address
        if is_nic(self.link):
            return (f"{name}: it is missing, and a NIC cannot be made",)
        address = f", mac-address that of {self.mac_of}" if self.mac_of else ""
        address = f", mac-address {mac}" if mac else address
        address += f", {self.mac_of}'s own" if mac and self.mac_of else ""
        first = f"{name}: make it, type {self.link.type}{address}"
        return first, *(f"{name}: set {words}" for words in _settings(self.link))


@dataclass(frozen=True, slots=True)
class Change:
    """Change an interface that is there: `change` is what differs from `current`.

    With its MTU the kernel lowers that of `lowered`, which are on it; that of its `bridge` follows
    unless it was set.
    """

    change: NodeLink
    current: NodeLink
    lowered: tuple[str, ...] = ()
    bridge: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words: a line for each value."""
        former, name = plain(self.current), self.current.label
        return tuple(
            f"{name}: set {'.'.join(path)} {_short(value)}, now {_short(_at(former, path))}"
            f"{self._cost(path[-1])}"
            for path, value in _values(self.change)
        )

    def _cost(self, option: str) -> str:
        """Say what a change of a bond costs, and what an MTU takes along."""
        if option == "mtu":
            return self._followers()
        if option == "total-vfs":
            return self._remade()
        if self.current.type != BOND:
            return ""
        if option in {"miimon", *DELAYS}:
            return self._monitored(option)
        is_emptied = option in NEEDS_EMPTY and ports_of(self.current)
        is_downed = option in NEEDS_DOWN and self.current.state == UP
        costs = [
            "its ports leave for it and come back" if is_emptied else "",
            "it is down meanwhile" if is_downed else "",
            "other options go back to the defaults" if option == "mode" else "",
        ]
        return "".join(f"; {cost}" for cost in costs if cost)

    def _monitored(self, option: str) -> str:
        """Say what else changes with a bond's miimon."""
        bond, now = self.change.link_aggregation, self.current.link_aggregation
        options, present = bond and bond.options, now and now.options
        if bond is None or bond.mode or not (options and present):
            return ""
        if option != "miimon":
            return "; it would change with miimon" if options.value("miimon") else ""
        rows = followers(present, options)
        changed = [row for row in rows if row.value != present.value(row.name)]
        return "".join(f"; {row.name} is {row.value} then" for row in changed)

    def _remade(self) -> str:
        """Say which interfaces of VFs go: the kernel makes another number of them anew."""
        names = remade_functions(self)
        return f"; for it {', '.join(names)} go, all VFs are made anew" if names else ""

    def _followers(self) -> str:
        ports = (ports_of(self.current) or ()) if self.current.type == BOND else ()
        words = [
            f"its ports {', '.join(ports)} get it, too" if ports else "",
            f"that of {', '.join(self.lowered)} goes down with it" if self.lowered else "",
            f"that of {self.bridge} follows unless it was set" if self.bridge else "",
        ]
        return "".join(f"; {word}" for word in words if word)


@dataclass(frozen=True, slots=True)
class SetState:
    """Bring an interface up, or down; `closing` are the VLANs on it that go down with it."""

    name: str
    is_up: bool
    closing: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        words = "up" if self.is_up else "down"
        more = f", and with it {', '.join(self.closing)}" if self.closing else ""
        return (f"{self.name}: set it {words}{more}",)


@dataclass(frozen=True, slots=True)
class ReleasePort:
    """Take a port out of its controller."""

    owner: str
    port: str

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        return (f"{self.owner}: release port {self.port}",)


@dataclass(frozen=True, slots=True)
class AddPort:
    """Put a port into its controller, of type `kind`, when `after`, a port too, is active.

    `before` is what the port is now, None where it is missing yet.
    """

    owner: str
    port: str
    kind: str
    after: str = ""
    before: NodeLink | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        when = f" when {self.after} is active" if self.after else ""
        return (f"{self.owner}: add port {self.port}{when}{self._from_where()}",)

    def _from_where(self) -> str:
        link = self.before
        if link is None:
            return ""
        former = f", released from {link.controller}" if link.controller else ""
        addresses = (link.ipv4 and link.ipv4.enabled) or (link.ipv6 and link.ipv6.enabled)
        is_stripped = addresses and self.kind != VRF
        return f"{former}{', its addresses taken off' if is_stripped else ''}"


@dataclass(frozen=True, slots=True)
class ConfigurePort:
    """Give a port what its controller has for it."""

    owner: str
    port: BondPort | BridgePort

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        return (f"{self.owner}: configure port {_line(plain(self.port))}",)


@dataclass(frozen=True, slots=True)
class SetIp:
    """Give an interface its addresses of one family: `change` is what differs, `target` all."""

    name: str
    change: Ipv4 | Ipv6
    target: Ipv4 | Ipv6

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        family = "ipv6" if isinstance(self.change, Ipv6) else "ipv4"
        return (f"{self.name}: set {family} {_line(plain(self.change))}",)


@dataclass(frozen=True, slots=True)
class AskLease:
    """Have a client of DHCP ask for an address, as `target` says.

    It takes over the lease `of` another interface, whose MAC the id is of, and requests the
    `former` address again. `is_new` where no client of ours runs on it yet. The server's MTU is
    taken where the document has none.
    """

    name: str
    target: Ipv4
    of: str = ""
    mac: str = ""
    former: str = ""
    is_new: bool = True
    takes_mtu: bool = True

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        how = f", as {self.of} did" if self.of else "" if self.is_new else " anew"
        return (f"{self.name}: ask for an address by DHCP{how}",)


@dataclass(frozen=True, slots=True)
class EndLease:
    """End DHCP on an interface; its lease goes to its `heir` where there is one, else it ends."""

    name: str
    heir: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        what = f"its lease goes to {self.heir}" if self.heir else "its lease is used no more"
        return (f"{self.name}: end DHCP, {what}",)


@dataclass(frozen=True, slots=True)
class AddRoute:
    """Add a route, in the place of `former` where that is given.

    Where both are the same, the kernel has ended it with the address that is its source. One of
    several `ways` has all of them, those that are there already too: the kernel has one route then.
    """

    route: NodeRoute
    former: NodeRoute | None = None
    ways: tuple[NodeRoute, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        if self.ways:
            head, several = replace(self.route, **_NO_WAY), "; ".join(map(_way, self.ways))
            return (f"set route {_row(head)} over several ways: {several}",)
        if self.former == self.route:
            return (f"add route {_row(self.route)} again, which goes while its source moves",)
        words = f"replace route {_former(self.former)} by" if self.former else "add route"
        return (f"{words} {_row(self.route)}",)


@dataclass(frozen=True, slots=True)
class RemoveRoute:
    """Remove a route, which may be gone already: `is_by_source` where it goes with its source.

    Of a route over several ways it removes one; `ways` are those that stay.
    """

    route: NodeRoute
    is_by_source: bool = False
    ways: tuple[NodeRoute, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        why = ": its source goes from the node" if self.is_by_source else ""
        return (f"remove route {_row(self.route)}{why}",)


@dataclass(frozen=True, slots=True)
class AddRule:
    """Add a rule for which table routes a packet; `narrower` ones, there, have all that it has."""

    rule: RouteRule
    narrower: tuple[RouteRule, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        return (f"add rule {_row(self.rule)}",)


@dataclass(frozen=True, slots=True)
class RemoveRule:
    """Remove a rule; `narrower` ones have all that it has, and stay."""

    rule: RouteRule
    narrower: tuple[RouteRule, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        return (f"remove rule {_row(self.rule)}",)


@dataclass(frozen=True, slots=True)
class SetResolver:
    """Give the resolver its servers and search domains; None of them stays as it is."""

    resolver: Resolver

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        return (f"set DNS {_line(plain(self.resolver)) or 'to nothing'}",)


@dataclass(frozen=True, slots=True)
class SetHostName:
    """Give the host a name: `change` is what differs from `current`."""

    change: HostName
    current: HostName

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        former = plain(self.current)
        return tuple(
            f"set hostname.{key} {_short(value)}, now {_short(former.get(key))}"
            for key, value in plain(self.change).items()
        )


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove an interface; `current` is what it was; `base` is what it goes with, unasked.

    One that `is_remade` comes again, as another one for the kernel.
    """

    current: NodeLink
    base: str = ""
    is_remade: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """What it does, in words."""
        ports, peer = ports_of(self.current), self.current.veth and self.current.veth.peer
        bare = "" if self.current.type == VRF else ", without addresses"
        words = [
            f"it is on {self.base}, which goes" if self.base else "",
            "it is made anew" if self.is_remade else "",
            f"its ports {', '.join(ports)} stay{bare}" if ports else "",
            f"its other end {peer} goes with it" if peer else "",
        ]
        more = "".join(f"; {word}" for word in words if word)
        return (f"{self.current.label}: remove it{more}",)


Step = (
    Make
    | Change
    | SetState
    | ReleasePort
    | AddPort
    | ConfigurePort
    | SetIp
    | AskLease
    | EndLease
    | AddRoute
    | RemoveRoute
    | AddRule
    | RemoveRule
    | SetResolver
    | SetHostName
    | Remove
)


_NO_WAY: Final[Mapping[str, Any]] = {
    "next_hop_interface": None,
    "next_hop_address": None,
    "weight": None,
}


def _former(route: NodeRoute) -> str:
    """Write a route whose place is taken; one with a weight is a way of several."""
    several = " over several ways" if route.weight else ""
    return _row(replace(route, **_NO_WAY) if several else route) + several


def _way(route: NodeRoute) -> str:
    return _row(NodeRoute(**{field: getattr(route, field) for field in _NO_WAY}))


def is_nic(link: NodeLink) -> bool:
    """Return whether an interface is hardware's, which comes by itself or not at all."""
    return link.type == ETHERNET and not link.veth


def remade_functions(step: Change) -> tuple[str, ...]:
    """Return the interfaces of the VFs that go with another number of them (sriov_numvfs)."""
    wish = step.change.ethernet and step.change.ethernet.sr_iov
    now = step.current.ethernet and step.current.ethernet.sr_iov
    if not (wish and now) or wish.total_vfs is None:
        return ()
    return tuple(row.iface_name for row in now.vfs or () if row.iface_name)


def owners_of_functions(links: Iterable[NodeLink]) -> dict[str, str]:
    """Return the PF of each VF that has an interface, by its name."""
    return {
        vf.iface_name: link.label
        for link in links
        if link.ethernet and link.ethernet.sr_iov
        for vf in link.ethernet.sr_iov.vfs or ()
        if vf.iface_name
    }


def has_values(change: NodeLink) -> bool:
    """Return whether a difference has more than ports, addresses and a state."""
    return any(True for _ in _values(change))


def _settings(link: NodeLink) -> Iterator[str]:
    for path, value in _values(link):
        if path != ("mac-address",):
            yield f"{'.'.join(path)} {_short(value)}"


def _values(link: NodeLink) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield each value of an interface by its path, but for addresses and ports."""
    values = {key: value for key, value in plain(link).items() if key not in _ELSEWHERE}
    for path, value in _leaves(values, ()):
        if path[-1] not in _PORTS:
            yield path, value


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and (value or not path):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    else:
        yield path, value


def _at(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _row(row: NodeRoute | RouteRule) -> str:
    return _line({key: value for key, value in plain(row).items() if key != "state"})


def _line(values: Mapping[str, object]) -> str:
    """Write values in one line."""
    return ", ".join(f"{key} {_short(value)}" for key, value in values.items())


def _short(value: object) -> str:
    if value in (None, "", {}):
        return "nothing"
    if isinstance(value, dict):
        if set(value) == {"ip", "prefix-length"}:
            return f"{value['ip']}/{value['prefix-length']}"
        return f"({_line(value)})"
    if isinstance(value, list):
        return " ".join(map(_short, value)) or "nothing"
    return str(value).lower() if isinstance(value, bool) else str(value)
