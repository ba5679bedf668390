"""An interface as the document has it: what all have, and the section of its type."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from sriovbond.kernel import bonding, ioctls, messages
from sriovbond.kernel.messages import (
    IFLA_IFALIAS,
    IFLA_MASTER,
    IFLA_MAX_MTU,
    IFLA_MIN_MTU,
    IFLA_MTU,
    IFLA_PERM_ADDRESS,
    LinkMessage,
)
from sriovbond.nodenet.model import (
    BOND,
    BRIDGE,
    DOWN,
    ETHERNET,
    IGNORE,
    MACVLAN,
    TYPES,
    UP,
    VETH,
    VLAN,
    VRF,
    AltName,
    NodeLink,
)
from sriovbond.survey import bonds, bridges, devices, stacked, stacks
from sriovbond.survey.fitting import fit
from sriovbond.survey.scene import Scene, type_of

_IFF_PROMISC: Final = 0x100  # what a person asked for: dev_get_flags() leaves out a bridge's
_SECTIONS: Final[Mapping[str, tuple[str, Callable[[LinkMessage, Scene], Any]]]] = {
    BRIDGE: ("bridge", bridges.bridge),
    VLAN: ("vlan", stacked.vlan),
    VRF: ("vrf", stacked.vrf),
    VETH: ("veth", stacked.veth),
    MACVLAN: ("mac_vlan", stacked.mac_vlan),
}


@dataclass(frozen=True, slots=True)
class Routed:
    """The indexes of the links that have routes of the configuration."""

    ipv4: frozenset[int]
    ipv6: frozenset[int]


def interface(message: LinkMessage, scene: Scene, routed: Routed, sysfs: Path) -> NodeLink:
    """Return an interface; one whose type is not ours is ignored."""
    type_ = type_of(message)
    link = fit(
        NodeLink,
        name=message.name,
        type=type_,
        state=IGNORE,
        controller=scene.name(message.number(IFLA_MASTER)),
    )
    if type_ not in TYPES:
        return replace(link, lower=stacked.lower(message, scene))
    link = _with_all(link, message)
    link = replace(
        link,
        ipv4=stacks.ipv4(message, scene, routed.ipv4),
        ipv6=stacks.ipv6(message, scene, routed.ipv6),
    )
    return _with_section(link, message, scene, sysfs)


def _with_all(link: NodeLink, message: LinkMessage) -> NodeLink:
    permanent = message.attributes.get(IFLA_PERM_ADDRESS) or bonds.permanent(message)
    values = fit(
        NodeLink,
        description=message.text(IFLA_IFALIAS) or None,
        mac_address=message.mac,
        permanent_mac_address=messages.mac(permanent) if permanent else None,
        alt_names=tuple(map(AltName, message.altnames)) or None,
        mtu=message.number(IFLA_MTU),
        min_mtu=message.number(IFLA_MIN_MTU) or None,
        max_mtu=message.number(IFLA_MAX_MTU) or None,
        accept_all_mac_addresses=bool(message.flags & _IFF_PROMISC),
    )
    return replace(
        values,
        name=link.name,
        type=link.type,
        state=UP if message.is_up else DOWN,
        controller=link.controller,
    )


def _with_section(link: NodeLink, message: LinkMessage, scene: Scene, sysfs: Path) -> NodeLink:
    if link.type == ETHERNET:
        return replace(
            link,
            driver=ioctls.driver(scene.node.netlink, message.name) or None,
            pci_address=devices.pci_address(message),
            ethernet=devices.ethernet(message, sysfs),
        )
    if link.type == BOND:
        state = bonding.state_of(message, scene.links.values())
        return replace(link, link_aggregation=bonds.link_aggregation(state))
    if link.type is None or link.type not in _SECTIONS:
        return link
    field, read = _SECTIONS[link.type]
    section: dict[str, Any] = {field: read(message, scene)}
    return replace(link, **section)
