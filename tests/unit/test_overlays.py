"""Each overlay is the DaemonSet with its distribution's folders, and with RBAC."""

import copy
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sriovbond.agent import settings
from tests.support import kustomize
from tests.support.kustomize import CHECKOUT, Manifest

BASE = CHECKOUT / "manifests"
OVERLAYS = CHECKOUT / "overlays"
INSTALL = (CHECKOUT / "docs/install.md").read_text(encoding="utf-8")
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KUBELET = "/var/snap/microk8s/common/var/lib/kubelet"
# Folders of the node at other paths; the sources are named in each overlay.
FOLDERS = {
    "k3s": {"cni-bin": "/var/lib/rancher/k3s/data/cni"},
    "microk8s": {
        "cni-bin": "/var/snap/microk8s/current/opt/cni/bin",
        "pod-resources": f"{KUBELET}/pod-resources",
        "device-plugins": f"{KUBELET}/device-plugins",
    },
    "openshift": {"cni-bin": "/var/lib/cni/bin"},
    "rke2": {},
    "talos": {"netns": "/var/run/netns", "device-info": "/var/run/k8s.cni.cncf.io"},
}
SETTINGS = {
    "openshift": {"SRIOVBOND_AGENT_SRIOV_OPERATOR_NAMESPACE": "openshift-sriov-network-operator"}
}
# Their kubelet is a container with these folders of the node, and can check no other.
KUBELET_SEES = {"talos": ("/", "/lib/modules", "/var/lib/kubelet", "/var/log")}
CLUSTER_WIDE = {"ClusterRole", "ClusterRoleBinding", "Namespace"}
each_overlay = pytest.mark.parametrize("name", FOLDERS)


@cache
def built(folder: Path) -> list[Manifest]:
    return kustomize.build(folder)


def of_kind(name: str, *kinds: str) -> list[Manifest]:
    return [item for item in built(OVERLAYS / name) if item["kind"] in kinds]


def pod_of(items: list[Manifest]) -> dict[str, Any]:
    """Return the DaemonSet's pod, its volumes and its variables by name."""
    [daemon_set] = [item for item in items if item["kind"] == "DaemonSet"]
    spec: dict[str, Any] = copy.deepcopy(daemon_set["spec"]["template"]["spec"])
    spec["volumes"] = {volume["name"]: volume for volume in spec["volumes"]}
    [container] = spec["containers"]
    container["env"] = {variable["name"]: variable for variable in container["env"]}
    return spec


def namespace_of(name: str) -> str:
    [daemon_set] = of_kind(name, "DaemonSet")
    return str(daemon_set["metadata"]["namespace"])


def identity(item: Manifest) -> tuple[str, str, str]:
    metadata = item["metadata"]
    return item["kind"], metadata.get("namespace", ""), metadata["name"]


def test_each_overlay_is_known_here() -> None:
    assert {path.name for path in OVERLAYS.iterdir()} == set(FOLDERS)


def test_the_base_renders_the_two_manifests() -> None:
    files = [BASE / "rbac.yaml", BASE / "daemonset.yaml"]

    plain = [item for file in files for item in yaml.safe_load_all(file.read_text())]

    assert sorted(built(BASE), key=identity) == sorted(plain, key=identity)


@each_overlay
def test_only_the_node_s_folders_differ_and_are_in_the_same_places(name: str) -> None:
    expected = pod_of(built(BASE))
    for key, path in FOLDERS[name].items():
        expected["volumes"][key]["hostPath"]["path"] = path
    for setting, text in SETTINGS.get(name, {}).items():
        expected["containers"][0]["env"][setting] = {"name": setting, "value": text}
    for volume in expected["volumes"].values():
        if "hostPath" in volume and not is_seen(name, volume["hostPath"]["path"]):
            volume["hostPath"]["type"] = ""

    assert pod_of(built(OVERLAYS / name)) == expected


