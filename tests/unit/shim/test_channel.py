"""The agent's facts about its socket's peer."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sriovbond.shim import channel, wire
from sriovbond.shim.wire import FrameError, Request
from tests.support.descriptors import no_more_open_files

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


def test_a_namespace_that_could_not_be_received_is_an_error() -> None:
    frame = wire.encode_request(Request({"CNI_COMMAND": "ADD"}, b"{}"))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        socket.send_fds(theirs, [frame], [theirs.fileno()])
        with (
            no_more_open_files(),
            pytest.raises(FrameError) as raised,
            channel.received(ours, 1.0),
        ):
            pass

    assert "too many open files" in str(raised.value)
