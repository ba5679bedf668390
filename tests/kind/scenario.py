"""What is done in a cluster with netdevsim's NICs: its steps, the same in kind and in the VM.

VFs of netdevsim carry no frames. Its PFs do where `link_device` has linked two of them (Linux 6.9).
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.kind import objects
from tests.kind.cluster import Cluster, FailedError, Node, wait_for
from tests.kind.objects import BOND
from tests.node import provision

POD: Final = "bonded"
WIRED: Final = "wired"
NICS: Final = (10, 11)
"""NICs with a VF each."""
PEERS: Final = {12: 14, 13: 15}
"""NICs whose PFs a pod gets, and those that their frames arrive at."""
FAR: Final = "far"
"""The bridge of the node that is beyond the linked PFs."""
FAR_ADDRESS: Final = "203.0.113.1"
KUBELETS_PORT: Final = 10250
_BUS: Final = "/sys/bus/netdevsim"
_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
_BONDED_S: Final = 180.0
_MONITORED_S: Final = 30.0
_REPAIR_S: Final = 120.0
"""The agent takes a VF back that has rested for 30 s."""
_GONE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Scene:
    """The cluster, and what is installed in it: manifests of Multus and of ours, CNI plugins."""

    cluster: Cluster
    multus: Path
    ours: Path
    plugins: Path

    def bonded(self, pod: str = POD) -> "Bonded":
        """Return a pod that has a bond."""
        return Bonded(self.cluster.node, self.cluster.netns(pod))


@dataclass(frozen=True, slots=True)
class Bonded:
    """A pod with a bond, by its network namespace, seen from the node."""

    node: Node
    netns: str

    def links(self) -> dict[str, Any]:
        """Return the pod's links by their names."""
        return {link["ifname"]: link for link in self.node.ip("link show", self.netns)}

    def members(self) -> list[str]:
        """Return the names of the bond's members that are up."""
        return [name for name, link in self.links().items() if is_member_up(link)]

    def active(self) -> str:
        """Return the name of the active member."""
        return str(self.links()[BOND]["linkinfo"]["info_data"].get("active_slave", ""))

    def await_members(self, count: int, within_s: float = _MONITORED_S) -> None:
        """Wait until so many members are up."""
        wait_for(f"{count} members are up", lambda: len(self.members()) == count, within_s)

    def await_failover(self, before: str) -> None:
        """Wait until another member than this one is active."""
        wait_for(
            "another member is active", lambda: self.active() not in {"", before}, _MONITORED_S
        )


def is_member_up(link: dict[str, Any]) -> bool:
    """Tell whether a link, as ip shows it, is a bond's member that the bond takes for up."""
    info = link.get("linkinfo", {})
    state = info.get("info_slave_data", {}).get("mii_status")
    return (info.get("info_slave_kind"), state) == ("bond", "UP")


def install_multus(scene: Scene) -> None:
    for plugin in ("host-device", "host-local"):
        scene.cluster.add_plugin(scene.plugins / plugin)
    scene.cluster.apply(objects.multus(scene.multus))
    scene.cluster.await_daemon_set("kube-multus-ds")
    # it has no probe: it is ready before it has looked for the default network
    configured = "find /etc/cni/net.d -name '00-multus.conf*'"
    wait_for("Multus is the node's plugin", lambda: scene.cluster.node.shell(configured), _BONDED_S)


def install_ours(scene: Scene) -> None:
    scene.cluster.load(provision.ARCHIVE)
    scene.cluster.apply([each for each in yaml.safe_load_all(scene.ours.read_text()) if each])
    scene.cluster.await_daemon_set("sriovbond-agent")


def make_nics(node: Node) -> None:
    # systemd in a container wants /sys read-only, so kind's node has it so
    node.shell("mount -o remount,rw /sys")
    for number in NICS:
        node.shell(f"echo '{number} 1' > {_BUS}/new_device")
        make_vf(node, number)


def make_vf(node: Node, number: int) -> None:
    """Make a VF of a NIC, with a netdev."""
    node.shell(f"echo 1 > {_BUS}/devices/netdevsim{number}/sriov_numvfs")
    node.shell(f"devlink dev eswitch set netdevsim/netdevsim{number} mode switchdev")
    _name_netdev(node, number, "pf0vf0")


def _name_netdev(node: Node, number: int, port: str) -> None:
    """Name the netdev of a NIC's port as udev does, which no node of kind has."""
    node.shell(
        f"for netdev in {_BUS}/devices/netdevsim{number}/net/*; do"
        f' if [ "$(cat "$netdev/phys_port_name")" = {port} ]; then'
        f' ip link set "${{netdev##*/}}" name eni{number}n{port}; fi; done'
    )


def vf_of(number: int) -> str:
    """Return the name of a NIC's VF."""
    return f"eni{number}npf0vf0"


def pf_of(number: int) -> str:
    """Return the name of a NIC's PF."""
    return f"eni{number}np1"


def start_pod(scene: Scene) -> None:
    first, second = NICS
    networks = objects.networks((vf_of(first), vf_of(second)))
    _start(scene, objects.pod(POD, provision.OURS, "vf-1", "vf-2", "bond"), *networks)


