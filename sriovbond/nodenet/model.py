"""The document of nmstate as dataclasses; None is what it does not mention.

Names and meanings are those of nmstate.io; `unset` marks what only a later version brings about.
"""

from dataclasses import dataclass
from typing import Final

from sriovbond.bond.options import MODE_NUMBERS, Setting
from sriovbond.nodenet.routing import (
    ABSENT,
    HostName,
    NodeDns,
    NodeRoute,
    NodeRoutes,
    RouteRules,
)
from sriovbond.nodenet.sections import Free, Many, Section, key
from sriovbond.nodenet.values import (
    UINT32,
    UINT64,
    Hardware,
    Ip,
    KnownName,
    LinkName,
    Text,
    Ticks,
    Token,
    Truth,
    Whole,
    Word,
)

UP: Final = "up"
DOWN: Final = "down"
IGNORE: Final = "ignore"
UNKNOWN: Final = "unknown"
BOND: Final = "bond"
BRIDGE: Final = "linux-bridge"
VLAN: Final = "vlan"
VRF: Final = "vrf"
ETHERNET: Final = "ethernet"
VETH: Final = "veth"
MACVLAN: Final = "mac-vlan"
TYPES: Final = (BOND, BRIDGE, VLAN, ETHERNET, VETH, "dummy", VRF, MACVLAN)
"""The types of interfaces that are ours."""
SECTION_OF: Final = {
    "link_aggregation": (BOND,),
    "bridge": (BRIDGE,),
    "vlan": (VLAN,),
    "ethernet": (ETHERNET, VETH),
    "veth": (VETH, ETHERNET),
    "vrf": (VRF,),
    "mac_vlan": (MACVLAN,),
}
"""The fields that only interfaces of some types have."""

