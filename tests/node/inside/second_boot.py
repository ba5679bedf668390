"""After QEMU was killed with a pod on the node, and the node booted anew with its disk."""

from typing import Final

from tests.node import cluster as clusters
from tests.node import objects
from tests.node.cluster import Cluster, RunningPod
from tests.node.inside import plugin
from tests.node.processes import FailedError

NAME: Final = "rebooted"
TWO_VFS: Final = "vf0, vf1, rebooted@bond0"
NETWORK: Final = objects.bond_network(
    NAME, miimon=100, ipam={"type": "host-local", "ranges": [[{"subnet": "198.51.100.0/24"}]]}
)
COMES_BACK_S: Final = 900.0


def pods_here(cluster: Cluster) -> list[RunningPod]:
    """Return the pods that are Ready and have a process on this machine as it booted now."""
    names = (pod["metadata"]["name"] for pod in cluster.pods())
    found = []
    for name in names:
        try:
            found += [RunningPod(cluster.pod(name))] if cluster.is_ready(name) else []
        except FailedError:
            continue  # the API still tells of the time before
    return found


def test_the_pod_has_its_bond_again_and_nothing_is_left_of_the_time_before(
    cluster: Cluster,
) -> None:
    plugin.await_ready(cluster)

    cluster.await_true("the pod runs again", lambda: pods_here(cluster), COMES_BACK_S)
    (pod,) = pods_here(cluster)

    addresses = [each["local"] for each in pod.links()["bond0"]["addr_info"]]
    (entry,) = pod.entries("bond0")
    assert sorted(pod.members()) == ["net1", "net2"]
    assert entry["ips"][0] in addresses
    lease = f"{NAME}/{entry['ips'][0]}"
    cluster.await_true("only what is the pod's is left", lambda: _is_left(lease), clusters.GONE_S)


def _is_left(lease: str) -> bool:
    """Return whether one record and this lease alone are left.

    Where kubelet begins before the device plugin it refuses the former pod, and its Deployment
    makes another: kubelet ends the former one's sandbox up to a minute after that is Ready.
    """
    left = clusters.left_behind()
    return len(left["records"]) == 1 and left["leases"] == [lease]


def test_it_is_deleted_as_every_pod_is(cluster: Cluster) -> None:
    cluster.api.delete(f"/apis/apps/v1/namespaces/default/deployments/{NAME}")

    cluster.await_true("no pod is left", lambda: not cluster.pods(), clusters.GONE_S)
    nothing: dict[str, list[str]] = {"records": [], "leases": []}
    cluster.await_true("nothing is left", lambda: clusters.left_behind() == nothing, 120)
