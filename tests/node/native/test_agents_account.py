"""The account of our manifests at a real API server: what the agent needs, and no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deviceinfo import PodRef
from sriovbond import cluster
from sriovbond.cluster.source import ask_api
from sriovbond.host import Host
from tests.docs_tables import CHECKOUT
from tests.node.api import Api
from tests.node.control_plane import ControlPlane
from tests.node.processes import FailedError, await_true
from tests.support.watched import a_happening

NODE = "node-1"
ACCOUNT = "system:serviceaccount:kube-system:sriovbond"
EXAMPLE = CHECKOUT / "manifests" / "nfv-pod.yaml"


@pytest.fixture
def host(networking: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A node whose agent has the account of rbac.yaml, as it is mounted into its pod."""
    networking.kubectl("apply", f"--filename={CHECKOUT / 'manifests' / 'rbac.yaml'}")
    token = networking.kubectl("create", "token", "sriovbond", "--namespace=kube-system")
    (tmp_path / "token").write_text(token)
    (tmp_path / "ca.crt").write_bytes((networking.folder / "ca.crt").read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(networking.port))
    return Host(kubeconfig=tmp_path / "none", service_account=tmp_path, logs=tmp_path)


@pytest.fixture
def pod(networking: ControlPlane, api: Api) -> Iterator[dict[str, Any]]:
    """The example of a pod with two VFs and a bond, which no node can run here."""
    networking.kubectl("apply", f"--filename={EXAMPLE}")
    yield api.get("/api/v1/namespaces/default/pods/nf1")
    networking.kubectl("delete", "--grace-period=0", "--force", f"--filename={EXAMPLE}")


def test_the_account_reads_a_pod_and_its_networks(host: Host, pod: dict[str, Any]) -> None:
    ref = PodRef("default", "nf1", pod["metadata"]["uid"])

    reading = ask_api(host, timeout_s=30)(ref)

    assert reading.problems == ()
    assert [(each.network, each.plugin) for each in reading.networks] == [
        ("default/sriov-a", "sriov"),
        ("default/sriov-b", "sriov"),
        ("default/bond-net", "sriovbond"),
    ]


def test_a_happening_becomes_an_event_that_counts(
    host: Host, api: Api, pod: dict[str, Any]
) -> None:
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    query = {"fieldSelector": f"regarding.name={pod['metadata']['name']}"}

    def ours() -> list[dict[str, Any]]:
        items = api.get(path, **query)["items"]
        return [each for each in items if each["reason"] == "BondFailover"]

    sink = cluster.sink(host, NODE)
    sink(a_happening())
    await_true("the Event is written", ours, 60)
    sink(a_happening())
    assert sink.close(60)

    (event,) = ours()
    assert event["type"] == "Warning"
    assert event["reportingInstance"] == NODE
    assert event["series"]["count"] == 2
    assert sink.lost == 0


@pytest.mark.parametrize(
    ("verb", "resource"),
    [
        ("list", "pods"),
        ("patch", "pods"),
        ("delete", "pods"),
        ("get", "secrets"),
        ("get", "events.events.k8s.io"),
        ("list", "network-attachment-definitions.k8s.cni.cncf.io"),
        ("create", "pods/exec"),
    ],
)
def test_the_account_may_do_nothing_else(
    host: Host, plane: ControlPlane, verb: str, resource: str
) -> None:
    assert host.service_account
    asked = ("auth", "can-i", verb, resource, f"--as={ACCOUNT}", "--namespace=default")

    with pytest.raises(FailedError):
        plane.kubectl(*asked)
