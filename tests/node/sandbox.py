"""A pod's sandbox as containerd makes one, and Multus' own shim called for it: no kubelet does."""

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sriovbond.cni.attachment import Attachment
from tests.node.cluster import RECORDS
from tests.node.node import PLUGINS

BOND: Final = "bond0"
SHIM: Final = PLUGINS / "multus-shim"
QUEUE: Final = RECORDS.parent / "queue"
LEASES: Final = Path("/var/lib/cni/networks")
DEFAULT: Final = "default"
"""The pods' default network, which is the bridge plugin's."""
_ANSWERS_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the shim answered; a signal that ended it is a negative status."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A network namespace that has the pod's name; `config` is what Multus' shim reads."""

    name: str
    uid: str
    config: Path

    @property
    def container_id(self) -> str:
        return hashlib.sha256(f"{self.name} {self.uid}".encode()).hexdigest()

    @property
    def netns(self) -> str:
        return f"/var/run/netns/{self.name}"

    @property
    def record(self) -> Path:
        """The record of the pod's bond."""
        return RECORDS / f"{Attachment(self.container_id, BOND).key}.json"

    def begin(self, command: str) -> subprocess.Popen[str]:
        """Start the shim for ADD or DEL."""
        with self.config.open("rb") as config:
            return subprocess.Popen(
                [SHIM],
                env=self._variables(command),
                stdin=config,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def call(self, command: str) -> Answer:
        """Call the shim."""
        return finish(self.begin(command))

    def _variables(self, command: str) -> Mapping[str, str]:
        pod = {"NAMESPACE": "default", "NAME": self.name, "INFRA_CONTAINER_ID": self.container_id}
        known = ";".join(f"K8S_POD_{key}={value}" for key, value in pod.items())
        return {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;{known};K8S_POD_UID={self.uid}",
            "CNI_PATH": str(PLUGINS),
            "PATH": os.environ["PATH"],
        }

    def ip(self, *lines: str) -> None:
        """Run lines of `ip` in the namespace, as the pod's root."""
        for line in lines:
            command = ["ip", "-n", self.name, *line.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"

    def links(self) -> dict[str, dict[str, Any]]:
        """Return the links in the namespace with their addresses, by name."""
        command = ["ip", "-n", self.name, "-json", "-details", "addr", "show"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {link["ifname"]: link for link in json.loads(done.stdout)}

    def left(self) -> list[Path]:
        """Return the records, queued DELs and leases that the node has of the pod's bond."""
        files = [*RECORDS.glob("*"), *QUEUE.glob("*")]
        own = [path for path in files if self.container_id in path.name]
        return own + [path for path in self.leases() if path.parent.name != DEFAULT]

    def leases(self) -> list[Path]:
        """Return host-local's leases for the pod, of whichever network."""
        leases = []
        for path in LEASES.glob("*/[0-9]*"):
            with suppress(FileNotFoundError):  # IPAM releases leases at any moment
                leases += [path] if self.container_id in path.read_text() else []
        return leases


def finish(process: "subprocess.Popen[str]") -> Answer:
    """Return the answer of a shim that was started."""
    try:
        stdout, stderr = process.communicate(timeout=_ANSWERS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Answer(process.returncode, stdout or stderr)


def write_config(source: Path, target: Path) -> None:
    """Write Multus' configuration as a runtime hands it to the shim: of a list, its one plugin."""
    config = json.loads(source.read_text())
    if "plugins" in config:
        (plugin,) = config["plugins"]
        config = {"name": config["name"], "cniVersion": config["cniVersion"], **plugin}
    target.write_text(json.dumps(config))
