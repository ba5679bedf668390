"""Health queries to the running agent; imports little, because probes run often."""

import json
import socket
from typing import Final

from sriovbond.agent.report.address import Address
from sriovbond.agent.settings import Settings
from sriovbond.cni.versions import CURRENT_VERSION, Command
from sriovbond.errors import MachineError
from sriovbond.shim import channel
from sriovbond.shim.wire import FrameError, Request

_MOST_BYTES: Final = 1 << 16
_CONFIG: Final = {"cniVersion": CURRENT_VERSION, "name": "check", "type": "sriovbond"}


def ask_status(settings: Settings) -> tuple[str, int]:
    """Send STATUS as a runtime does; return stdout and exit status.

    Raises MachineError when no agent answers.
    """
    request = Request({"CNI_COMMAND": Command.STATUS}, json.dumps(_CONFIG).encode())
    try:
        stdout, status = channel.call(settings.socket, request, settings.read_timeout_s)
    except (FrameError, OSError) as error:
        raise MachineError(f"no agent answers at {str(settings.socket)!r}: {error}") from error
    return stdout.decode(), status


def ask_alive(settings: Settings) -> tuple[str, int]:
    """Query the liveness probe as kubelet does; return its text, and exit status 0 or 1.

    Raises MachineError when no agent answers.
    """
    address = settings.probes_address
    if address is None:
        return ask_status(settings)[0], 0
    try:
        with _connecting(address, settings.read_timeout_s) as connection:
            connection.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            answer = _answer(connection)
    except OSError as error:
        raise MachineError(f"no agent answers at {str(address)!r}: {error}") from error
    head, _, body = answer.partition(b"\r\n\r\n")
    return body.decode(errors="replace"), int(b" 200 " not in head)


def _answer(connection: socket.socket) -> bytes:
    """Return the response, bounded: another program on the port may send more than an agent."""
    answer = b""
    while piece := connection.recv(_MOST_BYTES):
        answer += piece
        if len(answer) > _MOST_BYTES:
            raise OSError("its answer does not end")
    return answer


def _connecting(address: Address, timeout_s: float) -> socket.socket:
    if address.host:
        return socket.create_connection((address.host, address.port), timeout_s)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    connection.connect(str(address.path))
    return connection
