"""Receives, on sockets in the host's namespace, events of the links in pods' namespaces.

A namespace gets an nsid of the host's, by which its events are identified and its links read.
Nothing of ours stays in it: that would keep it alive, and the VFs in it.
"""

import errno
import socket
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Self

from sriovbond.errors import MachineError
from sriovbond.happenings.following import Heard
from sriovbond.kernel import attributes, messages, nsids
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.bonding import (
    IFLA_BOND_ACTIVE_SLAVE,
    IFLA_BOND_SLAVE_FAILURES,
    IFLA_BOND_SLAVE_MII_STATUS,
    IFLA_BOND_SLAVE_STATE,
)
from sriovbond.kernel.messages import (
    IFLA_INFO_DATA,
    IFLA_INFO_SLAVE_DATA,
    IFLA_MASTER,
    LinkMessage,
)

# include/uapi/linux/netlink.h, rtnetlink.h, net_namespace.h, if_link.h
_NETLINK_ADD_MEMBERSHIP: Final = 1
_NETLINK_LISTEN_ALL_NSID: Final = 8
_RTNLGRP_LINK, _RTNLGRP_NSID = 1, 28
_SO_RCVBUFFORCE: Final = 33
_IFLA_NEW_NETNSID = 45
_CARRYING: Final = (0, 1)  # BOND_LINK_UP, and _FAIL during downdelay
_BACKUP: Final = 1  # BOND_STATE_BACKUP
_INT: Final = struct.Struct("=i")
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_INT.size)
_ENDS_BUFFER_BYTES: Final = 1 << 20
_RECEIVE_BYTES: Final = 1 << 16
_DRAINING_S: Final = 0.3
_AT_ONCE: Final = 2000
MOST_LINKS: Final = 512
"""Maximum number of links read in one namespace: bonds, or members of one."""


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """A link changed or was removed; `nsid` is None in the host's own namespace.

    `is_moved`: the removed link was moved to another namespace, not deleted.
    """

    nsid: int | None
    link: Heard
    is_gone: bool
    is_moved: bool


class OverrunError(Exception):
    """The socket's buffer overran and events were lost: read all again."""


class _Listening:
    """A socket subscribed to a group of rtnetlink; `fileno` is readable when events are queued."""

    def __init__(self, group: int, buffer_bytes: int, *, of_all: bool) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes)
            self._socket.setsockopt(nl.SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID, int(of_all))
            self._socket.bind((0, 0))
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

    def drain(self) -> None:
        """Discard all queued events: until then the kernel queues no more after an overrun."""
        deadline = time.monotonic() + _DRAINING_S
        while time.monotonic() < deadline:
            try:
                self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise

    def _receive(self) -> tuple[bytes, int | None] | None:
        """Return a message and its nsid, None when none is queued; empty if not the kernel's.

        A process of a pod may send to the group, and only the kernel's messages about links count.
        """
        try:
            data, ancillary, _, (sender, _) = self._socket.recvmsg(_RECEIVE_BYTES, _ANCILLARY_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise OverrunError from error
            raise
        return b"" if sender else data, _nsid(ancillary)


class LinkEvents(_Listening):
    """Receives link events of all namespaces with an nsid.

    `was_emptied`: the last call read the queue to its end.
    """

    was_emptied = True

    def __init__(self, buffer_bytes: int) -> None:
        super().__init__(_RTNLGRP_LINK, buffer_bytes, of_all=True)

    def events(
        self, is_wanted: Callable[[int | None], bool], deadline: float
    ) -> Iterator[LinkEvent]:
        """Yield events of the wanted nsids' links; a bounded number, and until the deadline.

        Unwanted events cost little: a pod may change its links at full speed.
        Raises OverrunError when events were lost.
        """
        self.was_emptied = False
        for _ in range(_AT_ONCE):
            received = self._receive()
            if received is None:
                self.was_emptied = True
                return
            data, nsid = received
            if is_wanted(nsid):
                yield from _events(data, nsid)
            if time.monotonic() > deadline:
                return


class Ends(_Listening):
    """Receives the ends of namespaces with an nsid, on a socket that pods' links cannot overrun."""

    def __init__(self) -> None:
        super().__init__(_RTNLGRP_NSID, _ENDS_BUFFER_BYTES, of_all=False)

    def receive(self) -> Iterator[int]:
        """Yield the nsids that have ended; they may be reused for another namespace.

        Raises OverrunError when events were lost.
        """
        for _ in range(_AT_ONCE):
            received = self._receive()
            if received is None:
                return
            for type_, body in _messages(received[0]):
                if type_ == nl.RTM_DELNSID:
                    yield nsids.of_message(body)


def _events(data: bytes, nsid: int | None) -> Iterator[LinkEvent]:
    for type_, body in _messages(data):
        # AF_BRIDGE reports a port that leaves a bridge as RTM_DELLINK
        is_link = type_ in (nl.RTM_NEWLINK, nl.RTM_DELLINK) and len(body) >= messages.LINK_BYTES
        if is_link and body[0] == socket.AF_UNSPEC:
            yield _link_event(nsid, messages.read_link(body), is_gone=type_ == nl.RTM_DELLINK)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + nl.HEADER.size <= len(data):
        length, type_, _, _, _ = nl.HEADER.unpack_from(data, offset)
        yield type_, data[offset + nl.HEADER.size : offset + length]
        offset += (max(length, nl.HEADER.size) + 3) & ~3


def _link_event(nsid: int | None, link: LinkMessage, *, is_gone: bool) -> LinkEvent:
    is_moved = is_gone and _IFLA_NEW_NETNSID in link.attributes
    return LinkEvent(nsid, to_heard(link), is_gone=is_gone, is_moved=is_moved)


def _nsid(ancillary: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, payload in ancillary:
        if (level, kind) == (nl.SOL_NETLINK, _NETLINK_LISTEN_ALL_NSID):
            return int(_INT.unpack_from(payload)[0])
    return None


def to_heard(link: LinkMessage) -> Heard:
    """Return what matters of a link to the watch."""
    bond = attributes.by_number(link.info.get(IFLA_INFO_DATA, b"")) if link.kind == "bond" else {}
    member = attributes.by_number(link.info.get(IFLA_INFO_SLAVE_DATA, b""))
    status = member.get(IFLA_BOND_SLAVE_MII_STATUS)
    return Heard(
        index=link.index,
        name=link.name,
        kind=link.kind,
        master=link.number(IFLA_MASTER),
        is_set_down=not link.is_up,
        has_carrier=link.has_carrier,
        device=link.device,
        active=messages.whole(bond.get(IFLA_BOND_ACTIVE_SLAVE, b"")),
        mii_up=status is not None and messages.whole(status) in _CARRYING,
        is_backup=messages.whole(member.get(IFLA_BOND_SLAVE_STATE, b"")) == _BACKUP,
        failures=messages.whole(member.get(IFLA_BOND_SLAVE_FAILURES, b"")),
    )
