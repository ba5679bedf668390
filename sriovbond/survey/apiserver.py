"""Where the node's own kubelet, or we, ask for the Kubernetes API."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import yaml

from sriovbond import ownfiles
from sriovbond.host import Host

_OF_KUBELET: Final = (
    "etc/kubernetes/kubelet.conf",  # kubeadm
    "var/lib/kubelet/kubeconfig",  # OpenShift, EKS
    "var/lib/rancher/rke2/agent/kubelet.kubeconfig",
    "var/lib/rancher/k3s/agent/kubelet.kubeconfig",
)
_MOST_BYTES: Final = 1 << 20
_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server: its name or address, and its port."""

    name: str
    port: int


def find(host: Host) -> tuple[ApiServer, ...]:
    """Return the API servers that kubeconfigs of root alone name, each once.

    One on the node itself is left out: it answers without a network.
    """
    files = (*(host.root / path for path in _OF_KUBELET), host.kubeconfig)
    return tuple(dict.fromkeys(server for file in files for server in _servers(file)))


def _servers(file: Path) -> Iterator[ApiServer]:
    with suppress(Exception):  # a tag may raise anything, and no change and no boot may end by it
        for row in yaml.safe_load(ownfiles.read(file, _MOST_BYTES))["clusters"]:
            url = urlsplit(row["cluster"]["server"])
            if url.hostname and not _is_local(url.hostname):
                yield ApiServer(url.hostname, url.port or _HTTPS)


def _is_local(name: str) -> bool:
    with suppress(ValueError):
        return ip_address(name).is_loopback
    return name == "localhost"
