"""Links of other namespaces on top of host links: a macvlan in a pod, the peer of a veth.

Only namespaces with an nsid of the host's are visible: those that a link was moved into, or that
have a veth to the host.
"""

import errno
import struct
from collections.abc import Collection
from typing import Final

from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFLA_EXT_MASK,
    IFLA_LINK,
    IFLA_LINK_NETNSID,
    RTEXT_FILTER_SKIP_STATS,
)
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.kernel.netns import Namespace

_NETNSA_NSID, _NETNSA_FD = 1, 3  # include/uapi/linux/net_namespace.h
_NO_NUMBER: Final = -1
_GENERIC: Final = bytes(4)  # struct rtgenmsg, aligned
_INT: Final = struct.Struct("=i")


def find_uppers(home: Namespace, indices: Collection[int]) -> dict[int, str]:
    """Return, by the index of a host link, the link on top of it in another namespace.

    Raises KernelError when a namespace cannot be read: then the uppers are unknown.
    """
    uppers: dict[int, str] = {}
    for nsid in _nsids(home.netlink):
        with nl.passing_over(errno.EINVAL):  # the namespace has ended meanwhile
            uppers |= _in_namespace(home, nsid, indices)
    return uppers


def _in_namespace(home: Namespace, nsid: int, indices: Collection[int]) -> dict[int, str]:
    """Return the uppers in a namespace, of which all other links take no memory.

    A pod that creates and removes links without end makes all dumps inconsistent; an upper that
    remains is in one of them.
    """
    mask = messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    body = messages.link(0, messages.word(messages.IFLA_TARGET_NETNSID, nsid), mask)
    request = NetlinkRequest(nl.RTM_GETLINK, "list the links of another namespace", body)
    uppers: dict[tuple[int, int], str] = {}

    def note(answer: bytes) -> None:
        link = messages.read_link(answer)
        lower, netnsid = link.number(IFLA_LINK), link.attributes.get(IFLA_LINK_NETNSID, b"")
        if netnsid and lower in indices:
            uppers[lower, _whole(netnsid)] = f"{link.kind} {link.name}"

    with nl.passing_over(errno.EINTR):
        home.netlink.dump_read(request, note)
    own = _own_number(home) if uppers else _NO_NUMBER
    return {lower: words for (lower, number), words in uppers.items() if number == own}


def _own_number(home: Namespace) -> int:
    """Return the host's nsid of itself, which the kernel assigns when it reports such a link."""
    body = _GENERIC + messages.word(_NETNSA_FD, home.descriptor)
    doing = "look at the number of the host's namespace"
    return _number(home.netlink.get(NetlinkRequest(nl.RTM_GETNSID, doing, body)))


def _nsids(netlink: Netlink) -> list[int]:
    request = NetlinkRequest(nl.RTM_GETNSID, "list the numbers of namespaces", _GENERIC)
    return [_number(body) for body in netlink.dump(request)]


def _number(body: bytes) -> int:
    return _whole(attributes.by_number(body, len(_GENERIC)).get(_NETNSA_NSID, b""))


def _whole(payload: bytes) -> int:
    return int(_INT.unpack(payload)[0]) if len(payload) == _INT.size else _NO_NUMBER
