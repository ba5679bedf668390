"""What the scenario asks of a cluster of one node; and kind's, asked through its container."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tests.kind.objects import Object, text
from tests.vm import pace

NAME: Final = "sriovbond"
CONTAINER: Final = f"{NAME}-control-plane"
_KUBECTL: Final = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf")
_START: Final = "300s"
_READY: Final = "180s"


class FailedError(Exception):
    """A command failed, or a condition did not come true; the text says which."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node: `enter` is the command that runs another in it, as root; without it, this machine."""

    enter: tuple[str, ...] = ()

    def run(self, *command: str, stdin: str = "") -> str:
        """Run a command in the node; return its stdout. Raises FailedError."""
        return run(*self.enter, *command, stdin=stdin)

    def shell(self, script: str) -> str:
        """Run lines of shell in the node. Raises FailedError."""
        return self.run("sh", "-euc", script)

    def run_in(self, netns: str, *command: str) -> str:
        """Run a command in a network namespace of the node, by its path. Raises FailedError."""
        return self.run("nsenter", f"--net={netns}", *command)

    def ip(self, arguments: str, netns: str = "") -> Any:  # noqa: ANN401 - what ip's JSON holds
        """Return what `ip -json` prints in the node, or in a network namespace of it by path."""
        command = ("ip", "-json", "-details", *arguments.split())
        printed = self.run_in(netns, *command) if netns else self.run(*command)
        return json.loads(printed or "[]")


class Cluster(Protocol):
    """A cluster of one node. What fails in it, or does not come, is an exception."""

    @property
    def node(self) -> Node:
        """The node."""

    def add_plugin(self, program: Path) -> None:
        """Put a CNI plugin among the node's."""

    def load(self, archive: Path) -> None:
        """Have the node know our image by its archive, so that no registry is asked for it."""

    def apply(self, objects: Sequence[Object]) -> None:
        """Create or change objects."""

    def await_daemon_set(self, name: str) -> None:
        """Wait until the pods of a DaemonSet of kube-system are the newest, and ready."""

    def await_ready(self, pod: str) -> None:
        """Wait until a pod of the namespace default is Ready."""

    def pod(self, name: str) -> Object:
        """Return a pod of the namespace default."""

    def delete_pod(self, name: str) -> None:
        """Delete a pod of the namespace default, and wait until the API has it no more."""

    def netns(self, pod: str) -> str:
        """Return the path of a pod's network namespace in the node."""


_CONTAINER: Final = Node(("docker", "exec", "--interactive", CONTAINER))


@dataclass(frozen=True, slots=True)
class KindCluster:
    """A cluster that kind made; `kind` is the program."""

    kind: Path
    node: Node = _CONTAINER

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl, of the version that the node has. Raises FailedError."""
        return self.node.run(*_KUBECTL, *arguments, stdin=stdin)

    def add_plugin(self, program: Path) -> None:
        """Put a CNI plugin among the node's."""
        run("docker", "cp", str(program), f"{CONTAINER}:/opt/cni/bin/")

    def load(self, archive: Path) -> None:
        """Import an image."""
        run(str(self.kind), "load", "image-archive", str(archive), "--name", NAME)

    def apply(self, objects: Sequence[Object]) -> None:
        """Create or change objects, by kubectl."""
        self.kubectl("apply", "--filename=-", stdin=text(objects))

    def await_daemon_set(self, name: str) -> None:
        """Wait until the pods of a DaemonSet of kube-system are the newest, and ready."""
        rollout = ("rollout", "status", f"daemonset/{name}", "--timeout=300s")
        self.kubectl("--namespace=kube-system", *rollout)

    def await_ready(self, pod: str) -> None:
        """Wait until a pod is Ready."""
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", f"--timeout={_READY}")

    def pod(self, name: str) -> Object:
        """Return a pod."""
        found: Object = json.loads(self.kubectl("get", "--output=json", f"pod/{name}"))
        return found

    def delete_pod(self, name: str) -> None:
        """Delete a pod, and wait until the API has it no more."""
        self.kubectl("delete", f"pod/{name}", "--timeout=120s")

    def netns(self, pod: str) -> str:
        """Return the path of a pod's network namespace, as the runtime tells it."""
        sandbox = self.node.run("crictl", "pods", "--quiet", "--latest", "--name", pod)
        return netns_of(self.node.run("crictl", "inspectp", "--output=json", sandbox.strip()))


def netns_of(sandbox: str) -> str:
    """Return the path of a sandbox' network namespace, as crictl's inspectp tells it."""
    namespaces = json.loads(sandbox)["info"]["runtimeSpec"]["linux"]["namespaces"]
    return str(next(each["path"] for each in namespaces if each["type"] == "network"))


@contextmanager
def a_cluster(kind: Path, logs: Path) -> Iterator[KindCluster]:
    """Create a cluster, and delete it at the end; what failed leaves its logs in a folder.

    Raises FailedError.
    """
    try:
        # what has not come up is retained for its logs
        run(str(kind), "create", "cluster", "--name", NAME, "--wait", _START, "--retain")
        yield KindCluster(kind)
    except Exception:
        with suppress(FailedError):
            run(str(kind), "export", "logs", str(logs), "--name", NAME)
            run("chmod", "-R", "a+rX", str(logs))  # they have the modes that they have in the node
        raise
    finally:
        run(str(kind), "delete", "cluster", "--name", NAME)


def run(*command: str, stdin: str = "") -> str:
    """Run a command on this machine; return its stdout. Raises FailedError."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip()
        raise FailedError(f"{' '.join(command)}: status {done.returncode}: {words}")
    return done.stdout


def wait_for(what: str, is_true: Callable[[], object], within_s: float) -> None:
    """Wait until it is true, longer on a slow machine. Raises FailedError."""
    limit_s = pace.stretched(within_s)
    deadline = time.monotonic() + limit_s
    while not is_true():
        if time.monotonic() > deadline:
            raise FailedError(f"{what}: not within {limit_s:.0f} s")
        time.sleep(1)