def is_seen(name: str, path: str) -> bool:
    """Return whether the distribution's kubelet has access to the folder."""
    seen = [Path(folder) for folder in KUBELET_SEES.get(name, ())]
    return not seen or Path(path) in seen or Path(path).parent in seen[1:]


@pytest.mark.parametrize("volume", ["cni-bin", "pod-resources", "device-plugins"])
def test_a_folder_that_a_distribution_has_elsewhere_is_not_made(volume: str) -> None:
    path = pod_of(built(BASE))["volumes"][volume]["hostPath"]

    assert path["type"] == "Directory"


@each_overlay
def test_all_is_in_one_namespace_that_is_there(name: str) -> None:
    items = built(OVERLAYS / name)
    made = {item["metadata"]["name"] for item in of_kind(name, "Namespace")}

    spaces = {item["metadata"]["namespace"] for item in items if item["kind"] not in CLUSTER_WIDE}

    assert spaces == {namespace_of(name)}
    assert spaces <= {"kube-system", *made}
    assert len({identity(item) for item in items}) == len(items)


@each_overlay
def test_each_right_is_that_of_the_account_that_the_pod_has(name: str) -> None:
    account = {
        "kind": "ServiceAccount",
        "name": pod_of(built(OVERLAYS / name))["serviceAccountName"],
        "namespace": namespace_of(name),
    }
    roles = {item["metadata"]["name"] for item in of_kind(name, "ClusterRole")}

    bindings = of_kind(name, "ClusterRoleBinding", "RoleBinding")

    assert ("ServiceAccount", account["namespace"], account["name"]) in {
        identity(item) for item in built(OVERLAYS / name)
    }
    assert [binding["subjects"] for binding in bindings] == [[account]] * len(bindings)
    bound = {binding["roleRef"]["name"] for binding in bindings}
    assert bound - {"system:openshift:scc:privileged"} == roles


def test_openshift_s_operator_is_seen_with_the_same_rights_where_the_agent_looks() -> None:
    role, binding = yaml.safe_load_all((OVERLAYS / "openshift/sriov-operator.yaml").read_text())
    plain, _ = yaml.safe_load_all((BASE / "rbac-sriov-operator.yaml").read_text())
    pod = pod_of(built(OVERLAYS / "openshift"))
    variables = {key: entry.get("value") for key, entry in pod["containers"][0]["env"].items()}
    environ = {key: text for key, text in variables.items() if text}

    looks_in = settings.load(environ=environ).sriov_operator_namespace

    assert {item["metadata"]["namespace"] for item in (role, binding)} == {looks_in}
    assert role["rules"] == plain["rules"]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    account = {"name": pod["serviceAccountName"], "namespace": namespace_of("openshift")}
    assert binding["subjects"] == [{"kind": "ServiceAccount", **account}]


def test_openshift_admits_privileged_pods_there() -> None:
    [namespace] = of_kind("openshift", "Namespace")
    [binding] = of_kind("openshift", "RoleBinding")

    labels = namespace["metadata"]["labels"]
    assert namespace["metadata"]["name"] not in {"default", "kube-system", "openshift"}
    for what in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{what}"] == "privileged"
    assert binding["roleRef"]["kind"] == "ClusterRole"
    assert binding["roleRef"]["name"] == "system:openshift:scc:privileged"


@each_overlay
def test_its_command_is_in_the_readme(name: str) -> None:
    assert f"kubectl apply --kustomize overlays/{name}\n" in INSTALL


def test_the_overlay_of_one_s_own_in_the_readme_names_another_registry(tmp_path: Path) -> None:
    [example] = [text for text in YAML.findall(INSTALL) if "kind: Kustomization" in text]
    (tmp_path / "kustomization.yaml").write_text(example)
    for folder in (BASE, OVERLAYS):
        shutil.copytree(folder, tmp_path / folder.name)

    [container] = pod_of(kustomize.build(tmp_path))["containers"]

    assert container["image"] == "registry.internal/net/sriovbond:0.1.0"
