"""`make test-kind`: a pod with a bond over netdevsim's VFs, in a kind cluster on this machine.

`python -m tests.kind PROGRAMS PLUGINS`, by root, with docker and the modules bonding and netdevsim.
PROGRAMS has kind and Multus' manifest, PLUGINS the CNI plugins. No frames: netdevsim's VFs
carry none. Written for public CI's runners; CONTRIBUTING.md tells how far it has been tried.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.kind import objects
from tests.kind.cluster import Cluster, FailedError, a_cluster, run, wait_for
from tests.kind.objects import BOND
from tests.node import provision

ARCHIVE: Final = Path("build/image/sriovbond.tar")
MANIFESTS: Final = Path("build/kind")
POD: Final = "bonded"
NICS: Final = (10, 11)
_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
_READY_S: Final = 180.0
_REPAIR_S: Final = 120.0
"""The agent takes a VF back that has rested for 30 s."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The cluster, what the steps need of this machine, and the namespace of the pod."""

    cluster: Cluster
    programs: Path
    plugins: Path
    known_netns: str = ""

    def netns(self) -> str:
        """Return the path of the pod's network namespace, asked of the runtime if not known."""
        if self.known_netns:
            return self.known_netns
        sandbox = self.cluster.run("crictl", "pods", "--quiet", "--name", POD).strip()
        return netns_of(self.cluster.run("crictl", "inspectp", "--output=json", sandbox))

    def links(self) -> dict[str, Any]:
        """Return the pod's links by their names."""
        return {link["ifname"]: link for link in self.cluster.ip("link show", self.netns())}

    def members(self) -> list[str]:
        """Return the names of the bond's members that are up."""
        return [name for name, link in self.links().items() if is_member_up(link)]

    def active(self) -> str:
        """Return the name of the active member."""
        return str(self.links()[BOND]["linkinfo"]["info_data"].get("active_slave", ""))


def netns_of(sandbox: str) -> str:
    """Return the path of a sandbox' network namespace, as crictl's inspectp tells it."""
    namespaces = json.loads(sandbox)["info"]["runtimeSpec"]["linux"]["namespaces"]
    return str(next(each["path"] for each in namespaces if each["type"] == "network"))


def is_member_up(link: dict[str, Any]) -> bool:
    """Tell whether a link, as ip shows it, is a bond's member that the bond takes for up."""
    info = link.get("linkinfo", {})
    state = info.get("info_slave_data", {}).get("mii_status")
    return (info.get("info_slave_kind"), state) == ("bond", "UP")


def install_multus(scene: Scene) -> None:
    manifest = objects.multus(scene.programs / "multus-daemonset-thick.yml")
    for plugin in ("host-device", "host-local"):
        scene.cluster.copy(scene.plugins / plugin, "/opt/cni/bin")
    scene.cluster.kubectl("apply", "--filename=-", stdin=objects.text(manifest))
    _await_rollout(scene, "kube-multus-ds")


def install_ours(scene: Scene) -> None:
    scene.cluster.load(ARCHIVE)
    provision.render(MANIFESTS)
    manifest = (MANIFESTS / "sriovbond.yaml").read_text()
    scene.cluster.kubectl("apply", "--filename=-", stdin=manifest)
    _await_rollout(scene, "sriovbond-agent")


def _await_rollout(scene: Scene, daemon_set: str) -> None:
    rollout = ("rollout", "status", f"daemonset/{daemon_set}", "--timeout=300s")
    scene.cluster.kubectl("--namespace=kube-system", *rollout)


def make_nics(scene: Scene) -> None:
    # systemd in a container wants /sys read-only, so kind's node has it so
    scene.cluster.shell("mount -o remount,rw /sys")
    for number in NICS:
        scene.cluster.shell(f"echo '{number} 1' > /sys/bus/netdevsim/new_device")
        make_vf(scene, number)


def make_vf(scene: Scene, number: int) -> None:
    """Make a VF of a NIC, with a netdev, and name that as udev does, which no node of kind has."""
    device = f"/sys/bus/netdevsim/devices/netdevsim{number}"
    scene.cluster.shell(f"echo 1 > {device}/sriov_numvfs")
    scene.cluster.shell(f"devlink dev eswitch set netdevsim/netdevsim{number} mode switchdev")
    scene.cluster.shell(
        f"for netdev in {device}/net/*; do"
        ' if [ "$(cat "$netdev/phys_port_name")" = pf0vf0 ]; then'
        f' ip link set "${{netdev##*/}}" name {vf_of(number)}; fi; done'
    )


