"""The control plane answers, and accepts the manifests that we ship; natively, in seconds."""

import json
from pathlib import Path

import pytest
import yaml

from tests.docs_tables import CHECKOUT
from tests.node import objects, provision
from tests.node.api import Api
from tests.node.control_plane import ControlPlane
from tests.node.processes import await_true


def test_it_is_ready_and_of_the_version_that_is_pinned(plane: ControlPlane) -> None:
    versions = json.loads(plane.kubectl("version", "--output=json"))

    pinned = Path("tests/node/tools/go.mod").read_text()
    version = versions["serverVersion"]["gitVersion"]
    assert f"k8s.io/kubernetes {version}\n" in pinned
    assert versions["clientVersion"]["gitVersion"] == version


def test_a_pods_service_account_is_made_for_each_namespace(plane: ControlPlane) -> None:
    plane.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=50s")

    authority = plane.kubectl("get", "configmap/kube-root-ca.crt", "--output=json")

    assert json.loads(authority)["data"]["ca.crt"] == (plane.folder / "ca.crt").read_text()


@pytest.fixture(scope="session")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our manifests and overlays, rendered as for a release."""
    files = provision.render(tmp_path_factory.mktemp("manifests"))
    return {file.stem: file for file in files}


def names() -> list[str]:
    overlays = (CHECKOUT / "overlays").iterdir()
    return ["sriovbond", *sorted(f"sriovbond-{overlay.name}" for overlay in overlays)]


@pytest.mark.parametrize("name", names())
def test_the_api_server_accepts_our_manifests(
    plane: ControlPlane, manifests: dict[str, Path], name: str
) -> None:
    documents = [each for each in yaml.safe_load_all(manifests[name].read_text()) if each]
    missing = {each["metadata"].get("namespace", "") for each in documents} - {"", "kube-system"}
    for namespace in missing:  # a dry run creates none, and the operator's own is not ours
        text = json.dumps(
            {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": namespace}}
        )
        plane.kubectl("apply", "--filename=-", stdin=text)

    dry_run = ("apply", "--dry-run=server", "--warnings-as-errors")
    accepted = plane.kubectl(*dry_run, f"--filename={manifests[name]}")

    assert len(accepted.splitlines()) == len(documents)


@pytest.mark.parametrize("name", ["multus-daemonset.yml", "multus-daemonset-thick.yml"])
def test_the_api_server_accepts_multus_as_it_ships(plane: ControlPlane, name: str) -> None:
    made = objects.multus(plane.programs / name, is_emulated=True)

    dry_run = ("apply", "--dry-run=server", "--filename=-")
    accepted = plane.kubectl(*dry_run, stdin=yaml.safe_dump_all(made))

    assert len(accepted.splitlines()) == len(made)


def test_a_deployments_pods_are_made_and_bound_to_the_node_that_has_vfs(
    api: Api, paper_node: str
) -> None:
    pods = "/api/v1/namespaces/default/pods"
    api.apply(objects.deployment("bound", 3, "vf0", pf0=1))

    def bound_to() -> list[str]:
        return [pod["spec"].get("nodeName", "") for pod in api.get(pods)["items"]]

    await_true("two of three pods have a VF", lambda: bound_to().count(paper_node) == 2, 60)
    assert sorted(bound_to()) == ["", paper_node, paper_node]

    def none_left() -> bool:
        left = api.get(pods)["items"]
        # the ReplicaSet is deleted after its Deployment, and may make a pod meanwhile
        for pod in left:
            api.delete(f"{pods}/{pod['metadata']['name']}", gracePeriodSeconds=0)
        return not left

    api.delete("/apis/apps/v1/namespaces/default/deployments/bound")
    await_true("all are gone", none_left, 60)
