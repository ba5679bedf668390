"""The entrance: a CNI plugin where CNI_COMMAND is set, the command line where it is not."""

import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sriovbond.dispatch import Answer

_INTERRUPTED = 130  # 128 and SIGINT, as shells have it
_UNHEARD = 1


def main() -> int:
    """Serve the runtime or the person who called; return the exit status."""
    if "CNI_COMMAND" not in os.environ:
        from sriovbond.cli import main as command_line  # noqa: PLC0415 - a CNI call needs none of it

        return command_line()
    try:
        return _serve()
    except KeyboardInterrupt:
        return _INTERRUPTED


def _serve() -> int:
    from sriovbond import cluster, dispatch  # noqa: PLC0415 - see above
    from sriovbond.cni.decoding import MAX_JSON_BYTES  # noqa: PLC0415
    from sriovbond.host import Host  # noqa: PLC0415

    host = Host()
    stdin = _read(MAX_JSON_BYTES + 1)
    return _hand_over(dispatch.answer(os.environ, stdin, host, cluster.asks(host)))


def _read(most: int) -> bytes:
    """Return what stands on stdin; nothing where the caller has closed it, or it cannot be read."""
    try:
        return sys.stdin.buffer.read(most) if sys.stdin else b""
    except OSError:
        return b""


def _hand_over(answer: "Answer") -> int:
    """Write the answer, and return its status; an error where nobody took what there was to say."""
    rest = answer.stdout.encode()
    if rest and not sys.stdout:
        return _unheard("stdout is closed")
    try:
        while rest:  # not through sys.stdout, which would try once more when the process ends
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    except OSError as error:
        return _unheard(error.strerror or "it cannot be written")
    return answer.status


def _unheard(why: str) -> int:
    from sriovbond import log  # noqa: PLC0415 - see above

    command = os.environ["CNI_COMMAND"]
    log.event(logging.ERROR, f"the answer could not be written: {why}", command=command)
    return _UNHEARD


if __name__ == "__main__":
    sys.exit(main())
