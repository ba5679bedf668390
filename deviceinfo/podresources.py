"""Reads a pod's devices from kubelet's PodResources API, as statements and claims."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deviceinfo.device import DeviceId, parse_device_id, parse_dra_name
from deviceinfo.kubelet import (
    Deadline,
    Kubelet,
    KubeletError,
    connect,
    hold,
    owner_of,
    printable,
    quote,
)
from deviceinfo.statement import Claim, PodRef, Reading, Source, Statement

if TYPE_CHECKING:
    from deviceinfo import podresources_pb2 as messages
    from deviceinfo.kubelet import Entries

_FAULTS: Final = 5
_SRIOV_DRIVER: Final = "sriovnetwork.k8snetworkplumbingwg.io"  # dra-driver-sriov, pkg/consts


def read_pod(socket: Path, pod: PodRef, *, timeout_s: float = 2.0) -> Reading:
    """Read which devices kubelet allocated to the containers of the pod of this name.

    One statement per device; ids that do not have the form of a network device are ignored. A pod
    unknown to kubelet is a problem. When kubelet responds with its list of all pods (`Get` is off
    by default up to Kubernetes 1.33), `claims` are other pods that have one of the devices: the
    list has no phases and, up to 1.33, has ended pods too. `is_ambiguous`: the list has several
    pods of this name, and the statements are of them all.

    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: Kubelet) -> Reading:
        ours, other_entries = kubelet.find(pod)
        if not ours:
            raise KubeletError("it knows no such pod")
        reader = _Reader(kubelet.deadline)
        statements = reader.statements(ours)
        devices = {statement.device for statement in statements}
        claims = _Reader(kubelet.deadline).claims(other_entries)
        return Reading(
            Source.KUBELET,
            statements=statements,
            claims=tuple(claim for claim in claims if claim.device in devices),
            problems=tuple(reader.faults),
            is_ambiguous=len(ours) > 1,
        )

    return _ask(socket, pod, timeout_s, answer)


def read_claims(socket: Path, pod: PodRef, *, timeout_s: float = 2.0) -> Reading:
    """Read which devices kubelet allocated to all other pods; the reading has claims only.

    Up to Kubernetes 1.33 the claims of ended pods are among them. `is_ambiguous`: the list has
    several pods of this name, and the claims are of none of them.

    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: Kubelet) -> Reading:
        ours, other_entries = kubelet.list_by_owner(pod)
        reader = _Reader(kubelet.deadline)
        return Reading(
            Source.KUBELET,
            claims=reader.claims(other_entries),
            problems=tuple(reader.faults),
            is_ambiguous=len(ours) > 1,
        )

    return _ask(socket, pod, timeout_s, answer)


def read_allocatable(socket: Path, *, timeout_s: float = 2.0) -> Reading:
    """Read which devices device plugins offer on this node, allocated or not.

    One statement per device, with its resource and without a pod. Devices of DRA drivers are not
    among them. Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: Kubelet) -> Reading:
        reader = _Reader(kubelet.deadline)
        statements = reader.statements([kubelet.list_offered()])
        return Reading(Source.KUBELET, statements=statements, problems=tuple(reader.faults))

    return _call_kubelet(socket, "its device plugins", timeout_s, answer)


def _ask(
    socket: Path, pod: PodRef, timeout_s: float, answer: Callable[[Kubelet], Reading]
) -> Reading:
    about = f"pod {printable(str(pod))}"
    if not (_is_name(pod.name) and _is_name(pod.namespace)):
        fault = "kubelet knows pods by name and namespace, and one of these is missing or no name"
        return Reading(Source.KUBELET, problems=(f"{_describe_question(socket, about)}: {fault}",))
    return _call_kubelet(socket, about, timeout_s, answer)


def _describe_question(socket: Path, about: str) -> str:
    return f"cannot ask kubelet on {quote(str(socket))} about {about}"


def _call_kubelet(
    socket: Path, about: str, timeout_s: float, answer: Callable[[Kubelet], Reading]
) -> Reading:
    try:
        with hold(socket) as socket_fd, connect(socket_fd, timeout_s) as kubelet:
            return answer(kubelet)
    except FileNotFoundError:
        return Reading(Source.KUBELET, is_absent=True)
    except KubeletError as error:
        return Reading(Source.KUBELET, problems=(f"{_describe_question(socket, about)}: {error}",))


class _Reader:
    """Converts entries until the deadline; keeps the first faults as texts."""

    def __init__(self, deadline: Deadline) -> None:
        self.faults: list[str] = []
        self._deadline = deadline

    def statements(self, entries: "Entries") -> tuple[Statement, ...]:
        """Return one per device: the containers of a pod may share a claim."""
        statements: dict[DeviceId, Statement] = {}
        for entry in entries:
            for device, statement in self._read_given(entry):
                statements.setdefault(device, statement)
        return tuple(statements.values())

    def claims(self, entries: "Entries") -> tuple[Claim, ...]:
        """Return one per device and pod."""
        claims = (
            Claim(Source.KUBELET, device, owner_of(entry))
            for entry in entries
            for device, _ in self._read_given(entry)
        )
        return tuple(dict.fromkeys(claims))

    def _read_given(self, entry: "messages.PodResources") -> Iterator[tuple[DeviceId, Statement]]:
        during = self._deadline.during
        for container in during(entry.containers):
            name = printable(container.name) or None
            for allotted in during(container.devices):
                resource = printable(allotted.resource_name) or None
                node = _numa_node(allotted.topology)
                for device_id in during(allotted.device_ids):
                    if device := self._device(device_id):
                        statement = Statement(
                            Source.KUBELET, device, resource, name, numa_node=node
                        )
                        yield device, statement
            for claim in during(container.dynamic_resources):
                resource = printable(f"claim {claim.claim_namespace}/{claim.claim_name}")
                for claimed in during(claim.claim_resources):
                    if device := self._parse_claimed(claimed):
                        yield device, Statement(Source.KUBELET, device, resource, name)

    def _device(self, device_id: str) -> DeviceId | None:
        """Return the device of a device plugin's id; ids of non-network devices have any form."""
        if _is_name(device_id):
            return parse_device_id(device_id)
        self._blame(device_id, "is no id of a device")
        return None

    def _parse_claimed(self, claimed: "messages.ClaimResource") -> DeviceId | None:
        """Return the device of a DRA driver's device name; each driver has its own form."""
        name = claimed.device_name
        device = parse_dra_name(name) or parse_device_id(name)
        if device is None and claimed.driver_name == _SRIOV_DRIVER:
            self._blame(name, f"of {_SRIOV_DRIVER} is no PCI address")
        return device

    def _blame(self, text: str, fault: str) -> None:
        if len(self.faults) < _FAULTS:
            self.faults.append(f"kubelet's answer: device {quote(text)} {fault}")


def _numa_node(topology: "messages.TopologyInfo") -> int | None:
    """Return the NUMA node of a device that has one; kubelet leaves out -1, for none."""
    nodes = {node.ID for node in topology.nodes if node.ID >= 0}
    return nodes.pop() if len(nodes) == 1 else None


def _is_name(text: str) -> bool:
    return text != "" and text == printable(text)
