"""Before the node loses its power: a pod with a bond, which is not deleted."""

import os

from tests.node import objects
from tests.node.cluster import Cluster
from tests.node.inside.second_boot import NAME, NETWORK, TWO_VFS


def test_a_deployment_has_a_pod_with_a_bond(cluster: Cluster) -> None:
    cluster.api.apply(NETWORK, objects.deployment(NAME, 1, TWO_VFS, pf0=1, pf1=1))

    cluster.await_deployment(NAME, 1)
    os.sync()  # host-local and Multus do not flush what they write (docs/limits.md)
