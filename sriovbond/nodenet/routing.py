"""NodeRoutes, rules, the resolver and the host's name, as nmstate's documents have them."""

from dataclasses import dataclass
from typing import Final

from sriovbond.nodenet.sections import Many, Section, key
from sriovbond.nodenet.values import (
    Domain,
    Gateway,
    Hex,
    Ip,
    KnownName,
    LinkName,
    NameServer,
    Network,
    NodeName,
    ResolverOption,
    Whole,
    Word,
)

ABSENT: Final = "absent"
MAIN_TABLE: Final = 254


@dataclass(frozen=True, slots=True)
class NodeRoute:
    """A route; a field that is not given is any where it is absent.

    `is_hidden` is no key: of a node whether nmstate does not show it, for the kernel has made it of
    an address, or a routing daemon has.
    """

    state: str | None = key(Word((ABSENT,)))
    destination: str | None = key(Network())
    next_hop_interface: str | None = key(KnownName())
    next_hop_address: str | None = key(Gateway())
    metric: int | None = key(Whole(-1))
    table_id: int | None = key(Whole())
    weight: int | None = key(Whole(1, 256))
    route_type: str | None = key(Word(("blackhole", "unreachable", "prohibit")))
    cwnd: int | None = key(Whole(1))
    advmss: int | None = key(Whole())
    source: str | None = key(Ip())
    vrf_name: str | None = key(LinkName())
    is_hidden: bool = False


@dataclass(frozen=True, slots=True)
class NodeRoutes:
    """The routes: those of the configuration, and all that there are."""

    running: tuple[NodeRoute, ...] | None = key(Many(Section(NodeRoute)))
    config: tuple[NodeRoute, ...] | None = key(Many(Section(NodeRoute)))

    @property
    def shown(self) -> "NodeRoutes":
        """These without the hidden ones, which no document is to have."""
        running = tuple(row for row in self.running or () if not row.is_hidden)
        return NodeRoutes(None if self.running is None else running, self.config)


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A rule for which table routes a packet."""

    state: str | None = key(Word((ABSENT,)))
    family: str | None = key(Word(("ipv4", "ipv6")))
    ip_from: str | None = key(Network())
    ip_to: str | None = key(Network())
    priority: int | None = key(Whole(-1))
    route_table: int | None = key(Whole())
    fwmark: int | None = key(Hex())
    fwmask: int | None = key(Hex())
    action: str | None = key(Word(("blackhole", "unreachable", "prohibit")))
    iif: str | None = key(LinkName())
    suppress_prefix_length: int | None = key(
        Whole(), "suppress-prefix-length", "suppress_prefixlength"
    )


@dataclass(frozen=True, slots=True)
class RouteRules:
    """The rules."""

    config: tuple[RouteRule, ...] | None = key(Many(Section(RouteRule)))


@dataclass(frozen=True, slots=True)
class Resolver:
    """What resolv.conf has."""

    server: tuple[str, ...] | None = key(Many(NameServer()))
    search: tuple[str, ...] | None = key(Many(Domain()))
    options: tuple[str, ...] | None = key(Many(ResolverOption()))


@dataclass(frozen=True, slots=True)
class NodeDns:
    """The resolver: what was configured, and what is used."""

    running: Resolver | None = key(Section(Resolver))
    config: Resolver | None = key(Section(Resolver))


@dataclass(frozen=True, slots=True)
class HostName:
    """The host's name: the kernel's, and that which a boot gives it, empty for none."""

    running: str | None = key(NodeName())
    config: str | None = key(NodeName(may_be_empty=True))
