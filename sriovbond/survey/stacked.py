"""What is made on another link: VLAN, MACVLAN; a VRF with its ports; a veth's other end."""

from typing import Final

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from sriovbond.kernel.messages import IFLA_INFO_DATA, LinkMessage
from sriovbond.nodenet.model import MacVlan, Veth, VlanLink, Vrf
from sriovbond.survey.bridges import PROTOCOLS
from sriovbond.survey.fitting import Attributes, fit, unpack
from sriovbond.survey.scene import Scene

_KINDS: Final = ifinfmsg.ifinfo.data_map
_REORDER, _GVRP, _LOOSE, _MVRP = 0x1, 0x2, 0x4, 0x8  # VLAN_FLAG_*, include/uapi/linux/if_vlan.h
_MACVLAN_FLAG_NOPROMISC: Final = 1
_MACVLAN_MODES: Final = {1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}

_TUNNELS: Final = frozenset(
    (
        "gre", "gretap", "erspan", "ipip", "sit", "vti",
        "ip6gre", "ip6gretap", "ip6erspan", "ip6tnl", "vti6",
    )
)  # fmt: skip


def vlan(message: LinkMessage, scene: Scene) -> VlanLink:
    """Return a VLAN; without the link it is on where that is in another namespace."""
    data = _data(message)
    flags = data["IFLA_VLAN_FLAGS"]["flags"] if "IFLA_VLAN_FLAGS" in data else _REORDER
    registration = "gvrp" if flags & _GVRP else "mvrp" if flags & _MVRP else "none"
    return fit(
        VlanLink,
        base_iface=scene.base(message),
        id=data.get("IFLA_VLAN_ID"),
        protocol=PROTOCOLS.get(data.get("IFLA_VLAN_PROTOCOL", 0)),
        registration_protocol=registration,
        reorder_headers=bool(flags & _REORDER),
        loose_binding=bool(flags & _LOOSE),
    )


def mac_vlan(message: LinkMessage, scene: Scene) -> MacVlan:
    """Return a MACVLAN."""
    data = _data(message)
    mode, flags = data.get("IFLA_MACVLAN_MODE"), data.get("IFLA_MACVLAN_FLAGS", 0)
    return fit(
        MacVlan,
        base_iface=scene.base(message),
        mode=_MACVLAN_MODES.get(mode or 0, mode),
        promiscuous=flags not in (_MACVLAN_FLAG_NOPROMISC, "nopromisc"),
    )


def vrf(message: LinkMessage, scene: Scene) -> Vrf:
    """Return a VRF."""
    return fit(
        Vrf,
        port=tuple(port.name for port in scene.ports(message)),
        route_table_id=_data(message).get("IFLA_VRF_TABLE"),
    )


def veth(message: LinkMessage, scene: Scene) -> Veth:
    """Return a veth whose other end is in the same namespace."""
    return fit(Veth, peer=scene.base(message))


def lower(message: LinkMessage, scene: Scene) -> str | None:
    """Return what an interface is on whose type is not ours: IPVLAN, MACVTAP, VXLAN and others.

    Of a tunnel it says by which its packets leave: it stays when that goes.
    """
    if message.kind in _TUNNELS:
        return None
    if message.kind == "vxlan":
        return scene.name(_data(message).get("IFLA_VXLAN_LINK") or 0)
    return scene.base(message)


def _data(message: LinkMessage) -> Attributes:
    return unpack(_KINDS[message.kind], message.info.get(IFLA_INFO_DATA, b""))
