"""Writes the node's files about pods with VFs: plain data in, files out."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from deviceinfo import Places, PodRef, Sandbox


@dataclass(frozen=True, slots=True)
class Node:
    """Paths below the folder that is the node's root."""

    root: Path

    @property
    def places(self) -> Places:
        """The paths for the sources; sysfs stays the machine's own."""
        return Places(
            pod_resources=self.root / "var/lib/kubelet/pod-resources/kubelet.sock",
            checkpoint=self.checkpoint,
            device_info=self.devinfo_cni.parent,
            multus=self.multus,
            results=(self.multus_results, self.results),
            sriov_cni=self.sriov_cni,
        )

    @property
    def checkpoint(self) -> Path:
        return self.root / "var/lib/kubelet/device-plugins/kubelet_internal_checkpoint"

    @property
    def devinfo_cni(self) -> Path:
        return self.root / "var/run/k8s.cni.cncf.io/devinfo/cni"

    @property
    def devinfo_dp(self) -> Path:
        return self.root / "var/run/k8s.cni.cncf.io/devinfo/dp"

    @property
    def multus(self) -> Path:
        return self.root / "var/lib/cni/multus"

    @property
    def multus_results(self) -> Path:
        return self.root / "var/lib/cni/multus/results"

    @property
    def results(self) -> Path:
        return self.root / "var/lib/cni/results"

    @property
    def sriov_cni(self) -> Path:
        return self.root / "var/lib/cni/sriov"


