"""What is applied to the cluster: Multus as it ships, this project as it ships, networks, a pod."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

MULTUS_IMAGE: Final = "ghcr.io/k8snetworkplumbingwg/multus-cni:v4.3.0-thick"
BOND: Final = "bond0"
Object = dict[str, Any]


def multus(manifest: Path) -> list[Object]:
    """Return Multus' own manifest; the image of its version stands in for its snapshot."""
    objects = [each for each in yaml.safe_load_all(manifest.read_text()) if each]
    for spec in _pod_specs(objects):
        for container in [*spec["containers"], *spec["initContainers"]]:
            container["image"] = MULTUS_IMAGE
    return objects


def _pod_specs(objects: list[Object]) -> list[Object]:
    daemon_sets = (each for each in objects if each["kind"] == "DaemonSet")
    return [daemon_set["spec"]["template"]["spec"] for daemon_set in daemon_sets]


def network(name: str, **plugin: object) -> Object:
    """Return a NetworkAttachmentDefinition of one plugin."""
    config: Mapping[str, object] = {"cniVersion": "1.0.0", "name": name, **plugin}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": json.dumps(config)},
    }


def networks(vfs: tuple[str, str]) -> list[Object]:
    """Return the networks that move two VFs of these names into a pod, and the bond over them."""
    links = [{"name": "net1"}, {"name": "net2"}]
    ipam = {"type": "host-local", "subnet": "198.51.100.0/24"}
    return [
        *(
            network(f"vf-{number}", type="host-device", device=vf)
            for number, vf in enumerate(vfs, 1)
        ),
        network("bond", type="sriovbond", links=links, miimon=100, ipam=ipam),
    ]


def host_network(name: str, *links: str) -> Object:
    """Return the network of a bond over links of the node, in a subnet of which it has .1."""
    ipam = {"type": "host-local", "subnet": "203.0.113.0/24", "rangeStart": "203.0.113.10"}
    over = {"links": [{"name": link} for link in links], "linksInContainer": False}
    return network(name, type="sriovbond", miimon=100, ipam=ipam, **over)


def pod(name: str, image: str, *networks: str) -> Object:
    """Return a pod that asks for these networks, the last of which is the bond's.

    It needs no image of its own.
    """
    *moved, bond = networks
    attached = [*({"name": network} for network in moved), {"name": bond, "interface": BOND}]
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["sleep", "infinity"],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "annotations": {"k8s.v1.cni.cncf.io/networks": json.dumps(attached)},
        },
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


def text(objects: Sequence[Object]) -> str:
    """Return them as kubectl reads them."""
    return yaml.safe_dump_all(objects)
