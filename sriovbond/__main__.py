"""The entrance: a CNI plugin where CNI_COMMAND is set, the command line where it is not."""

import os
import sys


def main() -> int:
    """Serve the runtime or the person who called; return the exit status."""
    if "CNI_COMMAND" not in os.environ:
        from sriovbond.cli import main as command_line  # noqa: PLC0415 - a CNI call needs none of it

        return command_line()
    from sriovbond import cluster, dispatch  # noqa: PLC0415
    from sriovbond.cni.decoding import MAX_JSON_BYTES  # noqa: PLC0415
    from sriovbond.host import Host  # noqa: PLC0415

    # None where the caller has closed it
    given = sys.stdin.buffer.read(MAX_JSON_BYTES + 1) if sys.stdin else b""
    host = Host()
    answer = dispatch.answer(os.environ, given, host, cluster.asks(host))
    sys.stdout.write(answer.stdout)
    sys.stdout.flush()
    return answer.status


if __name__ == "__main__":
    sys.exit(main())
