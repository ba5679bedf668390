"""The cluster as a test in the VM sees it: objects by the API, pods by the kernel."""

import json
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deviceinfo.find import Places
from deviceinfo.podresources import read_allocatable
from tests.node import objects
from tests.node.api import Api, Object
from tests.node.credentials import NODE
from tests.node.node import Node
from tests.node.processes import FailedError
from tests.vm import pace

READY_S: Final = 300.0
GONE_S: Final = 300.0
ROLLED_OUT_S: Final = 600.0
DEVICES_KNOWN_S: Final = 300.0
AGENT: Final = "sriovbond-agent"
RECORDS: Final = Path("/var/lib/sriovbond/records")
_PLACES: Final = Places()
_KUBELET_ANSWERS_S: Final = 30.0
_LEASES: Final = Path("/var/lib/cni/networks")
_POD_LOGS: Final = Path("/var/log/pods")
_LAST_LINES: Final = 40
_LOOKS_EVERY_S: Final = 1.0


@dataclass(slots=True)
class Cluster:
    """The API, and the one node."""

    api: Api
    node: Node

    def await_node(self) -> None:
        """Wait until the node is Ready, and pods can be created: their account exists."""
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.await_true("the node is Ready", self._is_node_ready, READY_S)
        self.await_true("pods have an account", lambda: bool(self.api.find(account)), READY_S)

    def _is_node_ready(self) -> bool:
        return is_ready(self.api.find(f"/api/v1/nodes/{NODE}") or {})

    def run_pod(self, pod: Object, within_s: float = READY_S) -> "RunningPod":
        """Create a pod, wait until it is Ready. Raises FailedError, which has its events."""
        self.api.apply(pod)
        name = pod["metadata"]["name"]
        self.await_true(f"pod {name} is Ready", lambda: self.is_ready(name), within_s, name)
        return RunningPod(self.pod(name))

    def pod(self, name: str) -> Object:
        found: Object = self.api.get(pod_path(name))
        return found

    def is_ready(self, name: str) -> bool:
        return is_ready(self.pod(name))

    def delete_pod(self, name: str, within_s: float = GONE_S) -> None:
        """Delete a pod and wait until it is gone from the API."""
        self.api.delete(pod_path(name))
        gone = lambda: self.api.find(pod_path(name)) is None  # noqa: E731 - read once
        self.await_true(f"pod {name} is gone", gone, within_s, name)

    def events(self, name: str) -> list[Object]:
        """Return the Events on a pod, the oldest first."""
        path = "/api/v1/namespaces/default/events"
        listed = self.api.get(path, fieldSelector=f"involvedObject.name={name}")["items"]
        return sorted(listed, key=lambda event: str(event["metadata"]["creationTimestamp"]))

    def messages(self, name: str, reason: str = "") -> list[str]:
        """Return the texts of a pod's Events of a reason, or of all."""
        events = self.events(name)
        return [each["message"] for each in events if reason in {"", each["reason"]}]

    def await_event(self, name: str, reason: str, words: str = "", within_s: float = 120) -> str:
        """Wait for an Event on a pod of this reason whose text has these words; return the text."""

        def matching() -> list[str]:
            return [text for text in self.messages(name, reason) if words in text]

        self.await_true(f"{name} has an Event {reason} with {words!r}", matching, within_s, name)
        return matching()[-1]

    def await_daemon_set(self, name: str) -> None:
        """Wait until the node's pod of a DaemonSet of kube-system is the newest, and ready."""
        path = f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}"

        def is_rolled_out() -> bool:
            daemon_set = self.api.get(path)
            status = daemon_set.get("status", {})
            observed = status.get("observedGeneration", 0)
            is_new = observed >= daemon_set["metadata"]["generation"]
            counts = {status.get(key, 0) for key in ("updatedNumberScheduled", "numberReady")}
            return bool(is_new and counts == {1})

        self.await_true(f"DaemonSet {name} is ready", is_rolled_out, ROLLED_OUT_S)

    def run_image(self, name: str, image: str) -> None:
        """Have the one container of a DaemonSet's pods run another image, from now on."""
        path = f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}"
        (container,) = self.api.get(path)["spec"]["template"]["spec"]["containers"]
        containers = [container | {"image": image}]
        self.api.patch(path, {"spec": {"template": {"spec": {"containers": containers}}}})

    def await_deployment(self, name: str, replicas: int) -> None:
        """Wait until a Deployment has so many pods of its newest template, and no others."""
        path = f"/apis/apps/v1/namespaces/default/deployments/{name}"

        def is_rolled_out() -> bool:
            deployment = self.api.get(path)
            status = deployment.get("status", {})
            is_seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            counts = {
                status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")
            }
            return bool(is_seen and counts == {replicas} and len(self.pods()) == replicas)

        self.await_true(f"Deployment {name} has {replicas} pods", is_rolled_out, ROLLED_OUT_S)

    def await_devices(self, devices: Iterable[str]) -> None:
        """Wait until kubelet itself has these: what the API says may be of an earlier kubelet.

        A pod that comes sooner is refused for good, as UnexpectedAdmissionError.
        """
        awaited = set(devices)

        def are_known() -> bool:
            reading = read_allocatable(_PLACES.pod_resources, timeout_s=_KUBELET_ANSWERS_S)
            return awaited <= {str(each.device) for each in reading.statements}

        self.await_true("kubelet has the devices", are_known, DEVICES_KNOWN_S)

    def pods(self) -> list[Object]:
        """Return the pods of the namespace default."""
        listed: list[Object] = self.api.get("/api/v1/namespaces/default/pods")["items"]
        return listed

    def await_true(
        self, what: str, is_true: Callable[[], object], within_s: float, pod: str = ""
    ) -> None:
        """Wait until it is true. Raises FailedError with what pod and node say.

        The time is that of a usual machine, and stretched on a slower one.
        """
        limit_s = pace.stretched(within_s)
        deadline = time.monotonic() + limit_s
        while not is_true():
            if time.monotonic() > deadline:
                raise FailedError(f"{what}: not within {limit_s:.0f} s\n{self.said(pod)}")
            time.sleep(_LOOKS_EVERY_S)

    def said(self, pod: str = "") -> str:
        """Return what is known of a pod, and the last lines of the node's programs and pods."""
        about = []
        if pod and (found := self.api.find(pod_path(pod))):
            about += [f"--- pod {pod}", json.dumps(found.get("status", {}), indent=1)]
            about += [f"{each['reason']}: {each['message']}" for each in self.events(pod)]
        about += [program.last_words(_LAST_LINES) for program in self.node.running.values()]
        for log in sorted(_POD_LOGS.glob("kube-system_*/*/*.log")):
            lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
            about += [f"--- {log.parent.parent.name.split('_')[1]}/{log.parent.name}", *lines]
        return "\n".join(about)


