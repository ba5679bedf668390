"""Fixtures of the tests on a node of this machine: kubelet and containerd, and no bonding.

To be run in mount, network and process namespaces of their own, as tests.node does.
"""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.node import node, provision
from tests.node.api import Api
from tests.node.cluster import Cluster
from tests.node.control_plane import a_control_plane
from tests.node.credentials import SERVICE
from tests.node.device_plugin import DevicePlugin

FOLDER = Path(os.environ["SRIOVBOND_NODE"])
PROGRAMS = Path(os.environ["SRIOVBOND_NODE_PROGRAMS"])
PLUGINS = Path(os.environ["SRIOVBOND_PLUGINS"])
STATE = Path(os.environ["SRIOVBOND_NODE_STATE"])
"""Deleted by the starter: what pods have mounted there vanishes with the namespace."""
DEVICES = {
    "pf0": ("0000:01:10.0", "0000:01:10.2", "0000:01:10.4"),
    "pf1": ("0000:02:10.0", "0000:02:10.2", "0000:02:10.4"),
}
"""Devices that kubelet allocates; this machine has none of them."""
_PORT = 443
_BEGAN = time.monotonic()


def say(words: str) -> None:
    """Say how far it is."""
    os.write(2, f"node: {time.monotonic() - _BEGAN:4.0f} s on the node: {words}\n".encode())


@pytest.fixture(scope="session")
def bare() -> Iterator[Cluster]:
    """A node that is Ready, with an image to sleep in."""
    archive = STATE / "small.tar"
    provision.make_small_image(archive)
    node.make_machine(STATE, PROGRAMS, PLUGINS)
    with (
        a_control_plane(PROGRAMS, FOLDER, SERVICE, _PORT),
        node.a_node(node.Node(PROGRAMS, FOLDER), [node.STATE / archive.name], say) as made,
        closing(Api(FOLDER / "admin.kubeconfig", f"https://{SERVICE}")) as api,
    ):
        cluster = Cluster(api, made)
        cluster.await_node()
        say("the node is Ready")
        yield cluster


@pytest.fixture(scope="session")
def plugin(bare: Cluster) -> Iterator[DevicePlugin]:
    """Our device plugin, with a resource for each PF."""
    assert bare.node.running
    made = DevicePlugin(DEVICES)
    yield made
    made.close()
