"""What a node holds for bonds: files of ours, leases, namespaces and their numbers in the host."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support import ipams
from tests.support.shims import Shim


@dataclass(frozen=True, slots=True)
class Node:
    """Counts that are the same before a bond and after it."""

    records: int
    locks: int
    queued: int
    leases: int
    nsids: int
    namespaces: int
    """As the kernel's allocator counts them: only nearly right."""


def node(shim: Shim) -> Node:
    return Node(
        records=_files(shim.state / "records"),
        locks=len(list((shim.home / "run").glob("*@*"))),
        queued=_files(shim.queue),
        leases=len(ipams.leases(shim.home)),
        nsids=_nsids(),
        namespaces=_namespaces(),
    )


def _files(folder: Path) -> int:
    return len(list(folder.iterdir())) if folder.exists() else 0


def _nsids() -> int:
    done = subprocess.run(["ip", "-j", "netns", "list-id"], capture_output=True, check=True)
    return len(json.loads(done.stdout or b"[]"))


def _namespaces() -> int:
    lines = Path("/proc/slabinfo").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("net_namespace ")), 0)
