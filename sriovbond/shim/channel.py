"""One exchange over the agent's socket: a request with its netns descriptor, and its answer."""

import array
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sriovbond.shim import wire
from sriovbond.shim.wire import FrameError, Request

_UCRED: Final = struct.Struct("3i")
_FLAGS: Final = socket.MSG_CMSG_CLOEXEC  # socket.recv_fds does not pass it
_AT_ONCE: Final = _FLAGS | socket.MSG_DONTWAIT
_CHUNK_BYTES: Final = 1 << 14
_CONTROL_BYTES: Final = socket.CMSG_SPACE(64)


@dataclass(frozen=True, slots=True)
class Received:
    """A received request; `netns` is the descriptor of the pod's namespace, if sent."""

    request: Request
    netns: int | None


def peer_began_at(connection: socket.socket) -> float | None:
    """Return when the peer process was started, as `began_at`."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return began_at(str(_UCRED.unpack(credentials)[0]))


def began_at(process: str) -> float | None:
    """Return when a process was started, by its name in /proc, in seconds since the epoch.

    Up to some hundredths of a second too early, so that what was written later counts as later.
    None when it cannot be read: the process has ended, or is in another PID namespace.
    """
    try:
        fields = Path("/proc", process, "stat").read_bytes()
    except OSError:
        return None
    # proc(5): starttime, field 22, rounded down; files' times are those of the last jiffy
    ticks = int(fields.rpartition(b")")[2].split()[19]) - 1
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return time.time() - age_s


def peer_uid(connection: socket.socket) -> int:
    """Return the user id of the peer process."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(credentials)[1])


@contextmanager
def received(connection: socket.socket, timeout_s: float) -> Iterator[Received]:
    """Receive a request; on exit close every descriptor that came with it.

    Raises FrameError for a malformed request, OSError (TimeoutError too) when receiving fails.
    """
    descriptors: list[int] = []
    deadline = time.monotonic() + timeout_s
    try:
        body = _body(connection, wire.request_length, deadline, descriptors)
        if len(descriptors) > 1:
            raise FrameError(f"{len(descriptors)} descriptors")
        yield Received(wire.decode_request(body), next(iter(descriptors), None))
    finally:
        for descriptor in descriptors:
            with suppress(OSError):
                os.close(descriptor)


def has_gone(connection: socket.socket) -> bool:
    """Return whether the peer, which waits for its answer, has closed the connection."""
    try:
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def send_answer(connection: socket.socket, stdout: bytes, status: int, timeout_s: float) -> None:
    """Send the answer. Raises OSError when the peer does not receive it."""
    frame, sent = wire.encode_answer(stdout, status), 0
    with suppress(BlockingIOError):
        sent = connection.send(frame, socket.MSG_DONTWAIT)
    if sent < len(frame):
        connection.settimeout(timeout_s)
        connection.sendall(memoryview(frame)[sent:])


def call(path: Path, request: Request, timeout_s: float) -> tuple[bytes, int]:
    """Call the agent at `path` as the shim does; return stdout and exit status.

    Raises FrameError, OSError.
    """
    deadline = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(path))
        connection.sendall(wire.encode_request(request))
        return wire.decode_answer(_body(connection, wire.answer_length, deadline, []))


def _body(
    connection: socket.socket,
    length_of: Callable[[bytes], int],
    deadline: float,
    descriptors: list[int],
) -> bytes:
    """Receive one frame and return its body; `length_of` parses the length from its head."""
    content = bytearray()
    whole = wire.HEAD_BYTES
    while len(content) < whole:
        content += _some(connection, deadline, descriptors, len(content))
        if whole == wire.HEAD_BYTES <= len(content):
            whole += length_of(bytes(content[: wire.HEAD_BYTES]))
    if len(content) > whole:
        raise FrameError(f"{len(content) - whole} bytes more than were announced")
    return bytes(content[wire.HEAD_BYTES :])


def _some(connection: socket.socket, deadline: float, descriptors: list[int], so_far: int) -> bytes:
    try:  # most are complete by now; setting a timeout costs two calls
        chunk, control, flags, _ = connection.recvmsg(_CHUNK_BYTES, _CONTROL_BYTES, _AT_ONCE)
    except BlockingIOError:
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("it did not come in time") from None
        connection.settimeout(left_s)
        chunk, control, flags, _ = connection.recvmsg(_CHUNK_BYTES, _CONTROL_BYTES, _FLAGS)
        connection.settimeout(None)
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
            descriptors += numbers
    if flags & socket.MSG_CTRUNC:
        raise FrameError("its descriptors were not received: this process has too many open files")
    if not chunk:
        raise FrameError(f"it ended after {so_far} bytes")
    return chunk
