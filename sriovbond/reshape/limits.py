"""What of a change nothing here can carry out, refused by name before anything is touched."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sriovbond.dhcp.files import is_possible
from sriovbond.dhcp.wish import fault_of_id
from sriovbond.nodenet import acts, gateways, monitoring, remaking, stacking
from sriovbond.nodenet.checks import Complaint, ports_of
from sriovbond.nodenet.comparing import differ
from sriovbond.nodenet.joined import Joined, Pair
from sriovbond.nodenet.model import BRIDGE, MACVLAN, VLAN, Ethernet, Ipv4, Ipv6, NodeLink, SrIov
from sriovbond.nodenet.pairs import uppers_of
from sriovbond.nodenet.routes import is_same, slot, ways_of
from sriovbond.nodenet.routing import ABSENT, NodeRoute
from sriovbond.nodenet.values import NO_MAC, is_link_local

_HOSTNAME: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_WEIGHT: Final = "weight is for a route of several ways: leave it out, or name the others"
_WITHOUT_MAC: Final = (None, BRIDGE, VLAN, MACVLAN)
"""Types that are shown with a MAC of zeros: a bridge without ports, and what has its MAC of it."""
_FIXED: Final = {
    "vrf": ("route_table_id",),
    "mac_vlan": ("base_iface", "promiscuous"),
    "veth": ("peer",),
}
"""Fields that the kernel takes only when it makes an interface."""


def judge(joined: Joined) -> Iterator[Complaint]:
    """Yield what of a document cannot be carried out, with its place."""
    numbers = {link.label: n for n, link in enumerate(joined.desired.interfaces or ())}
    for pair in joined.pairs:
        if pair.name in numbers and pair.desired is not None:
            remade = remaking.faults(pair, joined) if remaking.is_remade(pair) else ()
            path = ("interfaces", numbers[pair.name])
            yield from (Complaint((*path, "mac-address"), text) for text in _of_mac(pair))
            for text in (*_of_pair(pair, pair.desired), *remade, *_of_functions(pair, joined)):
                yield Complaint(path, f"{pair.name}: {text}")
    for rule in (stacking, monitoring, gateways):
        yield from rule.judge(joined)
    routes = joined.desired.configured_routes
    yield from _of_slots(routes)
    for number, route in enumerate(routes):
        if route.state != ABSENT and len(ways_of(route, joined)) == 1:
            yield Complaint(("routes", "config", number, "weight"), _WEIGHT)


def _of_slots(routes: Sequence[NodeRoute]) -> Iterator[Complaint]:
    """Yield the routes of a document that the kernel has one place for."""
    of_slot: dict[tuple[object, ...], list[NodeRoute]] = {}
    for number, route in enumerate(routes):
        if route.state == ABSENT:
            continue
        earlier = of_slot.setdefault(slot(route), [])
        is_other = not any(is_same(route, row) for row in earlier)
        if earlier and is_other and not route.weight:
            text = "another route has its network, table and metric: give it another metric"
            yield Complaint(("routes", "config", number), text)
        earlier.append(route)


def _of_mac(pair: Pair) -> Iterator[str]:
    """Yield a MAC that the kernel gives no interface (is_valid_ether_addr())."""
    mac = pair.desired.mac_address if pair.desired else None
    if (
        mac is None
        or pair.target.state == ABSENT
        or (pair.current and pair.current.mac_address == mac)
    ):
        return
    is_zero = mac == NO_MAC and (pair.current or pair.target).type not in _WITHOUT_MAC
    if is_zero or int(mac[:2], 16) & 1:
        yield f"{mac} is the address of no interface: it is a group's, or zero"


def _of_pair(pair: Pair, wish: NodeLink) -> Iterator[str]:
    if pair.target.state == ABSENT:
        return
    yield from _of_ip(pair.target.ipv4 if wish.ipv4 else None)
    if wish.ipv4 and pair.target.ipv4 and pair.target.ipv4.is_auto and not is_possible(pair.name):
        yield "DHCP needs a name of letters, digits and -_.: alone"
    yield from _of_ip(pair.target.ipv6 if wish.ipv6 else None)
    yield from _of_fixed(pair)


def _of_ip(ip: Ipv4 | Ipv6 | None) -> Iterator[str]:
    if ip is None or not ip.enabled:
        return
    if isinstance(ip, Ipv4) and ip.dhcp:
        yield from _of_client(ip)
        return
    if ip.auto_route_table_id:
        yield "auto-route-table-id is for DHCP: the kernel has routers' routes in the main table"


def _of_client(ip: Ipv4) -> Iterator[str]:
    """Yield what a client of DHCP cannot do: its other keys it can."""
    if ip.dhcp_client_id and (fault := fault_of_id(ip.dhcp_client_id)):
        yield fault
    name = ip.dhcp_custom_hostname
    if name and not re.fullmatch(_HOSTNAME, name):
        yield f"dhcp-custom-hostname {name!r} is no name of a host"


def _of_fixed(pair: Pair) -> Iterator[str]:
    """Yield what changes of an interface that is there, but would need a new one."""
    if pair.current is None:
        return
    for section, fields in _FIXED.items():
        wish, now = getattr(pair.target, section), getattr(pair.current, section)
        change = differ(wish, now) if wish and now else None
        for field in fields if change else ():
            if getattr(change, field) is not None:
                name = field.replace("_", "-")
                yield f"{name} of an interface does not change: remove it first, then make it anew"
    modes = {row.mac_vlan.mode for row in (pair.target, pair.current) if row.mac_vlan} - {None}
    if len(modes) > 1 and "passthru" in modes:
        yield "a MACVLAN is made with mode passthru, or without it: remove it first"


def _of_functions(pair: Pair, joined: Joined) -> Iterator[str]:
    """Yield the VFs that are in use on the node, where another number of them is to be made."""
    if pair.current is None or pair.target.state == ABSENT:
        return
    wish, now = pair.target.ethernet, pair.current.ethernet
    if wish and differ(wish.sr_iov or SrIov(), None) and not (now and now.sr_iov):
        yield "it has no SR-IOV: leave sr-iov out, or look whether the firmware has it switched on"
    yield from _of_numbers((wish or Ethernet()).sr_iov, (now or Ethernet()).sr_iov)
    change = differ(pair.target, pair.current)
    for name in acts.remade_functions(acts.Change(change, pair.current)) if change else ():
        if words := _use(joined.links.get(name) or NodeLink(), joined):
            yield (
                f"its VF {name} {words}, and the kernel removes all VFs for another number: "
                "free it first"
            )


def _of_numbers(wish: SrIov | None, now: SrIov | None) -> Iterator[str]:
    """Yield the VFs that a PF is not to have."""
    wish, now = wish or SrIov(), now or SrIov()
    total = now.total_vfs if wish.total_vfs is None else wish.total_vfs
    for vf in wish.vfs or ():
        if total is not None and vf.id is not None and vf.id >= total:
            yield f"its VF {vf.id} is none of {total}: they are numbered from 0"


def _use(link: NodeLink, joined: Joined) -> str:
    """Return what an interface is used for, in words."""
    owners = [row.label for row in joined.links.values() if link.label in (ports_of(row) or ())]
    uppers = [row.label for row in uppers_of(link.label, joined.links)]
    addresses = [row.ip for row in link.addresses if row.ip and not is_link_local(row.ip)]
    if owners:
        return f"is a port of {owners[0]}"
    if uppers:
        return f"is what {uppers[0]} is on"
    return f"has the address {addresses[0]}" if addresses else ""
