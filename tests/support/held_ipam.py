"""A scripted IPAM plugin that blocks for as long as a test wants, and calls of it by the shim."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.shims import Shim

IPAM = """#!/bin/sh
cat >/dev/null
echo "$CNI_COMMAND $CNI_CONTAINERID start" >>{folder}/calls
while [ -e {folder}/hold-$CNI_CONTAINERID ]; do sleep 0.02; done
echo "$CNI_COMMAND $CNI_CONTAINERID end" >>{folder}/calls
[ ! -e {folder}/fail ]
"""


def stdin(**keys: object) -> bytes:
    config = {"cniVersion": "1.1.0", "name": "net", "type": "sriovbond", **keys}
    return json.dumps(config).encode()


def kept(shim: Shim) -> list[str]:
    """Return the keys of the records, here those of unreleased addresses."""
    return sorted(path.name for path in (shim.state / "records").glob("*.json"))


def code_of(done: subprocess.CompletedProcess[bytes]) -> int:
    assert done.returncode == 1, done
    return int(json.loads(done.stdout)["code"])


class Ipam:
    """A scripted IPAM plugin that blocks for as long as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = stdin(ipam={"type": "scripted"})
        program = folder / "scripted"
        program.write_text(IPAM.format(folder=folder))
        program.chmod(0o755)

    def calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @contextmanager
    def held(self, container: str) -> Iterator[None]:
        """Let the plugin block for this container during the block."""
        (self.folder / f"hold-{container}").touch()
        yield
        (self.folder / f"hold-{container}").unlink()

    def delete(
        self, shim: Shim, container: str, network: str = "net"
    ) -> subprocess.CompletedProcess[bytes]:
        return self.call(shim, "DEL", container, network)

    def call(
        self,
        shim: Shim,
        command: str,
        container: str,
        network: str = "net",
        **overrides: str | None,
    ) -> subprocess.CompletedProcess[bytes]:
        config = stdin(name=network, ipam={"type": "scripted"})
        path = str(self.folder)
        return shim.run(command, config, (), CNI_CONTAINERID=container, CNI_PATH=path, **overrides)

    def collect(
        self, shim: Shim, container: str, network: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Have the network's IPAM collect what nothing uses; it blocks as for that container."""
        config = stdin(name=network, ipam={"type": "scripted"}, **{"cni.dev/valid-attachments": []})
        path = str(self.folder)
        return shim.run("GC", config, (), CNI_CONTAINERID=container, CNI_PATH=path)
