"""The configured addresses and routes of links, read and restored."""

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sriovbond.bond.links import Carried
from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_ADDRESS,
    IFA_FLAGS,
    IFA_PROTO,
    RTA_DST,
    RTA_GATEWAY,
    RTA_MULTIPATH,
    RTA_OIF,
    AddressMessage,
    RouteMessage,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
_FAMILY_BYTES: Final = tuple(bytes([family]) for family in FAMILIES)

_SCOPE_LINK: Final = 253
_IFAPROT_KERNEL_LL: Final = 3  # include/uapi/linux/if_addr.h, since Linux 5.18
_IFA_F_STABLE_PRIVACY: Final = 0x800
OF_KERNEL: Final = 2
"""The protocol of routes that the kernel makes itself (RTPROT_KERNEL)."""
OF_ROUTER: Final = 9
"""The protocol of routes by router advertisement (RTPROT_RA)."""
_UNICAST_BYTE: Final = b"\1"  # RTN_UNICAST
_TYPE_PLACE: Final = 7  # of a route's type in rtmsg
_RTNH_F_ONLINK: Final = 0x4  # the only flag kept; the kernel refuses DEAD or LINKDOWN in a request
_HEADER_BYTES: Final = 12  # of rtmsg; its flags are the last 4
_RTA_NH_ID: Final = 30  # include/uapi/linux/rtnetlink.h
_INDEX: Final = struct.Struct("=I")
_HOP_WEIGHT: Final = 3  # the place of its weight - 1
_MAC_BYTES: Final = 6
_NEW: Final = nl.NLM_F_CREATE | nl.NLM_F_EXCL
_INSTEAD: Final = nl.NLM_F_CREATE | nl.NLM_F_REPLACE
_BESIDE: Final = nl.NLM_F_CREATE | nl.NLM_F_APPEND
_EVERY_ROUTE: Final = NetlinkRequest(
    nl.RTM_GETROUTE, "list the routes", messages.route(socket.AF_UNSPEC)
)


@dataclass(frozen=True, slots=True)
class NextHop:
    """One next hop of a route: the interface's index, and the gateway's address if any.

    `weight` is its share among several next hops, 0 where it is the only one.
    """

    index: int
    gateway: str | None
    weight: int = 0


def addresses(
    netlink: Netlink, macs: Mapping[int, str], most: int | None = None
) -> dict[int, list[Carried]]:
    """Return the configured addresses by the link's index; `macs` are by index too.

    Without those of fe80::/10 that the kernel generates itself, when the link comes up.
    Raises KernelError, E2BIG for more than `most`: then the socket must be closed.
    """
    present = all_addresses(netlink, most)
    tells_origin = any(IFA_PROTO in address.attributes for address in present)
    by_link: dict[int, list[Carried]] = {}
    for address in present:
        own = _origin_is_kernel if tells_origin else _looks_like_kernels
        if not _is_link_local(address) or not own(address, macs.get(address.index, "")):
            text = f"{address.address}/{address.prefix}"
            by_link.setdefault(address.index, []).append(Carried(text, address.body.hex()))
    return by_link


def all_addresses(netlink: Netlink, most: int | None = None) -> list[AddressMessage]:
    """Return every address of the namespace, of both families; `most` as in `addresses`."""
    request = NetlinkRequest(nl.RTM_GETADDR, "list the addresses", messages.address(0))
    return netlink.dump_read(request, _read_address, most)


def addresses_of(
    netlink: Netlink, index: int, expected: Collection[tuple[bytes, int]]
) -> list[AddressMessage]:
    """Return those of the expected addresses, as bytes and prefix length, that the link has.

    All others are not kept in memory: a pod may have any number.
    """

    def read(body: bytes) -> AddressMessage | None:
        address = _read_address(body)
        if address is None or address.index != index:
            return None
        return address if (address.packed, address.prefix) in expected else None

    request = NetlinkRequest(nl.RTM_GETADDR, "list the addresses", messages.address(0))
    return netlink.dump_read(request, read)


def _read_address(body: bytes) -> AddressMessage | None:
    address = messages.read_address(body)
    return address if address.family in FAMILIES and address.address else None


def _is_link_local(address: AddressMessage) -> bool:
    return (address.family, address.scope) == (socket.AF_INET6, _SCOPE_LINK)


def _origin_is_kernel(address: AddressMessage, _: str) -> bool:
    return address.attributes.get(IFA_PROTO) == bytes([_IFAPROT_KERNEL_LL])