def _start(scene: Scene, pod: objects.Object, *networks: objects.Object) -> None:
    scene.cluster.apply([*networks, pod])
    name = pod["metadata"]["name"]
    scene.cluster.await_ready(name)
    scene.bonded(name).await_members(2, _BONDED_S)


def read_status(scene: Scene) -> None:
    annotations = scene.cluster.pod(POD)["metadata"]["annotations"]
    if not has_address(annotations[_STATUS], BOND):
        raise FailedError(f"network-status names no {BOND} with an address: {annotations[_STATUS]}")


def has_address(status: str, interface: str) -> bool:
    """Tell whether a network-status has one entry of the interface, and addresses in it."""
    entries = [entry for entry in json.loads(status) if entry.get("interface") == interface]
    return len(entries) == 1 and bool(entries[0].get("ips"))


def fail_over(pod: Bonded) -> None:
    before = pod.active()
    pod.node.ip(f"link set {before} down", pod.netns)
    pod.await_failover(before)
    pod.node.ip(f"link set {before} up", pod.netns)
    pod.await_members(2)


def lose_a_vf(pod: Bonded) -> None:
    number = NICS[0]
    pod.node.shell(f"devlink dev reload netdevsim/netdevsim{number}")
    pod.await_members(1)
    make_vf(pod.node, number)
    pod.await_members(2, _REPAIR_S)


def delete_pod(scene: Scene) -> None:
    _delete(scene, POD, {vf_of(number) for number in NICS})


def _delete(scene: Scene, pod: str, links: set[str]) -> None:
    """Delete a pod; its links must be the node's again, and nothing else left of it."""
    node = scene.cluster.node
    scene.cluster.delete_pod(pod)
    records = "find /var/lib/sriovbond/records -name '*@*'"
    wait_for("no record is left", lambda: not node.shell(records), _GONE_S)
    # their mover puts them back after the bond's DEL, and the API may have forgotten the pod before
    wait_for("its links are the node's", lambda: links <= _names(node), _GONE_S)
    if BOND in _names(node):
        raise FailedError(f"the node has {BOND}")


def _names(node: Node) -> set[str]:
    return {link["ifname"] for link in node.ip("link show")}


def link_pfs(node: Node) -> None:
    """Make NICs of which each PF is linked to another, which is a port of a bridge of the node."""
    node.shell(f"ip link add {FAR} type bridge; ip link set {FAR} up")
    node.shell(f"ip address add {FAR_ADDRESS}/24 dev {FAR}")
    for number, peer in PEERS.items():
        for made in (number, peer):
            node.shell(f"echo '{made} 1' > {_BUS}/new_device")
            _name_netdev(node, made, "p1")
        ends = (f"5:$(cat /sys/class/net/{pf_of(end)}/ifindex)" for end in (number, peer))
        node.shell(f'exec 5< /proc/self/ns/net; echo "{" ".join(ends)}" > {_BUS}/link_device')
        node.shell(f"ip link set {pf_of(peer)} master {FAR} up")


def start_wired_pod(scene: Scene) -> None:
    network = objects.host_network(WIRED, *(pf_of(number) for number in PEERS))
    _start(scene, objects.pod(WIRED, provision.OURS, WIRED), network)
    reach(scene.bonded(WIRED))


def reach(pod: Bonded) -> None:
    """Connect from the pod to the bridge beyond its bond, where the node's kubelet listens."""
    connect = f"exec 3<> /dev/tcp/{FAR_ADDRESS}/{KUBELETS_PORT}"
    pod.node.run_in(pod.netns, "timeout", "30", "bash", "-c", connect)


def lose_a_link(pod: Bonded) -> None:
    before = pod.active()
    peer = next(peer for number, peer in PEERS.items() if pf_of(number) == before)
    pod.node.ip(f"link set {pf_of(peer)} down")
    pod.await_failover(before)
    reach(pod)
    pod.node.ip(f"link set {pf_of(peer)} up")
    pod.await_members(2)


def delete_wired_pod(scene: Scene) -> None:
    _delete(scene, WIRED, {pf_of(number) for number in PEERS})


STEPS: Final[tuple[tuple[str, Callable[[Scene], None]], ...]] = (
    ("Multus, as it ships", install_multus),
    ("sriovbond, by its manifests", install_ours),
    ("two NICs of netdevsim with a VF each", lambda scene: make_nics(scene.cluster.node)),
    ("a pod with a bond over the VFs is Ready", start_pod),
    ("network-status has the bond with its address", read_status),
    ("it fails over, and back", lambda scene: fail_over(scene.bonded())),
    ("a VF that is made anew comes back into the bond", lambda scene: lose_a_vf(scene.bonded())),
    ("the pod is deleted, and nothing is left", delete_pod),
    ("two PFs that are linked to others", lambda scene: link_pfs(scene.cluster.node)),
    ("a pod with a bond over the node's PFs is Ready, and its frames arrive", start_wired_pod),
    ("a link goes, and they arrive by the other", lambda scene: lose_a_link(scene.bonded(WIRED))),
    ("that pod is deleted, and the PFs are the node's again", delete_wired_pod),
)
