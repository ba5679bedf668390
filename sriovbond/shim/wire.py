"""The frames between shim and agent; standard library only.

A frame is 4 bytes of magic, the length of its body, its body; numbers are 4 bytes, big-endian.

    request body   length of the environment | environment: NAME=value NUL, CNI_* only | stdin
    answer body    exit status, 0 to 255 | stdout

The namespace's descriptor comes with a request's first byte (SCM_RIGHTS, none or one). A file of
the queue holds a request, and its name is its attachment's key. `shim.c` speaks the same;
`shim/build.py` gives it these numbers.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sriovbond.cni.decoding import MAX_JSON_BYTES

REQUEST_MAGIC: Final = b"SBq1"
ANSWER_MAGIC: Final = b"SBa1"
MAX_STDIN: Final = MAX_JSON_BYTES + 1  # one above the limit, so that a longer one is detected
MAX_ENVIRONMENT: Final = 1 << 20  # 128 KiB is the kernel's limit for one (MAX_ARG_STRLEN)
MAX_STDOUT: Final = 16 << 20  # a result of 4 MiB, JSON-escaped
MAX_QUEUED: Final = 4096
DEADLINE_S: Final = 90
"""How long the shim waits in all: an IPAM plugin may take 60 s, and kubelet waits 120 s."""

_HEAD: Final = struct.Struct(">4sI")
_NUMBER: Final = struct.Struct(">I")
HEAD_BYTES: Final = _HEAD.size
MAX_REQUEST: Final = _NUMBER.size + MAX_ENVIRONMENT + MAX_STDIN
MAX_ANSWER: Final = _NUMBER.size + MAX_STDOUT
_MAX_STATUS: Final = 255


class FrameError(Exception):
    """A malformed frame; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the runtime: its CNI_* variables and stdin."""

    environment: Mapping[str, str]
    stdin: bytes

    @property
    def size(self) -> int:
        """Approximate size in bytes."""
        return len(self.stdin) + sum(map(len, self.environment.values()))


def encode_request(request: Request) -> bytes:
    """Return the frame of a request."""
    pairs = (f"{name}={text}\0" for name, text in request.environment.items())
    environment = "".join(pairs).encode("utf-8", "surrogateescape")
    body = _NUMBER.pack(len(environment)) + environment + request.stdin
    return _HEAD.pack(REQUEST_MAGIC, len(body)) + body


def encode_answer(stdout: bytes, status: int) -> bytes:
    """Return the frame of an answer."""
    return _HEAD.pack(ANSWER_MAGIC, _NUMBER.size + len(stdout)) + _NUMBER.pack(status) + stdout


def request_length(head: bytes) -> int:
    """Return the length of the body after the HEAD_BYTES of a request. Raises FrameError."""
    return _length(head, REQUEST_MAGIC, MAX_REQUEST)


def answer_length(head: bytes) -> int:
    """Return the length of the body after the HEAD_BYTES of an answer. Raises FrameError."""
    return _length(head, ANSWER_MAGIC, MAX_ANSWER)


def decode_request(body: bytes) -> Request:
    """Decode a request's body. Raises FrameError."""
    (length,) = _NUMBER.unpack_from(body)
    stdin = body[_NUMBER.size + length :]
    if length > MAX_ENVIRONMENT or len(stdin) > MAX_STDIN or len(body) < _NUMBER.size + length:
        raise FrameError(f"an environment of {length} bytes in a body of {len(body)}")
    variables = body[_NUMBER.size : _NUMBER.size + length]
    if variables and not variables.endswith(b"\0"):
        raise FrameError("an environment that does not end with NUL")
    # os.environ decodes non-UTF-8 the same way
    text = variables.decode("utf-8", "surrogateescape")
    pairs = [pair.partition("=") for pair in text.split("\0")[:-1]]
    if any(not (name.startswith("CNI_") and sign) for name, sign, _ in pairs):
        raise FrameError("a variable that is no CNI_NAME=value")
    return Request({name: value for name, _, value in reversed(pairs)}, stdin)


def decode_answer(body: bytes) -> tuple[bytes, int]:
    """Return stdout and exit status of an answer's body. Raises FrameError."""
    (status,) = _NUMBER.unpack_from(body)
    if status > _MAX_STATUS:
        raise FrameError(f"an exit status of {status}")
    return body[_NUMBER.size :], status


def decode_frame(content: bytes) -> Request:
    """Decode a whole request frame, the content of a file in the queue. Raises FrameError."""
    if len(content) < HEAD_BYTES:
        raise FrameError(f"only {len(content)} bytes")
    length = request_length(content[:HEAD_BYTES])
    if length != len(content) - HEAD_BYTES:
        raise FrameError(f"{len(content) - HEAD_BYTES} bytes where {length} were announced")
    return decode_request(content[HEAD_BYTES:])


def _length(head: bytes, magic: bytes, most: int) -> int:
    start, length = _HEAD.unpack(head)
    if start != magic:
        raise FrameError(f"it begins with {start!r} and not with {magic!r}")
    if not _NUMBER.size <= length <= most:
        raise FrameError(f"a body of {length} bytes, where {_NUMBER.size} to {most} are taken")
    return int(length)
