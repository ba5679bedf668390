"""A bridge as the document has it: options, ports, and which VLANs each port takes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.kernel.messages import IFLA_INFO_DATA, IFLA_INFO_SLAVE_DATA, LinkMessage
from sriovbond.nodenet.model import (
    Bridge,
    BridgeOptions,
    BridgePort,
    PortVlan,
    Stp,
    TagRange,
    TrunkTag,
)
from sriovbond.survey.answers import PortVlans
from sriovbond.survey.fitting import Attributes, fit, unpack
from sriovbond.survey.scene import Scene

TICKS: Final = 100  # USER_HZ, the kernel's unit of a bridge's times
_PVID, _UNTAGGED = 0x2, 0x4  # BRIDGE_VLAN_INFO_*, include/uapi/linux/if_bridge.h
_FIRST_PVID: Final = 1
PROTOCOLS: Final[Mapping[int, str]] = {0x8100: "802.1q", 0x88A8: "802.1ad"}
OPTIONS: Final[Mapping[str, str]] = {
    "gc_timer": "GC_TIMER",
    "group_addr": "GROUP_ADDR",
    "group_fwd_mask": "GROUP_FWD_MASK",
    "hash_max": "MCAST_HASH_MAX",
    "hello_timer": "HELLO_TIMER",
    "multicast_last_member_count": "MCAST_LAST_MEMBER_CNT",
    "multicast_last_member_interval": "MCAST_LAST_MEMBER_INTVL",
    "multicast_membership_interval": "MCAST_MEMBERSHIP_INTVL",
    "multicast_querier": "MCAST_QUERIER",
    "multicast_querier_interval": "MCAST_QUERIER_INTVL",
    "multicast_query_interval": "MCAST_QUERY_INTVL",
    "multicast_query_response_interval": "MCAST_QUERY_RESPONSE_INTVL",
    "multicast_query_use_ifaddr": "MCAST_QUERY_USE_IFADDR",
    "multicast_router": "MCAST_ROUTER",
    "multicast_snooping": "MCAST_SNOOPING",
    "multicast_startup_query_count": "MCAST_STARTUP_QUERY_CNT",
    "multicast_startup_query_interval": "MCAST_STARTUP_QUERY_INTVL",
}
"""Fields of BridgeOptions that are an IFLA_BR_* as it is."""


def bridge(message: LinkMessage, scene: Scene) -> Bridge:
    """Return options and ports of a bridge; of a port with untagged VLANs beside the PVID, tags."""
    options = unpack(ifinfmsg.ifinfo.bridge_data, message.info.get(IFLA_INFO_DATA, b""))
    is_filtering = bool(options.get("IFLA_BR_VLAN_FILTERING"))
    pvid = options.get("IFLA_BR_VLAN_DEFAULT_PVID", _FIRST_PVID)
    ports = []
    for port in scene.ports(message):
        entries = scene.answers.vlans.get(port.index, ()) if is_filtering else ()
        ports.append(_port(port, _port_vlan(entries, pvid)))
    return Bridge(options=_bridge_options(options), port=tuple(ports))


def _bridge_options(options: Attributes) -> BridgeOptions:
    values = {field: options.get(f"IFLA_BR_{name}") for field, name in OPTIONS.items()}
    pvid = options.get("IFLA_BR_VLAN_DEFAULT_PVID")
    counts = options.get("IFLA_BR_VLAN_FILTERING") or pvid == _FIRST_PVID
    return fit(
        BridgeOptions,
        stp=fit(
            Stp,
            enabled=bool(options.get("IFLA_BR_STP_STATE")),
            forward_delay=_seconds(options, "FORWARD_DELAY"),
            hello_time=_seconds(options, "HELLO_TIME"),
            max_age=_seconds(options, "MAX_AGE"),
            priority=options.get("IFLA_BR_PRIORITY"),
        ),
        mac_ageing_time=_seconds(options, "AGEING_TIME"),
        vlan_protocol=PROTOCOLS.get(options.get("IFLA_BR_VLAN_PROTOCOL", 0)),
        vlan_default_pvid=pvid if counts else None,
        **values,
    )


def _seconds(options: Attributes, name: str) -> int | None:
    """Return the nearest second: with HZ 300 the kernel reports a hundredth less than it was."""
    ticks = options.get(f"IFLA_BR_{name}")
    return None if ticks is None else (ticks + TICKS // 2) // TICKS


def _port(message: LinkMessage, vlan: PortVlan | None) -> BridgePort:
    port = unpack(ifinfmsg.ifinfo.bridge_slave_data, message.info.get(IFLA_INFO_SLAVE_DATA, b""))
    return fit(
        BridgePort,
        name=message.name,
        stp_hairpin_mode=port.get("IFLA_BRPORT_MODE"),
        stp_path_cost=port.get("IFLA_BRPORT_COST"),
        stp_priority=port.get("IFLA_BRPORT_PRIORITY"),
        vlan=vlan,
    )


def _port_vlan(entries: Sequence[PortVlans], default_pvid: int) -> PortVlan | None:
    """Return what nmstate calls these VLANs; the bridge's default PVID is in no list of tags."""
    native = next((row.last for row in entries if row.flags & _PVID), None)
    tags = tuple(_trunk_tags(entries, default_pvid))
    if tags:
        has_own = native not in (None, default_pvid)
        return PortVlan(
            mode="trunk",
            tag=native if has_own else None,
            trunk_tags=tags,
            enable_native=has_own,
        )
    return None if native is None else PortVlan(mode="access", tag=native)


def _trunk_tags(entries: Sequence[PortVlans], default_pvid: int) -> Iterator[TrunkTag]:
    for row in entries:
        if row.flags & _PVID or row.first == row.last == default_pvid:
            continue
        if row.first == row.last:
            yield TrunkTag(id=row.first)
        else:
            yield TrunkTag(id_range=TagRange(row.first, row.last))
