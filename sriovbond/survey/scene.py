"""What all parts of the document are made of: the kernel's answers, and each port's controller."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from sriovbond.kernel.messages import (
    ARPHRD_LOOPBACK,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    IFLA_MASTER,
    LinkMessage,
)
from sriovbond.kernel.netns import Namespace
from sriovbond.nodenet import unsupported
from sriovbond.nodenet.model import BOND, BRIDGE, ETHERNET, MACVLAN, TYPES, VETH, VLAN, VRF
from sriovbond.nodenet.values import LinkName
from sriovbond.survey.answers import Answers

_ARPHRD_ETHER, _ARPHRD_INFINIBAND = 1, 32  # include/uapi/linux/if_arp.h
_TYPES: Final[Mapping[str, str]] = {
    "bond": BOND,
    "bridge": BRIDGE,
    "vlan": VLAN,
    "vrf": VRF,
    "veth": VETH,
    "dummy": "dummy",
    "macvlan": MACVLAN,
    "netdevsim": ETHERNET,
    "macvtap": "mac-vtap",
    "openvswitch": "ovs-interface",
}
"""nmstate's types by the kernel's kinds; further ones have one name in both."""
_OF_HARDWARE: Final[Mapping[int, str]] = {
    _ARPHRD_ETHER: ETHERNET,
    ARPHRD_LOOPBACK: "loopback",
    _ARPHRD_INFINIBAND: "infiniband",
}
_OTHER: Final = "other"


@dataclass(frozen=True, slots=True)
class Scene:
    """The answers, with the links that the document has, by their index."""

    node: Namespace
    answers: Answers
    links: Mapping[int, LinkMessage]

    def name(self, index: int) -> str | None:
        """Return the name of a link, None where the document has none of that index."""
        return self.links[index].name if index in self.links else None

    def base(self, message: LinkMessage) -> str | None:
        """Return the link that it is on, or its other end; None for one of another namespace."""
        if IFLA_LINK_NETNSID in message.attributes:
            return None
        return self.name(message.number(IFLA_LINK))

    def ports(self, message: LinkMessage) -> Iterator[LinkMessage]:
        """Yield the links that are in it, by name."""
        inside = [row for row in self.links.values() if row.number(IFLA_MASTER) == message.index]
        yield from sorted(inside, key=lambda row: row.name)

    def is_bound(self, message: LinkMessage) -> bool:
        """Return whether it is in a link that has the addresses."""
        master = self.links.get(message.number(IFLA_MASTER))
        return master is not None and master.kind != VRF


def see(node: Namespace, answers: Answers) -> Scene:
    """Return the scene of a namespace; pods' veths are none of it."""
    kept = {row.index: row for row in answers.links if not _is_left_out(row)}
    return Scene(node, answers, kept)


def type_of(message: LinkMessage) -> str:
    """Return the type that nmstate has for a link; one that is not ours may be `other`."""
    if not message.kind:
        return _OF_HARDWARE.get(message.type, _OTHER)
    known = _TYPES.get(message.kind)
    if known in TYPES and message.type != _ARPHRD_ETHER:
        return _OTHER
    return known or (message.kind if message.kind in unsupported.TYPES else _OTHER)


def _is_left_out(message: LinkMessage) -> bool:
    """Return whether it is a pod's veth, whose other end is elsewhere, or has an odd name."""
    try:
        LinkName().read(message.name)
    except ValueError:
        return True
    return message.kind == VETH and IFLA_LINK_NETNSID in message.attributes