def _looks_like_kernels(address: AddressMessage, mac: str) -> bool:
    """Compare with the kernel's EUI-64 of the MAC; check the flag of RFC 7217."""
    if messages.whole(address.attributes.get(IFA_FLAGS, b"")) & _IFA_F_STABLE_PRIVACY:
        return True
    octets = bytes.fromhex(mac.replace(":", ""))
    if len(octets) != _MAC_BYTES:
        return False
    eui64 = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return address.attributes.get(IFA_ADDRESS) == b"\xfe\x80" + bytes(6) + eui64


def routes(present: Sequence[RouteMessage], *, are_own: bool = False) -> dict[int, list[Carried]]:
    """Return the configured routes by the link's index, or the kernel's, which restores its own.

    Those by a gateway come last: it may be reachable by one of the others. One over several links
    (ECMP) is listed for each; of an IPv6 one each has its own hop, which the kernel accepts singly.
    """
    by_link: dict[int, list[Carried]] = {}
    for route in sorted(present, key=lambda route: any(hop.gateway for hop in next_hops(route))):
        if is_own(route) is are_own:
            target = route.address(RTA_DST)
            text = f"{target}/{route.prefix}" if target else "default"
            for index, body in _shares(route):
                by_link.setdefault(index, []).append(Carried(f"route {text}", body.hex()))
    return by_link


def is_own(route: RouteMessage) -> bool:
    """Return whether the kernel has made a route itself, as of an address."""
    return route.protocol == OF_KERNEL


def _shares(route: RouteMessage) -> Iterator[tuple[int, bytes]]:
    """Yield each link of a route, with the message that restores the link's part of it."""
    if index := route.number(RTA_OIF):
        yield index, route.body
    for number, start, payload in attributes.walk(route.body, _HEADER_BYTES):
        if number == RTA_MULTIPATH:
            hops = [(hop.index, payload[hop.start : hop.end]) for hop in _hops(payload)]
            if route.family == socket.AF_INET:
                yield from (
                    (link_index, route.body)
                    for link_index in dict.fromkeys(link_index for link_index, _ in hops)
                )
            else:
                before = route.body[: start - attributes.HEADER.size]
                around = before + route.body[start + _align(len(payload)) :]
                yield from ((link_index, around + _multipath(hop)) for link_index, hop in hops)


@dataclass(frozen=True, slots=True)
class _Hop:
    """Offsets of a next hop in an RTA_MULTIPATH, and the index of its link."""

    start: int
    end: int
    index: int


def _hops(payload: bytes) -> Iterator[_Hop]:
    start = 0
    while start + messages.NEXT_HOP.size <= len(payload):
        length, _, _, index = messages.NEXT_HOP.unpack_from(payload, start)
        if not messages.NEXT_HOP.size <= length <= len(payload) - start:
            return
        yield _Hop(start, start + length, index)
        start += _align(length)


def _multipath(hop: bytes) -> bytes:
    return messages.attribute(RTA_MULTIPATH, hop)


def _align(length: int) -> int:
    return (length + 3) & ~3


def spans_links(route: Carried) -> bool:
    """Return whether a route can only be restored once all of its links are present."""
    body = bytes.fromhex(route.message)
    numbers = attributes.by_number(body, _HEADER_BYTES)
    return body[0] == socket.AF_INET and RTA_MULTIPATH in numbers


def remove_address(netlink: Netlink, name: str, text: str, message: bytes) -> None:
    """Remove an address from the link of that name; one that is gone already is none."""
    with nl.passing_over(errno.EADDRNOTAVAIL):
        netlink.send(NetlinkRequest(nl.RTM_DELADDR, f"remove {text} from {name}", message))


def put_address_back(netlink: Netlink, name: str, index: int, address: Carried) -> None:
    """Restore an address on the link, which may have another index by now. Idempotent."""
    body = bytearray.fromhex(address.message)
    _INDEX.pack_into(body, 4, index)
    doing = f"put {address.text} back on {name}"
    _create(netlink, NetlinkRequest(nl.RTM_NEWADDR, doing, bytes(body), _NEW))


