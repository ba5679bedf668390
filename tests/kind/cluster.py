"""A kind cluster of one node: what is asked of it goes through its container."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NAME: Final = "sriovbond"
CONTAINER: Final = f"{NAME}-control-plane"
_KUBECTL: Final = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
_START: Final = "300s"


class FailedError(Exception):
    """A command failed, or a condition did not come true; the text says which."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """`kind` is the program; `enter` is the command that runs another in the node, as root."""

    kind: Path
    enter: tuple[str, ...] = ("docker", "exec", "--interactive", CONTAINER)

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the node; return its stdout. Raises FailedError."""
        return run(*self.enter, *command, stdin=stdin)

    def shell(self, line: str) -> str:
        """Run a line of shell in the node. Raises FailedError."""
        return self.run("sh", "-euc", line)

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, of the version that the node has. Raises FailedError."""
        return self.run(*_KUBECTL, *arguments, stdin=stdin)

    def get(self, *arguments: str) -> Any:  # noqa: ANN401 - an object of Kubernetes
        """Return an object, or a list of them."""
        return json.loads(self.kubectl("get", "--output=json", *arguments))

    def ip(self, arguments: str, netns: str = "") -> Any:  # noqa: ANN401 - what ip's JSON holds
        """Return what `ip -json` prints in the node, or in a network namespace of it by path."""
        inside = ("nsenter", f"--net={netns}") if netns else ()
        text = self.run(*inside, "ip", "-json", "-details", *arguments.split())
        return json.loads(text or "[]")

    def copy(self, file: Path, folder: str) -> None:
        """Copy a file into a folder of the node. Raises FailedError."""
        run("docker", "cp", str(file), f"{CONTAINER}:{folder}/")

    def load(self, archive: Path) -> None:
        """Import an image, so that no registry is asked for it. Raises FailedError."""
        run(str(self.kind), "load", "image-archive", str(archive), "--name", NAME)


@contextmanager
def a_cluster(kind: Path) -> Iterator[Cluster]:
    """Create a cluster, and delete it at the end. Raises FailedError."""
    run(str(kind), "create", "cluster", "--name", NAME, "--wait", _START)
    try:
        yield Cluster(kind)
    finally:
        run(str(kind), "delete", "cluster", "--name", NAME)


def run(*command: str, stdin: str = "") -> str:
    """Run a command on this machine; return its stdout. Raises FailedError."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise FailedError(f"{' '.join(command)}: status {done.returncode}: {words}")
    return done.stdout


def wait_for(what: str, is_true: Callable[[], bool], within_s: float) -> None:
    """Wait until it is true. Raises FailedError."""
    deadline = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > deadline:
            raise FailedError(f"{what}: not within {within_s:g} s")
        time.sleep(1)
