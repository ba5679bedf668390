"""Hears, from one socket on the host, what happens to the links in the namespaces of pods.

A namespace gets a number of the host's (nsid), by which its events are told apart and its links
are read. Nothing of ours stays inside: that would pin it, and the VFs in it.
"""

import errno
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from sriovbond.bond.watching import Heard
from sriovbond.errors import KernelError, MachineError
from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.bonding import (
    IFLA_BOND_ACTIVE_SLAVE,
    IFLA_BOND_SLAVE_FAILURES,
    IFLA_BOND_SLAVE_MII_STATUS,
    IFLA_BOND_SLAVE_STATE,
)
from sriovbond.kernel.messages import (
    IFLA_EXT_MASK,
    IFLA_INFO_DATA,
    IFLA_INFO_SLAVE_DATA,
    IFLA_MASTER,
    RTEXT_FILTER_SKIP_STATS,
    LinkMessage,
)
from sriovbond.kernel.netlink import Netlink, Request

# include/uapi/linux/netlink.h, rtnetlink.h, net_namespace.h, if_link.h
_NETLINK_ADD_MEMBERSHIP: Final = 1
_NETLINK_LISTEN_ALL_NSID: Final = 8
_RTNLGRP_LINK, _RTNLGRP_NSID = 1, 28
_SO_RCVBUFFORCE: Final = 33
_NETNSA_NSID, _NETNSA_FD = 1, 3
_IFLA_NEW_NETNSID, _IFLA_TARGET_NETNSID = 45, 46
_NO_NUMBER: Final = -1
_CARRYING: Final = (0, 1)  # BOND_LINK_UP, and _FAIL for as long as downdelay lasts
_BACKUP: Final = 1  # BOND_STATE_BACKUP
_INT: Final = struct.Struct("=i")
_GENERIC_BYTES: Final = 4  # struct rtgenmsg, aligned
_RECEIVE_BYTES: Final = 1 << 16
_DRAINING_S: Final = 1.0
MOST_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link changed or went; `nsid` is None in the host's own namespace.

    `is_moved` tells that one that went was moved by somebody, and did not end.
    """

    nsid: int | None
    link: Heard
    is_gone: bool
    is_moved: bool


@dataclass(frozen=True, slots=True)
class NamespaceEvent:
    """A namespace of this number is gone; another one may get the number."""

    nsid: int


class OverrunError(Exception):
    """The kernel had more to tell than the socket took: read all anew."""


class Watch:
    """The listening socket; `fileno` is readable when there is something to hear."""

    def __init__(self, buffer_bytes: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
            self._socket.setsockopt(nl.SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID, 1)
            self._socket.bind((0, 0))
            for group in (_RTNLGRP_LINK, _RTNLGRP_NSID):
                self._socket.setsockopt(nl.SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            self._socket.close()
            raise MachineError(
                f"cannot listen to the links of all namespaces: {error.strerror}; "
                "the agent needs CAP_NET_ADMIN and CAP_NET_BROADCAST"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._socket.fileno()

    def has_more(self) -> bool:
        """Tell whether something waits to be heard."""
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        return bool(waiting.poll(0))

    def events(
        self, is_wanted: Callable[[int | None], bool]
    ) -> Iterator[LinkEvent | NamespaceEvent]:
        """Yield what was heard of wanted nsids' links, and of namespaces that went; not too much.

        Raises OverrunError where something was lost.
        """
        for _ in range(MOST_AT_ONCE):
            try:
                data, told, _, (sender, _) = self._socket.recvmsg(
                    _RECEIVE_BYTES, socket.CMSG_SPACE(_INT.size)
                )
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    raise OverrunError from error
                raise
            if not sender:  # the kernel: nobody else may tell us of links
                nsid = _nsid(told)
                is_link_wanted = is_wanted(nsid)
                if is_link_wanted or nsid is None:
                    yield from _events(data, nsid, is_link_wanted=is_link_wanted)

    def drain(self) -> None:
        """Forget all that waits: before that the kernel tells nothing more after an overrun."""
        deadline = time.monotonic() + _DRAINING_S
        while time.monotonic() < deadline:
            try:
                self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise


def number(home: Netlink, descriptor: int) -> int:
    """Return the nsid of the namespace open at `descriptor`; it gets one where it has none."""
    found = _number(home, descriptor)
    if found == _NO_NUMBER:
        body = bytes(_GENERIC_BYTES) + messages.word(_NETNSA_NSID, _NO_NUMBER & 0xFFFFFFFF)
        doing = "number a pod's namespace"
        with nl.passing_over(errno.EEXIST):  # somebody else was quicker
            home.send(Request(nl.RTM_NEWNSID, doing, body + messages.word(_NETNSA_FD, descriptor)))
        found = _number(home, descriptor)
    if found == _NO_NUMBER:
        raise KernelError("cannot number a pod's namespace: the kernel gave none", errno.EPROTO)
    return found


def read(home: Netlink, nsid: int) -> dict[int, Heard]:
    """Return the links of the namespace of that number, by index. Raises KernelError."""
    mask = messages.word(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    body = messages.link(0, messages.word(_IFLA_TARGET_NETNSID, nsid), mask)
    request = Request(nl.RTM_GETLINK, "list the links of a pod", body)
    found = (_heard(messages.read_link(answer)) for answer in home.dump(request))
    return {link.index: link for link in found}


def _number(home: Netlink, descriptor: int) -> int:
    body = bytes(_GENERIC_BYTES) + messages.word(_NETNSA_FD, descriptor)
    request = Request(nl.RTM_GETNSID, "look at the number of a pod's namespace", body)
    return _nsid_in(home.get(request))


def _events(
    data: bytes, nsid: int | None, *, is_link_wanted: bool
) -> Iterator[LinkEvent | NamespaceEvent]:
    offset = 0
    while offset + nl.HEADER.size <= len(data):
        length, type_, _, _, _ = nl.HEADER.unpack_from(data, offset)
        body = data[offset + nl.HEADER.size : offset + length]
        if type_ in (nl.RTM_NEWLINK, nl.RTM_DELLINK):
            # AF_BRIDGE tells of a port's leaving a bridge in the words of a link's end
            is_whole = len(body) >= messages.LINK_BYTES
            if is_link_wanted and is_whole and body[0] == socket.AF_UNSPEC:
                yield _link_event(nsid, messages.read_link(body), is_gone=type_ == nl.RTM_DELLINK)
        elif type_ == nl.RTM_DELNSID and nsid is None:
            yield NamespaceEvent(_nsid_in(body))
        offset += (max(length, nl.HEADER.size) + 3) & ~3


def _link_event(nsid: int | None, link: LinkMessage, *, is_gone: bool) -> LinkEvent:
    is_moved = is_gone and _IFLA_NEW_NETNSID in link.attributes
    return LinkEvent(nsid, _heard(link), is_gone=is_gone, is_moved=is_moved)


def _nsid(told: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, payload in told:
        if (level, kind) == (nl.SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID):
            return int(_INT.unpack_from(payload)[0])
    return None


def _nsid_in(body: bytes) -> int:
    payload = attributes.by_number(body, _GENERIC_BYTES).get(_NETNSA_NSID, b"")
    return int(_INT.unpack(payload)[0]) if len(payload) == _INT.size else _NO_NUMBER


def _heard(link: LinkMessage) -> Heard:
    bond = attributes.by_number(link.info.get(IFLA_INFO_DATA, b"")) if link.kind == "bond" else {}
    member = attributes.by_number(link.info.get(IFLA_INFO_SLAVE_DATA, b""))
    status = member.get(IFLA_BOND_SLAVE_MII_STATUS)
    return Heard(
        index=link.index,
        name=link.name,
        kind=link.kind,
        master=link.number(IFLA_MASTER),
        has_carrier=link.has_carrier,
        device=link.device,
        active=messages.whole(bond.get(IFLA_BOND_ACTIVE_SLAVE, b"")),
        mii_up=status is not None and messages.whole(status) in _CARRYING,
        is_backup=messages.whole(member.get(IFLA_BOND_SLAVE_STATE, b"")) == _BACKUP,
        failures=messages.whole(member.get(IFLA_BOND_SLAVE_FAILURES, b"")),
    )
