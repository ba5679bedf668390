"""The bodies of rtnetlink's messages: built from attributes, and parsed attribute by attribute.

Only what is used is decoded: a link has some sixty attributes, and most are not needed.
Numbers and structures: include/uapi/linux/if_link.h, if_addr.h and rtnetlink.h.
"""

import errno
import struct
import sys
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Final

from sriovbond.bond.links import NO_MAC
from sriovbond.errors import KernelError
from sriovbond.kernel import attributes as nla
from sriovbond.kernel.attributes import HEADER, by_number

ARPHRD_LOOPBACK: Final = 772
IFF_UP: Final = 0x1
IFF_SLAVE: Final = 0x800
IFF_LOWER_UP: Final = 0x10000
RTEXT_FILTER_VF: Final = 1
RTEXT_FILTER_SKIP_STATS: Final = 8

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_IFALIAS, IFLA_NUM_VF, IFLA_VFINFO_LIST, IFLA_AF_SPEC = 18, 20, 21, 22, 26
IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_LINK_NETNSID, IFLA_PHYS_PORT_NAME = 28, 29, 37, 38
IFLA_TARGET_NETNSID: Final = 46
IFLA_MIN_MTU, IFLA_MAX_MTU, IFLA_PROP_LIST, IFLA_ALT_IFNAME = 50, 51, 52, 53
IFLA_PERM_ADDRESS, IFLA_PARENT_DEV_NAME, IFLA_PARENT_DEV_BUS_NAME = 54, 56, 57
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO = 1, 2, 4, 8, 9, 11
IFA_F_DADFAILED, IFA_F_TENTATIVE, IFA_F_PERMANENT = 0x08, 0x40, 0x80
IFA_F_NOPREFIXROUTE = 0x200
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS = 1, 4, 5, 6, 7, 8
RTA_MULTIPATH, RTA_TABLE, RTAX_MTU, RTAX_ADVMSS = 9, 15, 2, 8

_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_LONGEST_ATTRIBUTE: Final = 0xFFFF
LINK_BYTES: Final = _LINK.size
_ADDRESS: Final = struct.Struct("=BBxBi")  # ifaddrmsg: family, prefix, scope, index
_ROUTE: Final = struct.Struct("=BBxxBBBB4x")  # rtmsg: family, prefix, table, protocol, scope, type
NEXT_HOP: Final = struct.Struct("=HBBI")  # rtnexthop: length, flags, weight - 1, the link's index
_POINT_TO_POINT: Final = 2  # addresses of a /31 (RFC 3021), which has no broadcast
_U32: Final = struct.Struct("=HHI")


def attribute(number: int, payload: bytes) -> bytes:
    """Return an attribute, padded to the alignment of the next one."""
    size = HEADER.size + len(payload)
    return HEADER.pack(size, number) + payload + bytes(-size % 4)


def word(number: int, value: int) -> bytes:
    """Return an attribute with an unsigned number of 32 bits."""
    return _U32.pack(_U32.size, number, value)


def name(number: int, text: str) -> bytes:
    """Return an attribute with a NUL-terminated text."""
    return attribute(number, text.encode() + b"\0")


