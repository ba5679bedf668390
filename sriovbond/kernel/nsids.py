"""The host's numbers of other namespaces (nsids), by which their links are read from the host."""

import errno
import struct
from typing import Final

from sriovbond.errors import KernelError
from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

NONE: Final = -1
"""The number of a namespace that has none (NETNSA_NSID_NOT_ASSIGNED)."""
_NETNSA_NSID, _NETNSA_FD = 1, 3  # include/uapi/linux/net_namespace.h
_GENERIC: Final = bytes(4)  # struct rtgenmsg, aligned
_INT: Final = struct.Struct("=i")


def every(netlink: Netlink) -> list[int]:
    """Return the numbers of all namespaces that have one."""
    request = NetlinkRequest(nl.RTM_GETNSID, "list the numbers of namespaces", _GENERIC)
    return [of_message(body) for body in netlink.dump(request)]


def find(netlink: Netlink, descriptor: int, whose: str = "a pod's namespace") -> int:
    """Return the number of the namespace open at `descriptor`, NONE if it has none."""
    body = _GENERIC + messages.word(_NETNSA_FD, descriptor)
    request = NetlinkRequest(nl.RTM_GETNSID, f"look at the number of {whose}", body)
    return of_message(netlink.get(request))


def assign(netlink: Netlink, descriptor: int) -> int:
    """Return the number of the namespace open at `descriptor`, which gets one if it has none."""
    nsid = find(netlink, descriptor)
    if nsid == NONE:
        body = _GENERIC + messages.word(_NETNSA_NSID, NONE & 0xFFFFFFFF)
        body += messages.word(_NETNSA_FD, descriptor)
        with nl.passing_over(errno.EEXIST):  # a concurrent process was first
            netlink.send(NetlinkRequest(nl.RTM_NEWNSID, "number a pod's namespace", body))
        nsid = find(netlink, descriptor)
    if nsid == NONE:
        raise KernelError("cannot number a pod's namespace: the kernel gave none", errno.EPROTO)
    return nsid


def of_message(body: bytes) -> int:
    """Return the number that a message about a namespace has."""
    return of_payload(attributes.by_number(body, len(_GENERIC)).get(_NETNSA_NSID, b""))


def of_payload(payload: bytes) -> int:
    """Return the number in an attribute, NONE for a malformed one."""
    return int(_INT.unpack(payload)[0]) if len(payload) == _INT.size else NONE
