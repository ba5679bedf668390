"""Fixtures of the tests that need the control plane and no node."""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from tests.node.api import Api
from tests.node.control_plane import ControlPlane

FOLDER = Path(os.environ["SRIOVBOND_NODE"])
PROGRAMS = Path(os.environ["SRIOVBOND_NODE_PROGRAMS"])
_DEFINITIONS = "customresourcedefinition/network-attachment-definitions.k8s.cni.cncf.io"


@pytest.fixture(scope="session")
def plane() -> ControlPlane:
    server = json.loads((FOLDER / "admin.kubeconfig").read_text())["clusters"][0]["cluster"]
    return ControlPlane(PROGRAMS, FOLDER, int(server["server"].rpartition(":")[2]))


@pytest.fixture(scope="session")
def api(plane: ControlPlane) -> Iterator[Api]:
    """The API by the administrator's token."""
    server = f"https://127.0.0.1:{plane.port}"
    with closing(Api(plane.folder / "admin.kubeconfig", server)) as api:
        yield api


@pytest.fixture(scope="session")
def networking(plane: ControlPlane) -> ControlPlane:
    """The control plane, with NetworkAttachmentDefinitions as Multus' manifest defines them."""
    manifest = yaml.safe_load_all((PROGRAMS / "multus-daemonset-thick.yml").read_text())
    (definition,) = (each for each in manifest if each["kind"] == "CustomResourceDefinition")
    plane.kubectl("apply", "--filename=-", stdin=yaml.safe_dump(definition))
    plane.kubectl("wait", "--for=condition=Established", _DEFINITIONS, "--timeout=50s")
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=50s")
    return plane


@pytest.fixture
def paper_node(api: Api) -> Iterator[str]:
    """A node that has VFs and is Ready, as far as the API knows."""
    path = "/api/v1/nodes/paper"
    api.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "paper"}})
    amounts = {"cpu": "2", "memory": "2Gi", "pods": "10", "example.com/pf0": "2"}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ready = {"type": "Ready", "status": "True", "lastHeartbeatTime": now, "reason": "Paper"}
    status = {"capacity": amounts, "allocatable": amounts, "conditions": [ready]}
    api.patch(f"{path}/status", {"status": status})
    yield "paper"
    api.delete(path)
