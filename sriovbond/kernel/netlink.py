"""The rtnetlink socket: sends a request, returns its response or raises KernelError.

Messages are built and parsed in `messages`. The socket is the standard library's: it stays in the
namespace it is created in, whichever thread uses it, and costs no event loop.
"""

import errno
import mmap
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from sriovbond.errors import KernelError
from sriovbond.kernel import attributes

# include/uapi/linux/netlink.h and rtnetlink.h
SOL_NETLINK: Final = 270
NETLINK_CAP_ACK: Final = 10
NETLINK_EXT_ACK: Final = 11
NETLINK_GET_STRICT_CHK: Final = 12
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
NLM_F_CAPPED, NLM_F_ACK_TLVS = 0x100, 0x200
NLM_F_DUMP = 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGERR_ATTR_MSG = 1
SO_NETNS_COOKIE: Final = 71  # include/uapi/asm-generic/socket.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 32, 33, 34
RTM_NEWNSID, RTM_DELNSID, RTM_GETNSID = 88, 89, 90
RTM_NEWLINKPROP, RTM_DELLINKPROP = 108, 109

HEADER: Final = struct.Struct("=IHHII")
_INT: Final = struct.Struct("=i")
_COOKIE: Final = struct.Struct("=Q")
_TIMEVAL: Final = struct.Struct("@ll")
_BUFFER_BYTES: Final = 1 << 18
_TIMEOUT_S: Final = 10
_DUMP_TRIES: Final = 5
_MOST_STRANGERS: Final = 1000
_BUSY: Final = frozenset({errno.EAGAIN, errno.EBUSY})
PATIENCE_S: Final = 3.0
"""How long a device that works with its PF is retried: iavf itself gives up after 2.5 s."""
PAUSE_S: Final = 0.1
_GET: Final = 2
"""Of each four types the third reads (rtnetlink_rcv_msg(), net/core/rtnetlink.c)."""
_NAMES: Final[Mapping[int, str]] = {
    number: name for name, number in list(globals().items()) if name.startswith("RTM_")
}


T = TypeVar("T")


class _ChangedMeanwhileError(Exception):
    """A dump that is inconsistent (NLM_F_DUMP_INTR)."""


@dataclass(frozen=True, slots=True)
class NetlinkRequest:
    """One request: `doing` is its purpose, as in "cannot <doing>: EBUSY"."""

    type: int
    doing: str
    body: bytes
    flags: int = 0

    @property
    def changes(self) -> bool:
        """Whether it is not a query."""
        return self.type & 3 != _GET

    def __str__(self) -> str:
        return f"{_NAMES.get(self.type, self.type)}: {self.doing}"


taps: list[Callable[[NetlinkRequest], None]] = []
"""Called with each request before it is sent: to log it, or to inject a failure by raising."""


