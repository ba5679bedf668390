"""A netlink socket whose dumps a test writes: more objects than any rig has."""

from collections.abc import Mapping, Sequence
from typing import Any

from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Netlink

_AT_ONCE = 100
_MULTI = 2  # NLM_F_MULTI
_NEW_OF_GET = 2  # RTM_GETLINK is answered by RTM_NEWLINK, which is 2 less


class Dumps(Netlink):
    """Answers each dump with the bodies for the type of its request, some at once as the kernel.

    `flags` are those of the messages about links, beside NLM_F_MULTI.
    """

    def __init__(self, bodies: Mapping[int, Sequence[bytes]], flags: int = 0) -> None:
        socket: Any = _Socket(bodies, flags)
        self._socket = socket
        self._sequence = 0
        self._buffer = bytearray(1 << 18)


class _Socket:
    def __init__(self, bodies: Mapping[int, Sequence[bytes]], flags: int) -> None:
        self._bodies = bodies
        self._flags = flags
        self._answers: list[bytes] = []

    def send(self, request: bytes) -> None:
        _, type_, _, sequence, _ = nl.HEADER.unpack_from(request)
        flags = _MULTI | (self._flags if type_ == nl.RTM_GETLINK else 0)
        answers = [(type_ - _NEW_OF_GET, body) for body in self._bodies[type_]]
        self._answers = [
            nl.HEADER.pack(nl.HEADER.size + len(body), kind, flags, sequence, 0) + body
            for kind, body in (*answers, (nl.NLMSG_DONE, bytes(4)))
        ]

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[int, int]]:
        first, self._answers = self._answers[:_AT_ONCE], self._answers[_AT_ONCE:]
        data = b"".join(first)
        memoryview(buffer)[: len(data)] = data
        return len(data), (0, 0)
