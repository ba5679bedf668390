"""The entry point: a CNI plugin if CNI_COMMAND is set, else the command line."""

import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sriovbond.dispatch import Agency, Answer

_INTERRUPTED = 130  # 128 and SIGINT, as in shells
_UNHEARD = 1


def main() -> int:
    """Serve the runtime or the command line; return the exit status."""
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
    agency = _as_old_as_this_process() if os.environ["CNI_COMMAND"] == "GC" else dispatch.Agency()
    return _hand_over(dispatch.answer(os.environ, stdin, host, cluster.asks(host), agency))


def _as_old_as_this_process() -> "Agency":
    """Return the caller of a GC, whose list was made before this process began."""
    import time  # noqa: PLC0415 - see above

    from sriovbond.cni.request import Caller  # noqa: PLC0415
    from sriovbond.dispatch import Agency  # noqa: PLC0415
    from sriovbond.shim import channel  # noqa: PLC0415

    return Agency(caller=Caller(channel.began_at("self") or time.time()))


def _read(most: int) -> bytes:
    """Return stdin, up to `most` bytes; empty when it is closed or cannot be read."""
    try:
        return sys.stdin.buffer.read(most) if sys.stdin else b""
    except OSError:
        return b""


def _hand_over(answer: "Answer") -> int:
    """Write the answer, and return its status; an error's when stdout could not be written."""
    rest = answer.stdout.encode()
    if rest and not sys.stdout:
        return _unheard("stdout is closed")
    try:
        while rest:  # not through sys.stdout, which would retry when the process ends
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
