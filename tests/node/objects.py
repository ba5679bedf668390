"""What is applied to the cluster: networks, pods, Multus and this project."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.kind import objects as shipped
from tests.node import provision

Object = dict[str, Any]
NETWORKS: Final = "k8s.v1.cni.cncf.io/networks"
STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
RESOURCE: Final = "k8s.v1.cni.cncf.io/resourceName"
EMULATED_CPU: Final = 20
"""An emulated CPU is so much slower; CPU limits go by it, no memory limit does."""
DOMAIN: Final = "example.com"


def multus(manifest: Path, *, is_emulated: bool) -> list[Object]:
    """Return Multus' own manifest, of its image's version, fit for the machine."""
    objects = shipped.multus(manifest)
    return fitted(objects) if is_emulated else objects


def ours(folder: Path, *, is_emulated: bool) -> list[Object]:
    """Return settings, and our manifests as provision.render wrote them, fit for the machine."""
    text = (folder / "sriovbond.yaml").read_text()
    objects = [each for each in yaml.safe_load_all(text) if each]
    made = fitted(objects) if is_emulated else objects
    return [settings(is_emulated=is_emulated), *made]


def fitted(objects: Sequence[Object]) -> list[Object]:
    """Return objects whose DaemonSets an emulated CPU can run.

    Their CPU limits go by it, and they may take longer to start; memory limits and other probes are
    as shipped.
    """
    made = copy.deepcopy(list(objects))
    for container in _containers(made):
        limits = container.get("resources", {}).get("limits", {})
        if "cpu" in limits:
            limits["cpu"] = f"{int(limits['cpu'].removesuffix('m')) * EMULATED_CPU}m"
        if "startupProbe" in container:
            container["startupProbe"]["failureThreshold"] *= EMULATED_CPU
    return made


def settings(*, is_emulated: bool) -> Object:
    """Return our agent's settings: Events, and for an emulated kubelet more time to answer."""
    lines = ["kubernetes_events = true", *(["kubelet_timeout_s = 30.0"] if is_emulated else [])]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sriovbond-agent", "namespace": "kube-system"},
        "data": {"agent.toml": "\n".join(lines)},
    }


def _containers(objects: list[Object]) -> list[Object]:
    """Return the containers of DaemonSets, without their init containers."""
    found = []
    for each in objects:
        if each["kind"] == "DaemonSet":
            found += each["spec"]["template"]["spec"]["containers"]
    return found


def vf_network(name: str, resource: str, mover: str = "host-device", **settings: str) -> Object:
    """Return a network whose pods get a VF of the resource; Multus names the device."""
    made = shipped.network(name, type=mover, **settings)
    made["metadata"]["annotations"] = {RESOURCE: f"{DOMAIN}/{resource}"}
    return made


def bond_network(name: str, **config: object) -> Object:
    """Return a network of our plugin; from 1.1.0 on its result has the MTU."""
    return shipped.network(name, cniVersion="1.1.0", type="sriovbond", **config)


def network(name: str, config: Object) -> Object:
    """Return a network of a configuration as it is written."""
    made = shipped.network(name)
    made["spec"]["config"] = json.dumps(config)
    return made


def pod(name: str, networks: str, **resources: int) -> Object:
    """Return a pod with an annotation of networks, and so many devices of each resource."""
    amounts = {f"{DOMAIN}/{resource}": str(count) for resource, count in resources.items()}
    container = {
        "name": "main",
        "image": provision.SMALL,
        "imagePullPolicy": "Never",
        "command": ["/bin/busybox", "sleep", "1000000"],
        "resources": {"limits": amounts, "requests": amounts},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "annotations": {NETWORKS: networks}},
        "spec": {
            # with 0 the API forgets the pod before kubelet has ended it
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "dnsPolicy": "Default",  # there is no DNS in the cluster
            "containers": [container],
        },
    }


def deployment(name: str, replicas: int, networks: str, **resources: int) -> Object:
    """Return a Deployment of such pods, of which it replaces one after the other."""
    template = pod(name, networks, **resources)
    labels = {"app": name}
    template["metadata"] = {"labels": labels, "annotations": template["metadata"]["annotations"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": {"metadata": template["metadata"], "spec": template["spec"]},
        },
    }


def network_status(pod: Object) -> list[Object]:
    """Return what Multus has written of a pod's networks."""
    annotations = pod["metadata"].get("annotations", {})
    status: list[Object] = json.loads(annotations.get(STATUS, "[]"))
    return status
