"""`make test-kind`: pods with bonds over netdevsim's VFs and PFs, in a kind cluster.

`python -m tests.kind PROGRAMS PLUGINS`, by root, with docker and the modules bonding and netdevsim.
PROGRAMS has kind and Multus' manifest, PLUGINS the CNI plugins. Written for public CI's runners;
CONTRIBUTING.md tells how far it has been tried.
"""

import sys
from pathlib import Path
from typing import Final

from tests.kind.cluster import FailedError, KindCluster, a_cluster, run
from tests.kind.scenario import STEPS, Scene
from tests.node import provision

MANIFESTS: Final = Path("build/kind")


def main() -> int:
    """Run the steps; at the first that fails say what the cluster says, and return 1."""
    for module in ("bonding", "netdevsim"):
        run("modprobe", module)
    programs, plugins = map(Path, sys.argv[1:3])
    provision.render(MANIFESTS)
    multus, ours = programs / "multus-daemonset-thick.yml", MANIFESTS / "sriovbond.yaml"
    with a_cluster(programs / "kind") as cluster:
        scene = Scene(cluster, multus, ours, plugins)
        for words, step in STEPS:
            try:
                step(scene)
            except FailedError as error:
                _say(f"FAILED {words}: {error}", _tell(cluster))
                return 1
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