def vf_of(number: int) -> str:
    """Return the name of a NIC's VF."""
    return f"eni{number}npf0vf0"


def start_pod(scene: Scene) -> None:
    first, second = NICS
    applied = [*objects.networks((vf_of(first), vf_of(second))), objects.pod(POD, provision.OURS)]
    scene.cluster.kubectl("apply", "--filename=-", stdin=objects.text(applied))
    ready = ("wait", "--for=condition=Ready", f"pod/{POD}", f"--timeout={_READY_S:g}s")
    scene.cluster.kubectl(*ready)
    wait_for("both members are up", lambda: len(scene.members()) == len(NICS), _READY_S)


def read_status(scene: Scene) -> None:
    annotations = scene.cluster.get(f"pod/{POD}")["metadata"]["annotations"]
    if not has_address(annotations[_STATUS], BOND):
        raise FailedError(f"network-status names no {BOND} with an address: {annotations[_STATUS]}")


def has_address(status: str, interface: str) -> bool:
    """Tell whether a network-status has one entry of the interface, and addresses in it."""
    entries = [entry for entry in json.loads(status) if entry.get("interface") == interface]
    return len(entries) == 1 and bool(entries[0].get("ips"))


def fail_over(scene: Scene) -> None:
    before = scene.active()
    scene.cluster.ip(f"link set {before} down", scene.netns())
    wait_for("the other member is active", lambda: scene.active() not in {"", before}, 30)
    scene.cluster.ip(f"link set {before} up", scene.netns())
    wait_for("both members are up again", lambda: len(scene.members()) == len(NICS), 30)


def lose_a_vf(scene: Scene) -> None:
    number = NICS[0]
    scene.cluster.shell(f"devlink dev reload netdevsim/netdevsim{number}")
    wait_for("one member is left", lambda: len(scene.members()) == 1, 30)
    make_vf(scene, number)
    wait_for("the VF is in its bond", lambda: len(scene.members()) == len(NICS), _REPAIR_S)


def delete_pod(scene: Scene) -> None:
    scene.cluster.kubectl("delete", f"pod/{POD}", "--timeout=120s")
    records = "find /var/lib/sriovbond/records -name '*@*'"
    wait_for("no record is left", lambda: not scene.cluster.shell(records), 60)
    names = {link["ifname"] for link in scene.cluster.ip("link show")}
    missing = {vf_of(number) for number in NICS} - names
    if missing or BOND in names:
        raise FailedError(f"the node has {', '.join(sorted(names))}; missing: {missing or 'none'}")


STEPS: Final[tuple[tuple[str, Callable[[Scene], None]], ...]] = (
    ("Multus, thick, as it ships", install_multus),
    ("sriovbond, by its manifests", install_ours),
    ("two NICs of netdevsim with a VF each", make_nics),
    ("a pod with a bond over the VFs is Ready", start_pod),
    ("network-status has the bond with its address", read_status),
    ("it fails over, and back", fail_over),
    ("a VF that is made anew comes back into the bond", lose_a_vf),
    ("the pod is deleted, and nothing is left", delete_pod),
)


def main() -> int:
    """Run the steps; at the first that fails say what the cluster says, and return 1."""
    for module in ("bonding", "netdevsim"):
        run("modprobe", module)
    programs, plugins = map(Path, sys.argv[1:3])
    with a_cluster(programs / "kind") as cluster:
        scene = Scene(cluster, programs, plugins)
        for words, step in STEPS:
            try:
                step(scene)
            except FailedError as error:
                _say(f"FAILED {words}: {error}", _tell(cluster))
                return 1
            _say(f"ok     {words}")
    return 0


def _tell(cluster: Cluster) -> str:
    """Return what the cluster says: events, and the agent's log."""
    asked = (
        ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
        ("--namespace=kube-system", "logs", "daemonset/sriovbond-agent", "--tail=100"),
        ("--namespace=kube-system", "logs", "daemonset/kube-multus-ds", "--tail=100"),
    )
    texts = []
    for arguments in asked:
        try:
            texts.append(cluster.kubectl(*arguments))
        except FailedError as error:
            texts.append(str(error))
    return "\n".join(texts)


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