def put_route_back(
    netlink: Netlink,
    name: str,
    indices: Mapping[int, int],
    route: Carried,
    *,
    is_replacing: bool = False,
) -> None:
    """Restore a route; `indices` maps the links' former indices to the current ones. Idempotent.

    `is_replacing`: an IPv4 one takes the place of another of its network, table and metric.
    """
    body = bytearray(_without_object(bytes.fromhex(route.message)))
    (flags,) = _INDEX.unpack_from(body, _HEADER_BYTES - _INDEX.size)
    _INDEX.pack_into(body, _HEADER_BYTES - _INDEX.size, flags & _RTNH_F_ONLINK)
    for number, start, payload in attributes.walk(bytes(body), _HEADER_BYTES):
        if number == RTA_OIF:
            _renumber(body, start, indices)
        for hop in _hops(payload) if number == RTA_MULTIPATH else ():
            body[start + hop.start + 2] &= _RTNH_F_ONLINK
            _renumber(body, start + hop.start + 4, indices)
    # EXCL would refuse it beside another of its network and metric: each IPv6 hop is a route of its
    # own, and networkd appends those of other links
    flags = _INSTEAD if is_replacing and body[0] == socket.AF_INET else _BESIDE
    doing = f"put {route.text} back on {name}"
    _create(netlink, NetlinkRequest(nl.RTM_NEWROUTE, doing, bytes(body), flags))


def _without_object(body: bytes) -> bytes:
    """Return a route with its next hops, and without the nexthop object that they are of.

    The kernel reports both and takes one. The object ends with its link, as when that goes down.
    """
    for number, start, payload in attributes.walk(body, _HEADER_BYTES):
        if number == _RTA_NH_ID:
            return body[: start - attributes.HEADER.size] + body[start + _align(len(payload)) :]
    return body


def _renumber(body: bytearray, place: int, indices: Mapping[int, int]) -> None:
    (index,) = _INDEX.unpack_from(body, place)
    _INDEX.pack_into(body, place, indices.get(index, index))


def _create(netlink: Netlink, request: NetlinkRequest) -> None:
    with nl.passing_over(errno.EEXIST):
        netlink.send(request)


def default_route_carriers(
    routes: Iterable[RouteMessage], *, are_advertised_counted: bool = True
) -> set[int]:
    """Return the indices of the links of default routes, optionally without routers' own."""
    return {
        hop.index
        for route in routes
        if route.prefix == 0 and (are_advertised_counted or route.protocol != OF_ROUTER)
        for hop in next_hops(route)
    }


Target = tuple[int, int, bytes]
"""Family, prefix length and address (none for a default route) of a destination."""


def unicast_routes(
    netlink: Netlink, most: int | None = None, *, over: Collection[int] | None = None
) -> list[RouteMessage]:
    """Return the unicast routes of every table, of both families; `most` as in `addresses`.

    With `over`, only those over one of the links of these indices; others take no memory.
    """
    read = _read_unicast if over is None else partial(_read_unicast_over, over)
    return netlink.dump_read(_EVERY_ROUTE, read, most)


def _read_unicast_over(indices: Collection[int], body: bytes) -> RouteMessage | None:
    route = _read_unicast(body)
    is_over = route is not None and any(hop.index in indices for hop in next_hops(route))
    return route if is_over else None


def routes_to(netlink: Netlink, targets: Collection[Target], most: int) -> list[RouteMessage]:
    """Return the unicast routes of every table to these destinations.

    All others are not kept in memory: a pod may have any number. Raises KernelError, E2BIG for more
    than `most`: then the socket must be closed.
    """

    def read(body: bytes) -> RouteMessage | None:
        route = _read_unicast(body)
        if route is None:
            return None
        target = (route.family, route.prefix, route.attributes.get(RTA_DST, b""))
        return route if target in targets else None

    return netlink.dump_read(_EVERY_ROUTE, read, most)


def _read_unicast(body: bytes) -> RouteMessage | None:
    if body[:1] not in _FAMILY_BYTES:  # of CAN, MPLS
        return None
    if body[_TYPE_PLACE : _TYPE_PLACE + 1] != _UNICAST_BYTE:  # each address has some of others
        return None
    return messages.read_route(body)


def next_hops(route: RouteMessage) -> Iterator[NextHop]:
    """Yield a route's next hops: one, or several (ECMP)."""
    if index := route.number(RTA_OIF):
        yield NextHop(index, route.address(RTA_GATEWAY))
    payload = route.attributes.get(RTA_MULTIPATH, b"")
    for hop in _hops(payload):
        further = attributes.by_number(payload[hop.start + messages.NEXT_HOP.size : hop.end])
        gateway = further.get(RTA_GATEWAY)
        address = messages.ip(route.family, gateway) if gateway else None
        yield NextHop(hop.index, address, payload[hop.start + _HOP_WEIGHT] + 1)
