"""The node that hostile input is judged in: folders of its own, and a secret outside of them."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sriovbond import log
from sriovbond.host import Host
from tests.fuzz.confined import confined
from tests.support import samples
from tests.support.node import Node

SECRET: Final = "s3cr3t-0f-a-tenant"  # noqa: S105 - nobody's
"""In each network configuration, where it is IPAM's: in no log and in no answer."""
OUTSIDE: Final = "c4nary-0utside"
"""In the file that no input may lead to."""
CONTAINER: Final = samples.SANDBOX.container_id
IFNAME: Final = "bond0"
KEY: Final = f"{CONTAINER}@{IFNAME}"
SECRETS: Final = (SECRET, OUTSIDE)
_MOST_LOGS: Final = 50
_OF_OTHERS: Final = frozenset({"ipam", "args"})


@dataclass(slots=True)
class Lines:
    """Takes the log's lines in place of stderr."""

    text: str = ""

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...


@dataclass(frozen=True, slots=True)
class World:
    """`inside` is the node, `outside` what is none of the plugin's."""

    inside: Path
    outside: Path
    lines: Lines = field(default_factory=Lines)

    @property
    def node(self) -> Node:
        return Node(self.inside)

    @property
    def host(self) -> Host:
        return Host(
            places=self.node.places,
            modules=self.inside / "modules",
            state=self.inside / "state",
            run=self.inside / "run",
            logs=self.inside / "logs",
            kubeconfig=self.inside / "kubeconfig",
            node_file=self.inside / "node.toml",
            lock_timeout_s=0,
            ipam_timeout_s=1,
            kubelet_timeout_s=0.1,
            dhcp_carrier_timeout_s=0,
        )

    @property
    def canary(self) -> Path:
        return self.outside / "canary"

    @contextmanager
    def judged(self, *readable: str, secrets: Sequence[str] = SECRETS) -> Iterator[None]:
        """Confine the block, and look at its log and at what is outside when it has ended."""
        self.lines.text = ""
        with log.written_by(self.lines), confined(self.inside, *readable):
            yield
        keep_secrets(self.lines.text, secrets)
        assert self.canary.read_text() == OUTSIDE
        assert [path.name for path in self.outside.iterdir()] == [self.canary.name]
        self._clear_logs(secrets)

    def _clear_logs(self, secrets: Sequence[str]) -> None:
        logs = list(self.host.logs.iterdir())
        for path in logs:
            if path.is_file() and not path.is_symlink():
                keep_secrets(path.read_text(errors="replace"), secrets)
        if len(logs) > _MOST_LOGS:
            self.plant_logs()

    def plant_logs(self) -> None:
        """Make the folder of logs anew: empty but for what leads outside."""
        shutil.rmtree(self.host.logs, ignore_errors=True)
        self.host.logs.mkdir()
        (self.host.logs / "leads-out").symlink_to(self.outside)
        (self.host.logs / "link.log").symlink_to(self.canary)


def keep_secrets(text: str, secrets: Sequence[str] = SECRETS) -> None:
    """Fail where a text has what it must not have."""
    assert not [secret for secret in secrets if secret in text], text


def secrets_of(network: bytes) -> Sequence[str]:
    """Return what an answer to this configuration must not have.

    A value of a key of ours may be quoted: where the input has the secret there, it is none.
    """
    try:
        pairs = json.loads(network, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return SECRETS
    is_object = isinstance(pairs, list) and all(isinstance(pair, tuple) for pair in pairs)
    own = [pair for pair in pairs if str(pair[0]).lower() not in _OF_OTHERS] if is_object else pairs
    is_quoted = SECRET in repr(own) or _has_key(pairs)
    return (OUTSIDE,) if is_quoted else SECRETS


def _has_key(pairs: object) -> bool:
    """Tell whether the secret is a key anywhere: names of keys are no secrets."""
    match pairs:
        case tuple():
            key, value = pairs
            return SECRET in key or _has_key(value)
        case list():
            return any(map(_has_key, pairs))
    return False


@contextmanager
def a_world() -> Iterator[World]:
    """Make a node with the files that a real one had while a pod with two VFs ran on it."""
    with tempfile.TemporaryDirectory(prefix="sriovbond-fuzz-") as name:
        world = World(Path(name, "inside"), Path(name, "outside"))
        shutil.copytree(samples.NODE.root, world.inside, symlinks=True)
        world.outside.mkdir()
        world.canary.write_text(OUTSIDE)
        for folder in (world.host.records, world.host.run):
            folder.mkdir(parents=True)
        world.plant_logs()
        yield world


def a_configuration(**changes: object) -> bytes:
    """Return a network configuration as a tenant may write it, with the secret in it."""
    return json.dumps(
        {
            "cniVersion": "1.1.0",
            "name": "bond-net",
            "type": "sriovbond",
            "mode": "active-backup",
            "miimon": 100,
            "failOverMac": "active",
            "links": [{"name": "net1", "prio": 5}, {"pci": "0000:01:10.0"}],
            "ipam": {"type": "static", "token": SECRET},
            "args": {"cni": {"password": SECRET}},
            **changes,
        }
    ).encode()
