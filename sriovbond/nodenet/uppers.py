"""What an MTU, or going down, does to what is on an interface, or has it as a port."""

from collections.abc import Iterator

from sriovbond.nodenet.joined import Joined
from sriovbond.nodenet.model import BRIDGE, TYPES, NodeLink
from sriovbond.nodenet.normal import normal_ipv6
from sriovbond.nodenet.pairs import uppers_of


def lowered(name: str, joined: Joined) -> Iterator[str]:
    """Yield what is on an interface and has a greater MTU than that is to have, unasked.

    The kernel lowers it (vlan_device_event(), macvlan_device_event()), and raises it never again.
    """
    pair = joined.pair(name)
    mtu = pair.target.mtu if pair else None
    waiting = [name] if mtu else []
    while waiting:
        for link in uppers_of(waiting.pop(), joined.links):
            upper = joined.pair(link.label)
            is_asked = upper is not None and upper.target.mtu is not None
            if link.type in TYPES and not is_asked and (link.mtu or 0) > (mtu or 0):
                waiting.append(link.label)
                yield link.label


def bridge_of(link: NodeLink, joined: Joined) -> str:
    """Return the bridge that has an interface as its port; it has the least MTU of its ports."""
    owner = joined.links.get(link.controller or "")
    return owner.label if owner and owner.type == BRIDGE else ""


def closing(name: str, joined: Joined) -> Iterator[str]:
    """Yield the VLANs that go down with an interface, unasked."""
    waiting = [name]
    while waiting:
        for link in uppers_of(waiting.pop(), joined.links):
            if joined.pair(link.label) is None and joined.goes_down(link.label):
                waiting.append(link.label)
                yield link.label


def former_states(joined: Joined) -> list[NodeLink]:
    """Return what a change takes down unasked, as it is: it loses its IPv6 addresses, too."""
    names = [name for pair in joined.pairs for name in closing(pair.name, joined)]
    links = [joined.links[name] for name in dict.fromkeys(names)]
    return [
        NodeLink(
            name=link.name,
            type=link.type,
            state=link.state,
            ipv6=normal_ipv6(link.ipv6) if link.ipv6 and link.ipv6.address else None,
        )
        for link in links
    ]


def former_mtus(joined: Joined) -> dict[str, NodeLink]:
    """Return what a change lowers unasked, each with the MTU that it has now."""
    names = [name for pair in joined.pairs for name in lowered(pair.name, joined)]
    links = [joined.links[name] for name in names]
    return {
        link.label: NodeLink(name=link.name, type=link.type, state=link.state, mtu=link.mtu)
        for link in links
    }
