"""Rules about the members' addresses and routes, and about host links."""

from collections.abc import Iterator

from sriovbond.bond.links import Place
from sriovbond.bond.situation import Situation


def find_refused_addresses(situation: Situation) -> Iterator[str]:
    """Yield members with addresses or routes, where these are refused.

    Those by router advertisement do not count: each VF that a mover leaves up may get them.
    """
    if situation.member_addresses != "refuse":
        return
    for member in situation.members:
        own = [address for address in member.link.addresses if not address.is_address_of_router]
        own += [route for route in member.link.routes if not route.is_route_of_router]
        if own:
            yield f"{member} carries {', '.join(entry.text for entry in own)}"


def node_route(situation: Situation) -> Iterator[str]:
    """Yield host links that a default route of the node uses."""
    for member in situation.members:
        if member.place is Place.HOST and member.link.has_default_route:
            yield f"{member} carries a default route of the node"


def find_flushed_addresses(situation: Situation) -> Iterator[str]:
    """Yield members that lose an address and were not named in `links`: naming one is consent."""
    if situation.entries or situation.member_addresses != "flush":
        return
    for member in situation.members:
        own = [address.text for address in member.link.addresses if address.is_assigned]
        if own:
            yield f"{member} has {', '.join(own)}, which the bond takes off"


def host_asked(situation: Situation) -> Iterator[str]:
    """Yield that host links are requested explicitly."""
    if situation.is_host_asked:
        yield "linksInContainer false asks for interfaces of the host"