_MODES: Final = (
    *((str(number), mode) for mode, number in MODE_NUMBERS.items()),
    ("lacp", "802.3ad"),
)
_TAG: Final = Whole(0, 4095)
_VLAN_ID: Final = Whole(0, 4094)  # VLAN_VID_MASK is none of a VLAN's (vlan_validate())
_TRUNK_TAG: Final = Whole(1, 4094)  # as br_validate_vlan_info() has it
_SHORT: Final = Whole(0, 65535)
_SECONDS: Final = Whole(0, UINT32 // 100)  # the kernel has 32 bits for hundredths
_LONG: Final = Whole(0, UINT64)
_VLAN_PROTOCOL: Final = Word(("802.1q", "802.1ad"))
_VALID: Final = ("valid-life-time", "valid-left", "valid-lft")
_PREFERRED: Final = ("preferred-life-time", "preferred-left", "preferred-lft")
_NO_DHCP6: Final = "DHCPv6 has no client here; SLAAC is `autoconf: true`"
_NO_LLDP: Final = "LLDP needs a daemon such as lldpd"
_NO_SPEED: Final = "speed and duplex are left to the NIC's driver"


@dataclass(frozen=True, slots=True)
class IpAddress4:
    """An IPv4 address with its prefix; lifetimes are those of addresses that DHCP gave."""

    ip: str | None = key(Ip(4))
    prefix_length: int | None = key(Whole(0, 32))
    valid_life_time: str | None = key(Text(), *_VALID)
    preferred_life_time: str | None = key(Text(), *_PREFERRED)


@dataclass(frozen=True, slots=True)
class IpAddress6:
    """An IPv6 address with its prefix."""

    ip: str | None = key(Ip(6))
    prefix_length: int | None = key(Whole(0, 128))
    valid_life_time: str | None = key(Text(), *_VALID)
    preferred_life_time: str | None = key(Text(), *_PREFERRED)


@dataclass(frozen=True, slots=True)
class Ipv4:
    """An interface's IPv4.

    Two fields are no keys: whether a client of ours runs on the interface (None where that is not
    known), and whether it takes the server's MTU.
    """

    enabled: bool | None = key(Truth())
    dhcp: bool | None = key(Truth())
    address: tuple[IpAddress4, ...] | None = key(Many(Section(IpAddress4), is_set=True))
    dhcp_client_id: str | None = key(Text())
    auto_dns: bool | None = key(Truth())
    auto_gateway: bool | None = key(Truth())
    auto_routes: bool | None = key(Truth())
    auto_route_table_id: int | None = key(Whole())
    auto_route_metric: int | None = key(Whole())
    allow_extra_address: bool | None = key(Truth())
    dhcp_send_hostname: bool | None = key(Truth())
    dhcp_custom_hostname: str | None = key(Text())
    forwarding: bool | None = key(Truth())
    prefix_route_metric: int | None = key(Whole())
    is_leased: bool | None = None
    takes_mtu: bool | None = None

    @property
    def is_auto(self) -> bool:
        """Whether something gives it addresses."""
        return bool(self.enabled and self.dhcp)


@dataclass(frozen=True, slots=True)
class Ipv6:
    """An interface's IPv6."""

    enabled: bool | None = key(Truth())
    dhcp: bool | None = key(Truth(), unset=_NO_DHCP6)
    autoconf: bool | None = key(Truth())
    address: tuple[IpAddress6, ...] | None = key(Many(Section(IpAddress6), is_set=True))
    dhcp_duid: str | None = key(Text(), unset=_NO_DHCP6)
    addr_gen_mode: str | None = key(Word(("eui64", "none", "stable-privacy", "random")))
    token: str | None = key(Token())
    auto_dns: bool | None = key(Truth())
    auto_gateway: bool | None = key(Truth())
    auto_routes: bool | None = key(Truth())
    auto_route_table_id: int | None = key(Whole())
    auto_route_metric: int | None = key(Whole())
    allow_extra_address: bool | None = key(Truth())
    dhcp_send_hostname: bool | None = key(Truth())
    dhcp_custom_hostname: str | None = key(Text())
    forwarding: bool | None = key(Truth())
    prefix_route_metric: int | None = key(Whole())

    @property
    def is_auto(self) -> bool:
        """Whether something gives it addresses."""
        return bool(self.enabled and (self.dhcp or self.autoconf))


@dataclass(frozen=True, slots=True)
class BondPort:
    """What a bond has for one of its ports."""

    name: str | None = key(KnownName())
    priority: int | None = key(Whole(-(2**31), 2**31 - 1))
    queue_id: int | None = key(_SHORT)


@dataclass(frozen=True, slots=True)
class BondOptions:
    """The settings of a bond, sorted by name; an empty value takes the option away."""

    settings: tuple[Setting, ...] = ()

    def value(self, name: str) -> object:
        """Return the value of an option, None where it is not mentioned."""
        return next((row.value for row in self.settings if row.name == name), None)


@dataclass(frozen=True, slots=True)
class LinkAggregation:
    """A bond."""

    mode: str | None = key(Word(tuple(MODE_NUMBERS), _MODES))
    options: BondOptions | None = key(Free())
    port: tuple[str, ...] | None = key(Many(KnownName()), "port", "ports")
    ports_config: tuple[BondPort, ...] | None = key(Many(Section(BondPort), "name"))

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The options that it mentions."""
        return self.options.settings if self.options else ()


@dataclass(frozen=True, slots=True)
class TagRange:
    """VLANs from `min` to `max`."""

    min: int | None = key(_TRUNK_TAG)
    max: int | None = key(_TRUNK_TAG)


@dataclass(frozen=True, slots=True)
class TrunkTag:
    """One VLAN of a trunk, or a range of them."""

    id: int | None = key(_TRUNK_TAG)
    id_range: TagRange | None = key(Section(TagRange))


@dataclass(frozen=True, slots=True)
class PortVlan:
    """Which VLANs a bridge's port takes; none of it mentioned means no filtering."""

    mode: str | None = key(Word(("access", "trunk")))
    tag: int | None = key(_VLAN_ID)
    trunk_tags: tuple[TrunkTag, ...] | None = key(Many(Section(TrunkTag)))
    enable_native: bool | None = key(Truth())


@dataclass(frozen=True, slots=True)
class BridgePort:
    """A port of a bridge; the ranges are the kernel's (net/bridge/br_private.h and _stp.h)."""

    name: str | None = key(KnownName())
    stp_hairpin_mode: bool | None = key(Truth())
    stp_path_cost: int | None = key(Whole(1, 65535))
    stp_priority: int | None = key(Whole(0, 63))
    vlan: PortVlan | None = key(Section(PortVlan))


@dataclass(frozen=True, slots=True)
class Stp:
    """A bridge's spanning tree; the ranges are the kernel's (net/bridge/br_private_stp.h).

    The least forward delay is that of a bridge without STP (br_set_forward_delay()).
    """

    enabled: bool | None = key(Truth())
    forward_delay: int | None = key(Whole(0, 30))
    hello_time: int | None = key(Whole(1, 10))
    max_age: int | None = key(Whole(6, 40))
    priority: int | None = key(_SHORT)


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """A bridge's options; timers are for reading."""

    stp: Stp | None = key(Section(Stp))
    gc_timer: int | None = key(_LONG)
    group_addr: str | None = key(Hardware())
    group_fwd_mask: int | None = key(_SHORT, "group-fwd-mask", "group-forward-mask")
    hash_max: int | None = key(Whole())
    hello_timer: int | None = key(_LONG)
    mac_ageing_time: int | None = key(_SECONDS)
    multicast_last_member_count: int | None = key(Whole())
    multicast_last_member_interval: int | None = key(Ticks())
    multicast_membership_interval: int | None = key(Ticks())
    multicast_querier: bool | None = key(Truth())
    multicast_querier_interval: int | None = key(Ticks())
    multicast_query_interval: int | None = key(Ticks())
    multicast_query_response_interval: int | None = key(Ticks())
    multicast_query_use_ifaddr: bool | None = key(Truth())
    multicast_router: str | None = key(
        Word(("auto", "disabled", "enabled"), (("0", "disabled"), ("1", "auto"), ("2", "enabled")))
    )
    multicast_snooping: bool | None = key(Truth())
    multicast_startup_query_count: int | None = key(Whole())
    multicast_startup_query_interval: int | None = key(Ticks())
    vlan_protocol: str | None = key(_VLAN_PROTOCOL)
    vlan_default_pvid: int | None = key(_VLAN_ID)


@dataclass(frozen=True, slots=True)
class Bridge:
    """A Linux bridge."""

    options: BridgeOptions | None = key(Section(BridgeOptions))
    port: tuple[BridgePort, ...] | None = key(Many(Section(BridgePort), "name"), "port", "ports")


@dataclass(frozen=True, slots=True)
class VlanLink:
    """A VLAN."""

    base_iface: str | None = key(KnownName())
    id: int | None = key(_VLAN_ID)
    protocol: str | None = key(_VLAN_PROTOCOL)
    registration_protocol: str | None = key(Word(("gvrp", "mvrp", "none")))
    reorder_headers: bool | None = key(Truth())
    loose_binding: bool | None = key(Truth())


@dataclass(frozen=True, slots=True)
class VirtualFunction:
    """What a PF says of one of its VFs."""

    id: int | None = key(_SHORT)
    iface_name: str | None = key(LinkName(may_be_empty=True))
    mac_address: str | None = key(Hardware())
    spoof_check: bool | None = key(Truth())
    trust: bool | None = key(Truth())
    min_tx_rate: int | None = key(Whole())
    max_tx_rate: int | None = key(Whole())
    vlan_id: int | None = key(_TAG)
    qos: int | None = key(Whole(0, 7))
    vlan_proto: str | None = key(_VLAN_PROTOCOL)


@dataclass(frozen=True, slots=True)
class SrIov:
    """A PF's VFs."""

    drivers_autoprobe: bool | None = key(Truth())
    total_vfs: int | None = key(_SHORT)
    vfs: tuple[VirtualFunction, ...] | None = key(Many(Section(VirtualFunction), "id"))


@dataclass(frozen=True, slots=True)
class Ethernet:
    """What a NIC has."""

    sr_iov: SrIov | None = key(Section(SrIov))
    auto_negotiation: bool | None = key(Truth(), unset=_NO_SPEED)
    speed: int | None = key(Whole(), unset=_NO_SPEED)
    duplex: str | None = key(Word(("full", "half")), unset=_NO_SPEED)


@dataclass(frozen=True, slots=True)
class Veth:
    """A veth's other end."""

    peer: str | None = key(LinkName())


@dataclass(frozen=True, slots=True)
class Vrf:
    """A VRF."""

    port: tuple[str, ...] | None = key(Many(KnownName()), "port", "ports")
    route_table_id: int | None = key(Whole())


@dataclass(frozen=True, slots=True)
class MacVlan:
    """A MACVLAN."""

    base_iface: str | None = key(KnownName())
    mode: str | None = key(Word(("vepa", "bridge", "private", "passthru", "source")))
    promiscuous: bool | None = key(Truth(), "promiscuous", "accept-all-mac")


@dataclass(frozen=True, slots=True)
class Lldp:
    """Whether LLDP is spoken."""

    enabled: bool | None = key(Truth(), unset=_NO_LLDP)


@dataclass(frozen=True, slots=True)
class AltName:
    """Another name of an interface."""

    name: str | None = key(Text())
    state: str | None = key(Word((ABSENT,)))


@dataclass(frozen=True, slots=True)
class NodeLink:
    """An interface; `driver`, `min_mtu`, `max_mtu` and `permanent_mac_address` are for reading.

    `lower` is no key: what an interface is on whose type is not ours.
    """

    name: str | None = key(KnownName())
    profile_name: str | None = key(Text())
    description: str | None = key(Text())
    type: str | None = key(Text())
    driver: str | None = key(Text())
    state: str | None = key(Word((UP, DOWN, ABSENT, IGNORE, UNKNOWN)))
    identifier: str | None = key(Word(("name", "mac-address", "pci-address")))
    pci_address: str | None = key(Text())
    mac_address: str | None = key(Hardware())
    permanent_mac_address: str | None = key(Hardware())
    copy_mac_from: str | None = key(KnownName())
    alt_names: tuple[AltName, ...] | None = key(Many(Section(AltName), "name"))
    mtu: int | None = key(Whole(0, 2**31 - 1))
    min_mtu: int | None = key(Whole())
    max_mtu: int | None = key(Whole())
    wait_ip: str | None = key(Word(("any", "ipv4", "ipv6", "ipv4+ipv6")))
    ipv4: Ipv4 | None = key(Section(Ipv4))
    ipv6: Ipv6 | None = key(Section(Ipv6))
    controller: str | None = key(KnownName(may_be_empty=True))
    accept_all_mac_addresses: bool | None = key(Truth())
    lldp: Lldp | None = key(Section(Lldp))
    link_aggregation: LinkAggregation | None = key(
        Section(LinkAggregation), "link-aggregation", "bond"
    )
    bridge: Bridge | None = key(Section(Bridge))
    vlan: VlanLink | None = key(Section(VlanLink))
    ethernet: Ethernet | None = key(Section(Ethernet))
    veth: Veth | None = key(Section(Veth))
    vrf: Vrf | None = key(Section(Vrf))
    mac_vlan: MacVlan | None = key(Section(MacVlan))
    lower: str | None = None

    @property
    def base(self) -> str | None:
        """The interface that it is made on, None where there is none, or it is not known."""
        section = self.vlan or self.mac_vlan
        return section.base_iface if section else self.lower

    @property
    def label(self) -> str:
        """Its name, for a text."""
        return self.name or "?"

    @property
    def addresses(self) -> tuple[IpAddress4 | IpAddress6, ...]:
        """Its addresses of both families."""
        return tuple(row for ip in (self.ipv4, self.ipv6) for row in (ip and ip.address) or ())

    def ip(self, family: int) -> Ipv4 | Ipv6 | None:
        """Return what it has of IPv4 or IPv6."""
        return self.ipv6 if family == 6 else self.ipv4  # noqa: PLR2004 - IPv6


@dataclass(frozen=True, slots=True)
class NetState:
    """A document: what a node has, or shall have."""

    description: str | None = key(Text())
    hostname: HostName | None = key(Section(HostName))
    dns_resolver: NodeDns | None = key(Section(NodeDns))
    route_rules: RouteRules | None = key(Section(RouteRules))
    routes: NodeRoutes | None = key(Section(NodeRoutes))
    interfaces: tuple[NodeLink, ...] | None = key(Many(Section(NodeLink), "name"))

    @property
    def configured_routes(self) -> tuple[NodeRoute, ...]:
        """The routes of its configuration."""
        return (self.routes.config if self.routes else None) or ()

    @property
    def running_routes(self) -> tuple[NodeRoute, ...]:
        """All routes that it has, those too that routers, DHCP or daemons made."""
        return (self.routes.running if self.routes else None) or ()
