"""The agent's facts about its socket's peer."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from sriovbond.shim import channel

_ASKER = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.recv(1)"


def test_a_caller_is_not_taken_for_younger_than_it_is(tmp_path: Path) -> None:
    late: list[float] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "sock"))
        listening.listen()
        for _ in range(10):
            asker = [sys.executable, "-I", "-S", "-c", _ASKER, str(tmp_path / "sock")]
            with subprocess.Popen(asker):
                executed_at = time.time()
                connection, _ = listening.accept()
                with connection:
                    began_at = channel.peer_began_at(connection)
            assert began_at
            late.append(began_at - executed_at)

    assert max(late) < 0  # attachments recorded since are not in its list
    assert min(late) > -1
