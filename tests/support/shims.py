"""The real shim, built with a test's paths, and servers with scripted answers."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sriovbond.shim import build, channel

DEADLINE_MS = 240_000  # many calls at once, on a VM that shares its cores
WITHIN_S = 120.0
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - thousands of files
Script = Callable[[socket.socket], object]


@dataclass(frozen=True, slots=True)
class Shim:
    """A shim and the folder of its sockets and queue; its namespace is `/no/such/netns`."""

    program: Path
    home: Path

    @property
    def socket(self) -> Path:
        return self.home / "agent.sock"

    @property
    def state(self) -> Path:
        return self.home / "state"

    @property
    def queue(self) -> Path:
        return self.state / "queue"

    def run(
        self,
        command: str,
        stdin: bytes = b"{}",
        prefix: Sequence[str] = (),
        **environment: Any,  # noqa: ANN401 - a text, or None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the shim as a runtime does; a variable that is None is not set."""
        return subprocess.run(
            [*prefix, self.program],
            input=stdin,
            env=variables(command, **environment),
            capture_output=True,
            check=False,
            timeout=2 * WITHIN_S,
        )

    def queued(self) -> list[Path]:
        return sorted(self.queue.iterdir()) if self.queue.exists() else []

    def clear(self) -> None:
        """Remove the files of earlier tests."""
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.unlink(missing_ok=True)
        self.socket.unlink(missing_ok=True)
        shutil.rmtree(self.home / "run", ignore_errors=True)


def variables(command: str, **environment: str | None) -> dict[str, str]:
    """Return the environment of a call; a variable that is None is not set."""
    env_vars = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": "pod1",
        "CNI_NETNS": "/no/such/netns",
        "CNI_IFNAME": "bond0",
        "CNI_PATH": "/no/such/folder",
        **environment,
    }
    return {name: value for name, value in env_vars.items() if value is not None}


def defines(home: Path, *, owner: int | None = None, deadline_ms: int = DEADLINE_MS) -> list[str]:
    """Return the compiler options that set the shim's paths to `home`."""
    return [
        f'-DSHIM_SOCKET="{home}/agent.sock"',
        f'-DSHIM_STATE="{home}/state"',
        f"-DSHIM_OWNER={os.geteuid() if owner is None else owner}",
        f"-DSHIM_DEADLINE_MS={deadline_ms}",
        "-DSHIM_CONNECT_MS=300",
    ]


@contextmanager
def a_shim(*flags: str, compiler: str = "", **bounds: int) -> Iterator[Shim]:
    """Build a shim for a temporary home; a socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="shim-", dir=MEMORY) as folder:
        home = Path(folder)
        options = [*build.FLAGS, *defines(home, **bounds), *flags]
        yield Shim(build.build(home / "shim", compiler, options), home)


@contextmanager
def a_server(path: Path, script: Script) -> Iterator[None]:
    """Serve each connection to `path` by `script`, which may also do nothing, or hang up."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=_serve, args=(listening, script))
        thread.start()
        try:
            yield
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            path.unlink(missing_ok=True)


def _serve(listening: socket.socket, script: Script) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        with connection:
            try:
                script(connection)
            except (BrokenPipeError, ConnectionResetError):
                continue  # the client has disconnected


def answering(stdout: bytes, status: int = 0) -> Script:
    """Return a script that answers as an agent does."""

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S):
            channel.send_answer(connection, stdout, status, WITHIN_S)

    return script


def sending(content: bytes, *, hangs_up: bool = True) -> Script:
    """Return a script that reads the request and sends any bytes."""

    def script(connection: socket.socket) -> None:
        with channel.received(connection, WITHIN_S):
            connection.sendall(content)
        if not hangs_up:
            connection.recv(1)

    return script