@dataclass(frozen=True, slots=True)
class Interface:
    """What a network-status tells of an interface, or what the kernel has of it."""

    addresses: list[str]
    mac: str
    mtu: int


class RunningPod:
    """A pod that runs on this node, seen from the node."""

    def __init__(self, pod: Object) -> None:
        self.name: str = pod["metadata"]["name"]
        self.uid: str = pod["metadata"]["uid"]
        self.status = objects.network_status(pod)
        self._process = Path("/proc", str(self._find_process()))
        self.netns = str(self._process / "ns/net")

    def ip(self, arguments: str) -> Any:  # noqa: ANN401 - what ip's JSON holds
        """Return what `ip -json -details` prints in the pod's network namespace."""
        return json.loads(self.run("ip", "-json", "-details", *arguments.split()) or "[]")

    def run(self, *command: str) -> str:
        """Run a program of the node in the pod's network namespace."""
        done = subprocess.run(
            ["nsenter", f"--net={self.netns}", *command],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{command} in {self.name}: {done.stderr or done.stdout}"
        return done.stdout

    def links(self) -> dict[str, Object]:
        """Return the pod's links with their addresses, by name."""
        return {link["ifname"]: link for link in self.ip("addr show")}

    def members(self, bond: str = "bond0") -> dict[str, str]:
        """Return the members of a bond that are up, and their PCI devices."""
        return {
            name: link.get("parentdev", "")
            for name, link in self.links().items()
            if link.get("master") == bond
            and link["linkinfo"]["info_slave_data"]["mii_status"] == "UP"
        }

    def entries(self, interface: str) -> list[Object]:
        """Return the entries of an interface in the network-status."""
        return [each for each in self.status if each.get("interface") == interface]

    def told(self, interface: str) -> Interface:
        """Return an interface as the network-status has it, in one entry."""
        (entry,) = self.entries(interface)
        return Interface(entry.get("ips", []), entry["mac"], entry.get("mtu", 0))

    def seen(self, interface: str) -> Interface:
        """Return an interface as the kernel has it, without addresses of the link alone."""
        link = self.links()[interface]
        found = [each["local"] for each in link["addr_info"] if each["scope"] == "global"]
        return Interface(found, link["address"], link["mtu"])

    def read(self, file: Path) -> str:
        """Return a file of the pod's container, which has busybox."""
        place = (f"--mount={self._process}/ns/mnt", f"--root={self._process}/root")
        command = ["nsenter", *place, "/bin/busybox", "cat", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def _find_process(self) -> int:
        """Return a process of the pod: its containers have the pod's name as HOSTNAME."""
        variable = f"HOSTNAME={self.name}".encode()
        for file in Path("/proc").glob("[0-9]*/environ"):
            try:
                if variable in file.read_bytes().split(b"\0"):
                    return int(file.parent.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
        raise FailedError(f"no process of pod {self.name} runs on this machine")


def is_ready(found: Object) -> bool:
    """Return whether a node or a pod is Ready."""
    conditions = found.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def pod_path(name: str) -> str:
    return f"/api/v1/namespaces/default/pods/{name}"


def left_behind() -> dict[str, list[str]]:
    """Return records of bonds and IPAM's leases on the node, which end with their pods."""
    records = [path.name for path in RECORDS.glob("*@*")]
    leases = [
        f"{path.parent.name}/{path.name}"
        for path in _LEASES.glob("*/*")
        if path.name[0].isdigit() and path.parent.name != "default"
    ]
    return {"records": sorted(records), "leases": sorted(leases)}
