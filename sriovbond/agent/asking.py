"""Asks the running agent how it is; imports little, for a probe asks again and again."""

import json
from typing import Final

from sriovbond.agent import channel
from sriovbond.agent.settings import Settings
from sriovbond.agent.wire import FrameError, Request
from sriovbond.cni.versions import CURRENT_VERSION, Command
from sriovbond.errors import MachineError

_CONFIG: Final = {"cniVersion": CURRENT_VERSION, "name": "check", "type": "sriovbond"}


def ask_status(settings: Settings) -> tuple[str, int]:
    """Ask for STATUS as a runtime does; return stdout and exit status.

    Raises MachineError where no agent answers.
    """
    request = Request({"CNI_COMMAND": Command.STATUS}, json.dumps(_CONFIG).encode())
    try:
        stdout, status = channel.call(settings.socket, request, settings.read_timeout_s)
    except (FrameError, OSError) as error:
        raise MachineError(f"no agent answers at {str(settings.socket)!r}: {error}") from error
    return stdout.decode(), status
