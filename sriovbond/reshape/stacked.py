"""What an interface of each type is made with: the attribute with its kind and what that has."""

from typing import Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.kernel import messages
from sriovbond.kernel.messages import IFLA_IFNAME, IFLA_LINK, LINK_BYTES
from sriovbond.nodenet.model import (
    BRIDGE,
    MACVLAN,
    VETH,
    VLAN,
    VRF,
    MacVlan,
    NodeLink,
    Veth,
    VlanLink,
    Vrf,
)
from sriovbond.reshape import bridges
from sriovbond.reshape.site import Site, info, pack
from sriovbond.survey.bridges import PROTOCOLS

_KINDS: Final = ifinfmsg.ifinfo.data_map
_PROTOCOL_NUMBERS: Final = {name: number for number, name in PROTOCOLS.items()}
_GVRP, _MVRP = 0x2, 0x8  # VLAN_FLAG_*, include/uapi/linux/if_vlan.h
_REORDER, _LOOSE = 0x1, 0x4
_VETH_INFO_PEER: Final = 1  # include/uapi/linux/veth.h
_NOPROMISC: Final = 1  # MACVLAN_FLAG_NOPROMISC


def attributes(site: Site, link: NodeLink) -> list[bytes]:
    """Return what makes an interface of its type. Raises KernelError for a base that is missing."""
    section = link.vlan or link.mac_vlan
    base = section.base_iface if section else None
    below = [messages.word(IFLA_LINK, site.link(base).index)] if base else []
    return [*below, _info(link)]


def changes(link: NodeLink) -> list[bytes]:
    """Return what changes an interface of its type in place; nothing for other types."""
    if link.vlan and (data := _vlan(link.vlan)):
        return [info("vlan", data)]
    if link.mac_vlan and (data := _mac_vlan(link.mac_vlan)):
        return [info("macvlan", data)]
    return []


def _info(link: NodeLink) -> bytes:
    if link.type == BRIDGE:
        return info("bridge", bridges.data(link.bridge))
    if link.type == VLAN:
        return info("vlan", _vlan(link.vlan or VlanLink()))
    if link.type == VRF:
        table = (link.vrf or Vrf()).route_table_id
        return info("vrf", pack(_KINDS["vrf"], {"IFLA_VRF_TABLE": table}))
    if link.type == MACVLAN:
        return info("macvlan", _mac_vlan(link.mac_vlan or MacVlan()))
    if link.type == VETH or link.veth:
        return info("veth", _veth(link.veth or Veth()))
    return info(link.type or "")


def _vlan(vlan: VlanLink) -> bytes:
    values: dict[str, object] = {}
    if vlan.id is not None:
        values["IFLA_VLAN_ID"] = vlan.id
    if vlan.protocol is not None:
        values["IFLA_VLAN_PROTOCOL"] = _PROTOCOL_NUMBERS[vlan.protocol]
    flags, mask = _vlan_flags(vlan)
    if mask:
        values["IFLA_VLAN_FLAGS"] = {"flags": flags, "mask": mask}
    return pack(_KINDS["vlan"], values)


def _vlan_flags(vlan: VlanLink) -> tuple[int, int]:
    """Return the VLAN_FLAG_* that are set, and those that are mentioned."""
    flags = mask = 0
    if vlan.registration_protocol is not None:
        mask |= _GVRP | _MVRP
        flags |= {"gvrp": _GVRP, "mvrp": _MVRP}.get(vlan.registration_protocol, 0)
    for bit, is_set in ((_REORDER, vlan.reorder_headers), (_LOOSE, vlan.loose_binding)):
        mask |= 0 if is_set is None else bit
        flags |= bit if is_set else 0
    return flags, mask


def _mac_vlan(section: MacVlan) -> bytes:
    values: dict[str, object] = {}
    if section.mode is not None:
        values["IFLA_MACVLAN_MODE"] = section.mode
    if section.promiscuous is False:
        values["IFLA_MACVLAN_FLAGS"] = _NOPROMISC
    return pack(_KINDS["macvlan"], values)


def _veth(veth: Veth) -> bytes:
    if not veth.peer:
        return b""
    peer = bytes(LINK_BYTES) + messages.name(IFLA_IFNAME, veth.peer)
    return messages.attribute(_VETH_INFO_PEER, peer)