class _Received(threading.local):
    """What the kernel answers, until it is copied: one buffer a thread.

    One for each answer, or for each socket, would be mapped, zeroed and unmapped for it. Pages that
    no answer needs are no memory.
    """

    def __init__(self) -> None:
        self.buffer = mmap.mmap(-1, _BUFFER_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


_received: Final = _Received()


class Netlink:
    """One rtnetlink socket in the namespace that the calling thread is in when it is created."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._sequence = 0
        for choice in (NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
            self._choose(choice)
        # the kernel's own timeout: the socket's would cost a poll before each call
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.pack(_TIMEOUT_S, 0))

    def _choose(self, choice: int) -> None:
        try:
            self._socket.setsockopt(SOL_NETLINK, choice, 1)
        except OSError as error:
            if error.errno != errno.ENOPROTOOPT:  # not supported by an older kernel, and optional
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def fileno(self) -> int:
        """Return the descriptor; ioctls on it act in the socket's namespace."""
        return self._socket.fileno()

    def namespace_cookie(self) -> int:
        """Return the namespace's cookie, 0 when the kernel does not report it."""
        try:
            cookie = self._socket.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, _COOKIE.size)
        except OSError:
            return 0
        return int(_COOKIE.unpack(cookie)[0])

    def send(self, request: NetlinkRequest) -> None:
        """Send a request that changes something and wait for the kernel's ACK.

        Raises KernelError with the errno and the kernel's own text (extack).
        """
        self._talk(request, request.flags | NLM_F_ACK, _as_it_is)

    def get(self, request: NetlinkRequest) -> bytes:
        """Return the requested object; KernelError ENODEV if a link does not exist."""
        bodies = self._talk(request, 0, _as_it_is)
        if not bodies:
            raise KernelError(f"cannot {request.doing}: the kernel did not answer", errno.EPROTO)
        return bodies[0]

    def dump(self, request: NetlinkRequest) -> list[bytes]:
        """Return all objects that the request describes; repeats it if they changed meanwhile."""
        return self.dump_read(request, _as_it_is)

    def dump_at_most(self, request: NetlinkRequest, most: int | None) -> list[bytes]:
        """Dump; raise KernelError E2BIG for more objects: then the socket must be closed."""
        return self.dump_read(request, _as_it_is, most)

    def dump_read(
        self, request: NetlinkRequest, read: Callable[[bytes], T | None], most: int | None = None
    ) -> list[T]:
        """Dump, and return what `read` makes of each object; None of those to leave out.

        These take no memory. Raises as `dump_at_most`.
        """
        for _ in range(_DUMP_TRIES):
            with suppress(_ChangedMeanwhileError):
                return self._talk(request, NLM_F_DUMP, read, most)
        raise KernelError(
            f"cannot {request.doing}: it changed faster than it could be read", errno.EINTR
        )

    def _talk(
        self,
        request: NetlinkRequest,
        flags: int,
        read: Callable[[bytes], T | None],
        most: int | None = None,
    ) -> list[T]:
        for tap in taps:
            tap(request)
        self._sequence += 1
        length = HEADER.size + len(request.body)
        header = HEADER.pack(length, request.type, flags | NLM_F_REQUEST, self._sequence, 0)
        try:
            self._socket.send(header + request.body)
            return self._answers(request, read, flags, most)
        except struct.error as error:
            raise KernelError(
                f"cannot {request.doing}: the kernel's answer is cut short", errno.EBADMSG
            ) from error
        except BlockingIOError as error:
            raise KernelError(
                f"cannot {request.doing}: the kernel did not answer in {_TIMEOUT_S} s",
                errno.ETIMEDOUT,
            ) from error
        except OSError as error:
            raise _kernel_error(request, error.errno or errno.EIO) from error

    def _answers(
        self,
        request: NetlinkRequest,
        read: Callable[[bytes], T | None],
        asked_flags: int,
        most: int | None = None,
    ) -> list[T]:
        answers: list[T] = []
        seen_flags = 0
        while most is None or len(answers) <= most:
            data = self._from_kernel(request)
            offset, end = 0, len(data)
            while offset < end:
                length, type_, flags, sequence, _ = HEADER.unpack_from(data, offset)
                if not HEADER.size <= length <= end - offset:
                    raise struct.error
                body = data[offset + HEADER.size : offset + length]
                offset += (length + 3) & ~3
                if sequence != self._sequence:
                    continue
                seen_flags |= flags
                if type_ not in (NLMSG_ERROR, NLMSG_DONE):
                    answer = read(body)
                    if answer is not None:
                        answers.append(answer)
                    if not asked_flags:
                        return answers
                    continue
                _raise_for(request, type_, flags, body)
                _raise_if_changed(asked_flags, seen_flags)
                return answers
        raise KernelError(f"cannot {request.doing}: there are more than {most}", errno.E2BIG)

    def _from_kernel(self, request: NetlinkRequest) -> bytes:
        """Receive from the kernel only; a process of the pod may write to our socket there, too."""
        for _ in range(_MOST_STRANGERS):
            size, (sender, _) = self._socket.recvfrom_into(_received.buffer)
            if not sender:
                return _received.buffer[:size]
        raise KernelError(
            f"cannot {request.doing}: others than the kernel keep writing to this socket",
            errno.EBUSY,
        )


def _as_it_is(body: bytes) -> bytes:
    return body


def send_patiently(netlink: Netlink, request: NetlinkRequest) -> None:
    """Send a request again for as long as the device is busy, some 3 s at most; as `send`.

    VF drivers pass many requests to their PF, and return EAGAIN or EBUSY meanwhile: iavf for a MAC
    and for an open after a close, i40e and ice for a PF's change of such a VF.
    """
    deadline = 0.0
    while True:
        try:
            netlink.send(request)
        except KernelError as error:
            deadline = deadline or time.monotonic() + PATIENCE_S
            if error.errno not in _BUSY or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(PAUSE_S)


@contextmanager
def passing_over(code: int) -> Iterator[None]:
    """Ignore a KernelError of that errno."""
    try:
        yield
    except KernelError as error:
        if error.errno != code:
            raise


def _raise_for(request: NetlinkRequest, type_: int, flags: int, body: bytes) -> None:
    code = _INT.unpack_from(body)[0] if body else 0  # the end of a dump may have none
    if code:
        raise _kernel_error(request, -code, _extack(type_, flags, body))


def _raise_if_changed(asked_flags: int, seen_flags: int) -> None:
    if asked_flags == NLM_F_DUMP and seen_flags & NLM_F_DUMP_INTR:
        raise _ChangedMeanwhileError


def _extack(type_: int, flags: int, body: bytes) -> str:
    """Return the kernel's error text (NLMSGERR_ATTR_MSG), if any.

    In an error the request's header, or all of it, precedes the attributes; at a dump's end not.
    """
    if not flags & NLM_F_ACK_TLVS:
        return ""
    offset = _INT.size if type_ == NLMSG_DONE else _INT.size + HEADER.size
    if type_ == NLMSG_ERROR and not flags & NLM_F_CAPPED:
        length = int.from_bytes(body[_INT.size : 2 * _INT.size], sys.byteorder)
        offset = _INT.size + ((length + 3) & ~3)
    words = attributes.by_number(body, offset).get(NLMSGERR_ATTR_MSG, b"")
    return words.rstrip(b"\0").decode("utf-8", "replace")


def _kernel_error(request: NetlinkRequest, code: int, words: str = "") -> KernelError:
    name = errno.errorcode.get(code, str(code))
    detail = f": {words}" if words else ""
    message = f"cannot {request.doing}: {name} ({os.strerror(code)}){detail}"
    return KernelError(message, code, said=words)
