"""A router that advertises itself: a prefix, and a route of its own (RFC 4861, RFC 4191)."""

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sriovbond.kernel import netns
from tests.support.pods import Pod

PREFIX, ROUTE = "2001:db8:5::", "2001:db8:77::"
_ADVERTISEMENT, _PREFIX_INFORMATION, _ROUTE_INFORMATION = 134, 3, 24
_ON_LINK_AND_AUTONOMOUS = 0xC0
_LASTS_S = 1800
_HOPS = 255  # RFC 4861 section 6.1.2: from this link
_ALL_NODES = "ff02::1"


@dataclass(frozen=True, slots=True)
class Router:
    """A namespace in the role of a router, on one of its interfaces."""

    pod: Pod
    interface: str

    def advertise(self) -> None:
        """Tell all nodes of the prefix and the route, and that this is a default gateway."""
        with netns.opened(self.pod.path) as namespace:
            packets = namespace.run(partial(socket.socket, socket.AF_INET6, socket.SOCK_RAW, 58))
        with packets:
            packets.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode())
            packets.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, _HOPS)
            with suppress(OSError):  # its own address may be tentative yet
                packets.sendto(_message(), (_ALL_NODES, 0))


def _message() -> bytes:
    head = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, 64, 0, _LASTS_S, 0, 0)
    prefix = struct.pack(
        "!BBBBIII", _PREFIX_INFORMATION, 4, 64, _ON_LINK_AND_AUTONOMOUS, _LASTS_S, _LASTS_S, 0
    )
    route = struct.pack("!BBBBI", _ROUTE_INFORMATION, 3, 48, 0, _LASTS_S)
    pack = partial(socket.inet_pton, socket.AF_INET6)
    return head + prefix + pack(PREFIX) + route + pack(ROUTE)
