"""What a change does that a person may not have meant: it can be, and is said beforehand."""

from collections.abc import Iterable, Iterator
from typing import Final

from sriovbond.nodenet import routes
from sriovbond.nodenet.bondoptions import bond_after, takes_ports_mac
from sriovbond.nodenet.model import DOWN, Ipv4, Ipv6, NodeLink
from sriovbond.nodenet.normal import is_dynamic
from sriovbond.nodenet.pairs import Joined, addresses_of, is_bonds_port
from sriovbond.nodenet.routing import ABSENT, MAIN_TABLE, HostName, NodeRoute
from sriovbond.nodenet.values import is_link_local, network_fault

_IPV6: Final = 6
_DEFAULTS: Final = {4: "0.0.0.0/0", _IPV6: "::/0"}


def find(joined: Joined) -> tuple[str, ...]:
    """Return the warnings about a change."""
    return (
        *_gone(joined),
        *_twice(joined),
        *_of_networks(joined),
        *_of_mtus(joined),
        *_of_macs(joined),
        *_without_gateway(joined),
        *_of_name(joined),
        *_of_profiles(joined),
    )


def _gone(joined: Joined) -> Iterator[str]:
    for link in joined.links.values():
        for row in link.addresses:
            is_own = not is_dynamic(row) and not is_link_local(row.ip or "::")
            if is_own and row.ip in joined.leaving.gone:
                yield f"{row.ip}, which {link.label} has, goes from the node"


def _twice(joined: Joined) -> Iterator[str]:
    """Yield the addresses that an interface gets and another one has, too."""
    holders: dict[str, set[str]] = {}
    for name, link in joined.links.items():
        pair = joined.pair(name)
        for address in pair.keeps(link) if pair else addresses_of(link):
            holders.setdefault(address, set()).add(name)
    for pair in joined.pairs:
        now = joined.links.get(pair.name) or NodeLink()
        for address in sorted(pair.keeps(now) - addresses_of(now)):
            other_links = sorted(holders.get(address, set()) - {pair.name})
            if other_links and not is_link_local(address):
                yield f"{address} of {pair.name} is an address of {', '.join(other_links)}, too"
            holders.setdefault(address, set()).add(pair.name)


def _of_networks(joined: Joined) -> Iterator[str]:
    for link in joined.desired.interfaces or ():
        for ip in (link.ipv4, link.ipv6) if link.state != ABSENT else ():
            for row in (ip and ip.enabled is not False and ip.address) or ():
                text = f"{row.ip}/{row.prefix_length}"
                if fault := network_fault(text):
                    yield f"{link.label}: {text} is {fault}"


def _of_name(joined: Joined) -> Iterator[str]:
    wish, now = joined.desired.hostname or HostName(), joined.current.hostname or HostName()
    new, former = wish.running or wish.config, now.running or now.config
    if new and former and new != former:
        yield f"the host is called {new} then, no longer {former}: kubelet registers it by its name"


def _of_profiles(joined: Joined) -> Iterator[str]:
    """Yield the names of profiles, but for those that only repeat what an interface is known by."""
    for link in joined.desired.interfaces or ():
        if link.profile_name and link.identifier in (None, "name"):
            yield (
                f"{link.label}: profile-name {link.profile_name} sets nothing here: profiles are "
                "NetworkManager's, for which `host render` writes it"
            )


def _of_mtus(joined: Joined) -> Iterator[str]:
    """Yield the ports of bonds that get another MTU: they have it until they come in again."""
    for pair in joined.pairs:
        link = joined.links.get(pair.name) or NodeLink()
        owner, mtu = joined.links.get(link.controller or "") or NodeLink(), pair.target.mtu
        is_kept = pair.target.controller is None and not joined.pair(owner.label)
        if is_bonds_port(link, joined.links) and is_kept and mtu not in (None, owner.mtu):
            yield (
                f"{pair.name} is to have the MTU {mtu} until {owner.label} takes it in again, as at"
                f" a boot: then it gets the bond's, {owner.mtu}"
            )


def _of_macs(joined: Joined) -> Iterator[str]:
    """Yield the MACs that bonds do not get, for they have that of the active port."""
    for pair in joined.pairs:
        wish, now = pair.desired or NodeLink(), joined.links.get(pair.name) or NodeLink()
        mac = wish.mac_address or (f"of {wish.copy_mac_from}" if wish.copy_mac_from else "")
        is_known = wish.identifier == "mac-address" or mac == now.mac_address
        if mac and not is_known and takes_ports_mac(bond_after(pair.target, now)):
            yield (
                f"{pair.name} does not get the MAC {mac}: with fail_over_mac active it has that of"
                " its active port"
            )


def _without_gateway(joined: Joined) -> Iterator[str]:
    """Yield the family whose default route goes from the main table, and comes again by nothing.

    What DHCP or a router has given goes where these end; other programs' routes stay. Any interface
    takes what routers advertise: one without a default route now will bring none.
    """
    gone = routes.leaving_routes(joined)
    for family, default in _DEFAULTS.items():
        configured = _defaults(joined.current.configured_routes, default)
        learned = _defaults(joined.current.running_routes, default)
        auto = {name for name, link in joined.links.items() if _is_auto(link.ip(family))}
        staying = [row for row in learned if row.next_hop_interface not in auto]
        after = [
            *(row for row in (*configured, *staying) if row not in gone),
            *_defaults(joined.desired.configured_routes, default),
        ]
        silent = auto - {row.next_hop_interface for row in learned} if family == _IPV6 else set()
        is_auto = any(_is_auto(ip) for name, ip in _after(joined, family) if name not in silent)
        if (configured or learned) and not after and not is_auto:
            yield f"the node has no default route of IPv{family} in its main table then"


def _defaults(rows: Iterable[NodeRoute], destination: str) -> list[NodeRoute]:
    return [row for row in rows if _is_default(row, destination)]


def _after(joined: Joined, family: int) -> Iterator[tuple[str, Ipv4 | Ipv6 | None]]:
    """Yield what there is to be up, by name, and its IPv4 or IPv6: a port has none of its own."""
    changing = {pair.name for pair in joined.pairs}
    for pair in joined.pairs:
        if pair.target.state not in {ABSENT, DOWN}:
            now = None if pair.target.controller else pair.current
            yield pair.name, pair.target.ip(family) or (now.ip(family) if now else None)
    for name, link in joined.links.items():
        if name not in changing:
            yield name, link.ip(family)


def _is_default(row: NodeRoute, destination: str) -> bool:
    is_main = (row.table_id or MAIN_TABLE) == MAIN_TABLE
    return row.destination == destination and is_main and row.state != ABSENT


def _is_auto(ip: Ipv4 | Ipv6 | None) -> bool:
    return bool(ip and ip.is_auto)