def link(index: int, *attributes: bytes, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """Return the body of a message about a link, or of a query for one."""
    return _LINK.pack(family, 0, index, flags, change) + b"".join(attributes)


def whole(payload: bytes) -> int:
    """Return an unsigned number in host byte order, 0 for an empty payload."""
    return int.from_bytes(payload, sys.byteorder)


def text(payload: bytes) -> str:
    """Return a text without its terminating NUL, empty for an empty payload."""
    return payload.rstrip(b"\0").decode("utf-8", "backslashreplace")


def _head(shape: struct.Struct, body: bytes) -> tuple[int, ...]:
    """Return the numbers of a message's header."""
    try:
        return shape.unpack_from(body)
    except struct.error as error:
        raise KernelError(
            f"cannot read a message of the kernel: it has {len(body)} bytes of {shape.size}",
            errno.EBADMSG,
        ) from error


def ip(family: int, payload: bytes) -> str:
    """Return an IP address as text, empty if there is none."""
    try:
        return inet_ntop(family, payload)
    except (ValueError, OSError):  # of another length, of another family
        return ""


_PAIRED: Final = frozenset({"veth", "netkit", "vxcan"})


@dataclass(frozen=True, slots=True)
class LinkMessage:
    """A link as the kernel reports it (RTM_NEWLINK): ifinfomsg, and its attributes by IFLA_*.

    `type` is its ARPHRD_*, `info` the attributes of its kind, by IFLA_INFO_*.
    """

    type: int
    index: int
    flags: int
    attributes: dict[int, bytes]
    info: dict[int, bytes]

    @property
    def is_up(self) -> bool:
        """Whether it is administratively up."""
        return bool(self.flags & IFF_UP)

    @property
    def has_carrier(self) -> bool:
        """Whether its driver reports a carrier."""
        return bool(self.flags & IFF_LOWER_UP)

    def text(self, number: int) -> str:
        """Return an attribute's text, empty if missing."""
        return text(self.attributes.get(number, b""))

    def number(self, number: int) -> int:
        """Return an attribute's number, 0 if missing."""
        return whole(self.attributes.get(number, b""))

    @property
    def name(self) -> str:
        """The interface's name."""
        return self.text(IFLA_IFNAME)

    @property
    def mac(self) -> str:
        """The hardware address."""
        return mac(self.attributes.get(IFLA_ADDRESS, b""))

    @property
    def kind(self) -> str:
        """Its kind (bond, veth), empty for hardware."""
        return text(self.info.get(IFLA_INFO_KIND, b""))

    @property
    def device(self) -> str:
        """The address of its device, empty if none is reported.

        All ports of a simulated device (netdevsim) have one parent: the port's name distinguishes
        them.
        """
        parent = self.text(IFLA_PARENT_DEV_NAME)
        if IFLA_PHYS_PORT_NAME not in self.attributes:
            return parent
        port_name = self.text(IFLA_PHYS_PORT_NAME)
        return f"{parent}/{port_name}" if self._is_simulated else parent

    @property
    def has_peer(self) -> bool:
        """Whether its IFLA_LINK, if any, is the other end of its wire, and no link below it."""
        return self.kind in _PAIRED or self._is_simulated

    @property
    def _is_simulated(self) -> bool:
        return self.text(IFLA_PARENT_DEV_BUS_NAME) == "netdevsim"

    def of_family(self, family: int) -> dict[int, bytes] | None:
        """Return what it has of an address family (IFLA_AF_SPEC), None where it has nothing."""
        section = by_number(self.attributes.get(IFLA_AF_SPEC, b"")).get(family)
        return None if section is None else by_number(section)

    @property
    def altnames(self) -> tuple[str, ...]:
        """Its altnames."""
        properties = nla.walk(self.attributes.get(IFLA_PROP_LIST, b""))
        return tuple(
            text(payload) for number, _, payload in properties if number == IFLA_ALT_IFNAME
        )


def is_loopback(body: bytes) -> bool:
    """Return whether a message is about the loopback, without parsing all of it."""
    return bool(_head(_LINK, body)[1] == ARPHRD_LOOPBACK)


def read_link(body: bytes) -> LinkMessage:
    """Parse a message about a link."""
    _, type_, index, flags, _ = _head(_LINK, body)
    attributes = by_number(body, _LINK.size)
    info = attributes.get(IFLA_LINKINFO)
    return LinkMessage(type_, index, flags, attributes, by_number(info) if info else {})


def are_vfs_whole(message: LinkMessage, body: bytes) -> bool:
    """Return whether the VF list in a PF's message is complete.

    The length of a list has 16 bits: with hundreds of VFs it may overflow, so that a VF's
    attributes appear among the PF's own.
    """
    if IFLA_NUM_VF not in message.attributes:
        return True
    if len(body) > _LONGEST_ATTRIBUTE:
        is_all = nla.bytes_of(message.attributes) >= len(body) - _LINK.size
    else:
        is_all = nla.are_whole(body, _LINK.size)
    return is_all and nla.are_whole(message.attributes.get(IFLA_VFINFO_LIST, b""))


def mac(payload: bytes) -> str:
    """Return a hardware address as text."""
    return payload.hex(":") or NO_MAC


@dataclass(frozen=True, slots=True)
class AddressMessage:
    """An address as the kernel reports it (RTM_NEWADDR): ifaddrmsg, and its attributes."""

    body: bytes
    family: int
    prefix: int
    scope: int
    index: int
    attributes: dict[int, bytes]

    @property
    def packed(self) -> bytes:
        """The local address, not that of the peer, as bytes."""
        return self.attributes.get(IFA_LOCAL) or self.attributes.get(IFA_ADDRESS, b"")

    @property
    def address(self) -> str:
        """The local address as text, empty if there is none."""
        return ip(self.family, self.packed)


def address(family: int, prefix: int = 0, index: int = 0, *attributes: bytes) -> bytes:
    """Return the body of a message about an address."""
    return _ADDRESS.pack(family, prefix, 0, index) + b"".join(attributes)


def own_address(index: int, own: IPv4Interface | IPv6Interface, *further: bytes) -> bytes:
    """Return the body of a message that puts an address on a link: with its network's broadcast."""
    family = AF_INET if isinstance(own, IPv4Interface) else AF_INET6
    network, packed = own.network, own.packed
    parts = [attribute(IFA_LOCAL, packed), attribute(IFA_ADDRESS, packed)]
    if family == AF_INET and network.num_addresses > _POINT_TO_POINT:
        parts.append(attribute(IFA_BROADCAST, network.broadcast_address.packed))
    return address(family, network.prefixlen, index, *parts, *further)


def read_address(body: bytes) -> AddressMessage:
    """Parse a message about an address."""
    family, prefix, scope, index = _head(_ADDRESS, body)
    return AddressMessage(body, family, prefix, scope, index, by_number(body, _ADDRESS.size))


@dataclass(frozen=True, slots=True)
class RouteMessage:
    """A route as the kernel reports it (RTM_NEWROUTE): rtmsg, and its attributes."""

    body: bytes
    family: int
    prefix: int
    table: int
    protocol: int
    scope: int
    type: int
    attributes: dict[int, bytes]

    def address(self, number: int) -> str | None:
        """Return an attribute's address, None if missing."""
        payload = self.attributes.get(number)
        return (ip(self.family, payload) or None) if payload else None

    def number(self, number: int) -> int:
        """Return an attribute's number, 0 if missing."""
        return whole(self.attributes.get(number, b""))


def route(family: int, prefix: int = 0, *attributes: bytes, **header: int) -> bytes:
    """Return the body of a message about a route; `header` are its protocol, scope and type."""
    protocol, scope, type_ = (header.get(key, 0) for key in ("protocol", "scope", "type"))
    return _ROUTE.pack(family, prefix, 0, protocol, scope, type_) + b"".join(attributes)


def read_route(body: bytes) -> RouteMessage:
    """Parse a message about a route."""
    family, prefix, table, protocol, scope, type_ = _head(_ROUTE, body)
    attributes = by_number(body, _ROUTE.size)
    return RouteMessage(body, family, prefix, table, protocol, scope, type_, attributes)
