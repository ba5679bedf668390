"""The versions that a node ran with, as its programs say them: kept in a file, shown as a table.

`python -m tests.node.tried` takes those of the last `make test-node NODE=vm` into the docs.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypedDict

from tests.node.cluster import Cluster
from tests.node.credentials import NODE

FILE: Final = Path("tried.json")
"""In the folder of the node's logs."""
PUBLISHED: Final = Path("docs/node.json")
_DAEMON_SET: Final = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-multus-ds"


class Tried(TypedDict):
    """The day of a run, and the versions in it."""

    day: str
    linux: str
    kubernetes: str
    kubelet: str
    containerd: str
    runc: str
    multus: str


Runs = Mapping[str, Tried]
"""By how Multus ran: thick or thin."""


def look(cluster: Cluster, day: str) -> Tried:
    """Ask the programs of a node that runs."""
    node = cluster.api.get(f"/api/v1/nodes/{NODE}")["status"]["nodeInfo"]
    containerd = node["containerRuntimeVersion"].removeprefix("containerd://")
    multus = cluster.api.get(_DAEMON_SET)["spec"]["template"]["spec"]["containers"][0]["image"]
    runc = subprocess.run(["runc", "--version"], capture_output=True, text=True, check=True)
    return Tried(
        day=day,
        linux=node["kernelVersion"],
        kubernetes=cluster.api.get("/version")["gitVersion"].removeprefix("v"),
        kubelet=node["kubeletVersion"].removeprefix("v"),
        containerd=containerd.partition("+")[0],  # then the commit, which the proxy does not say
        runc=runc.stdout.split()[2],
        multus=multus.rpartition(":v")[2].removesuffix("-thick"),
    )


def read(path: Path) -> Runs:
    """Return the runs of a file."""
    runs: Runs = json.loads(path.read_text(encoding="utf-8"))
    return runs


def write(path: Path, runs: Runs) -> None:
    """Write them."""
    path.write_text(json.dumps(runs, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def table(runs: Runs) -> str:
    """Return a row for each program, and a column for each run."""
    head = [f"Multus {kind}" for kind in runs]
    lines = [f"| | {' | '.join(head)} |", f"|---|{'---|' * len(head)}"]
    return "\n".join([*lines, *_rows(runs)])


def _rows(runs: Runs) -> Iterator[str]:
    names = {
        "linux": "Linux of the node",
        "kubernetes": "API server, scheduler, controllers",
        "kubelet": "kubelet",
        "containerd": "containerd",
        "runc": "runc",
        "multus": "Multus",
        "day": "the day of the run",
    }
    for key, name in names.items():
        cells = (str(dict(run)[key]) for run in runs.values())
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> int:
    """Take the last run into the docs; its rows replace those of an earlier one of its kind."""
    before = read(PUBLISHED) if PUBLISHED.exists() else {}
    write(PUBLISHED, {**before, **read(Path("build/node") / FILE)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