@dataclass(frozen=True, slots=True)
class Vf:
    """A pod's VF: of a resource, by a network of the pod's namespace."""

    address: str
    resource: str = "intel.com/pf0"
    network: str = "sriov-a"
    numa_node: int = -1

    @property
    def mac(self) -> str:
        return "02:" + sha256(self.address.encode()).digest()[:5].hex(":")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: `eth0`, then its VFs as net1, net2 ... and, where it has any, `bond0` over them."""

    name: str
    vfs: tuple[Vf, ...] = ()
    namespace: str = "default"

    @property
    def sandbox(self) -> Sandbox:
        digest = sha256(f"{self.namespace}/{self.name}".encode()).hexdigest()
        uid = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
        ref = PodRef(self.namespace, self.name, uid)
        return Sandbox(ref, digest, f"/var/run/netns/cni-{uid}")


def some_pods(pods: int, vfs: int) -> list[Pod]:
    """Return pods, the first ones with a VF of each of two PFs, up to that number of VFs."""
    pairs = [
        (
            Vf(f"0000:3b:{2 + pair // 8:02x}.{pair % 8}", "intel.com/pf0", "sriov-a", 0),
            Vf(f"0000:5e:{2 + pair // 8:02x}.{pair % 8}", "intel.com/pf1", "sriov-b", 1),
        )
        for pair in range(vfs // 2)
    ]
    return [Pod(f"app-{at}", pairs[at] if at < len(pairs) else ()) for at in range(pods)]


def a_node(root: Path, pods: Sequence[Pod]) -> Node:
    """Write all files of these pods."""
    node = Node(root)
    _write(node.checkpoint, _checkpoint(pods))
    for pod in pods:
        delegates = [_delegate(network) for network in _networks(pod)]
        _write(node.multus / pod.sandbox.container_id, delegates)
        for network in _networks(pod):
            _write_network(node, network)
        _write_runtimes_result(node, pod)
    return node


@dataclass(frozen=True, slots=True)
class _Network:
    pod: Pod
    name: str
    ifname: str
    config: Mapping[str, object]
    vf: Vf | None = None

    @property
    def full_name(self) -> str:
        return self.name if self.ifname == "eth0" else f"{self.pod.namespace}/{self.name}"

    @property
    def devinfo_name(self) -> str:
        return f"{self.full_name}-{self.pod.sandbox.container_id}_{self.ifname}".replace("/", "-")


def _networks(pod: Pod) -> Iterator[_Network]:
    bridge = {"type": "bridge", "bridge": "cni0", "ipam": {"type": "host-local"}}
    yield _Network(pod, "default", "eth0", {"name": "default", "plugins": [bridge]})
    for number, vf in enumerate(pod.vfs, start=1):
        device_keys = {"deviceID": vf.address, "pciBusID": vf.address}
        config = {
            "type": "sriov",
            "name": vf.network,
            "trust": "on",
            "spoofchk": "off",
            **device_keys,
        }
        yield _Network(pod, vf.network, f"net{number}", config, vf)
    if pod.vfs:
        yield _Network(pod, "bond", "bond0", {"type": "sriovbond", "name": "bond"})


def _write_network(node: Node, network: _Network) -> None:
    container_id, vf = network.pod.sandbox.container_id, network.vf
    name = f"{network.name}-{container_id}-{network.ifname}"
    capability = None
    if vf is not None:
        resource = vf.resource.replace("/", "-")
        info = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": vf.address}}
        _write(node.devinfo_dp / f"{resource}-{vf.address}-device.json", info)
        _write(node.devinfo_cni / network.devinfo_name, info)
        _write(node.sriov_cni / f"{container_id}-{network.ifname}", _sriov_cni(network.config, vf))
        _write_text(node.sriov_cni / "pci" / vf.address, network.pod.sandbox.netns)
        file = f"/var/run/k8s.cni.cncf.io/devinfo/cni/{network.devinfo_name}"
        capability = {"CNIDeviceInfoFile": file, "deviceID": vf.address}
    mac = vf.mac if vf else "02:00:00:00:00:01"
    _write(node.multus_results / name, _result(network, mac, capability))


def _write_runtimes_result(node: Node, pod: Pod) -> None:
    for name, ifname in (("cni-loopback", "lo"), ("multus-cni-network", "eth0")):
        network = _Network(pod, name, ifname, {"name": name, "plugins": [{"type": "x"}]})
        annotations = {"k8s.v1.cni.cncf.io/networks": "sriov-a, sriov-b, bond@bond0" * 20}
        capability = {"io.kubernetes.cri.pod-annotations": annotations}
        file = node.results / f"{name}-{pod.sandbox.container_id}-{ifname}"
        _write(file, _result(network, "02:00:00:00:00:01", capability))


def _checkpoint(pods: Sequence[Pod]) -> object:
    entries = [
        {
            "PodUID": pod.sandbox.pod.uid,
            "ContainerName": "app",
            "ResourceName": vf.resource,
            "DeviceIDs": {str(vf.numa_node): [vf.address]},
            "AllocResp": base64.b64encode(f"PCIDEVICE={vf.address}".encode() * 5).decode(),
        }
        for pod in pods
        for vf in pod.vfs
    ]
    registered: dict[str, list[str]] = {}
    for vf in (vf for pod in pods for vf in pod.vfs):
        registered.setdefault(vf.resource, []).append(vf.address)
    data = {"PodDeviceEntries": entries, "RegisteredDevices": registered}
    return {"Data": data, "Checksum": 1}


def _delegate(network: _Network) -> object:
    extra: dict[str, object] = {}
    if network.vf:
        extra = {"deviceID": network.vf.address, "resourceName": network.vf.resource}
    if network.ifname == "bond0":
        extra = {"ifnameRequest": "bond0"}
    return {
        "Conf": {"cniVersion": "1.0.0", "name": network.name, "type": network.config.get("type")},
        "ConfList": {},
        "Name": network.full_name,
        "IsFilterV4Gateway": False,
        "IsFilterV6Gateway": False,
        "Bytes": _packed(network.config),
        **extra,
    }


def _result(network: _Network, mac: str, capability: object) -> object:
    sandbox = network.pod.sandbox
    interfaces = [
        {"name": "veth0", "mac": mac},
        {"name": network.ifname, "mac": mac, "mtu": 1500, "sandbox": sandbox.netns},
    ]
    return {
        "kind": "cniCacheV1",
        "containerId": sandbox.container_id,
        "config": _packed(network.config),
        "ifName": network.ifname,
        "networkName": network.name,
        "netns": sandbox.netns,
        "cniArgs": [
            ["IgnoreUnknown", "true"],
            ["K8S_POD_NAMESPACE", sandbox.pod.namespace],
            ["K8S_POD_NAME", sandbox.pod.name],
            ["K8S_POD_INFRA_CONTAINER_ID", sandbox.container_id],
            ["K8S_POD_UID", sandbox.pod.uid],
        ],
        **({"capabilityArgs": capability} if capability else {}),
        "result": {"cniVersion": "1.0.0", "interfaces": interfaces},
    }


def _sriov_cni(config: Mapping[str, object], vf: Vf) -> object:
    before = {"AdminMAC": "00:00:00:00:00:00", "EffectiveMAC": vf.mac, "HostIFName": "vf0"}
    return {**config, "MAC": "", "Master": "pf0", "VFID": 0, "OrigVfState": before}


def _packed(config: object) -> str:
    return base64.b64encode(json.dumps(config).encode()).decode()


def _write(file: Path, content: object) -> None:
    _write_text(file, json.dumps(content, separators=(",", ":")))


def _write_text(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
