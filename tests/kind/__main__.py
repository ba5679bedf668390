"""`make test-kind`: pods with bonds over netdevsim's VFs and PFs, in a kind cluster.

`python -m tests.kind PROGRAMS PLUGINS`, by root, with docker and the modules bonding and netdevsim.
PROGRAMS has kind and Multus' manifest, PLUGINS the CNI plugins. Written for public CI's runners;
CONTRIBUTING.md tells how far it has been tried.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from tests.kind.cluster import FailedError, KindCluster, a_cluster, run
from tests.kind.scenario import STEPS, Scene
from tests.node import provision

MANIFESTS: Final = Path("build/kind")
LOGS: Final = MANIFESTS / "logs"


def main() -> int:
    """Run the steps; at the first that fails say what the cluster says, and return 1."""
    programs, plugins = map(Path, sys.argv[1:3])
    shutil.rmtree(LOGS, ignore_errors=True)
    try:
        for module in ("bonding", "netdevsim"):
            run("modprobe", module)
        provision.render(MANIFESTS)
        multus, ours = programs / "multus-daemonset-thick.yml", MANIFESTS / "sriovbond.yaml"
        with a_cluster(programs / "kind", LOGS) as cluster:
            return _play(Scene(cluster, multus, ours, plugins), cluster)
    except FailedError as error:
        _say(f"FAILED {error}")
        return 1


def _play(scene: Scene, cluster: KindCluster) -> int:
    for words, step in STEPS:
        try:
            step(scene)
        except FailedError as error:
            _say(f"FAILED {words}", _tell(cluster))
            raise FailedError(f"{words}: {error}") from error
        _say(f"ok     {words}")
    return 0


def _tell(cluster: KindCluster) -> str:
    """Return what the cluster says: events, and the agent's log."""
    asked = (
        ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
        ("--namespace=kube-system", "logs", "daemonset/sriovbond-agent", "--tail=100"),
        ("--namespace=kube-system", "logs", "daemonset/kube-multus-ds", "--tail=100"),
    )
    texts = []
    for arguments in asked:
        try:
            texts.append(cluster.kubectl(*arguments))
        except FailedError as error:
            texts.append(str(error))
    return "\n".join(texts)


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
