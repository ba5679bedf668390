"""What kubelet says of a pod's devices: its PodResources API, asked over its socket.

The only module that imports grpc, and only where it asks, since that import takes 0.1 s.
"""

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from deviceinfo.device import DeviceId, parse_device_id, parse_dra_name
from deviceinfo.statement import Claim, PodRef, Reading, Source, Statement

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message

    from deviceinfo import podresources_pb2 as messages

    _Entries = list[messages.PodResources]

_Item = TypeVar("_Item")
_ANSWER_BYTES: Final = 16 << 20
_TEXT_CHARS: Final = 1024  # a name in Kubernetes has 317 at most; a device plugin's id any number
_QUOTED_CHARS: Final = 300
_FAULTS: Final = 5
_SRIOV_DRIVER: Final = "sriovnetwork.k8snetworkplumbingwg.io"  # dra-driver-sriov, pkg/consts

# kubelet answers 100 calls a second, and 10 at once (its pkg/kubelet/apis/podresources/grpc). gRPC
# tries 5 times at most and varies each pause by a fifth either way (gRFC A6).
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "v1.PodResourcesLister"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _ANSWER_BYTES),
    ("grpc.service_config", _SERVICE_CONFIG),
    # Else connections are kept by address, and ours is a descriptor's number, which comes again.
    ("grpc.use_local_subchannel_pool", 1),
)
# gRPC reads these when it is imported. Its fork handlers serve a child that goes on with gRPC; for
# one that becomes another program they do nothing but complain on stderr.
_ENVIRONMENT: Final = MappingProxyType(
    {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"},
)

# Get is UNIMPLEMENTED before 1.27. Its errors in words have the code UNKNOWN: "PodResources API Get
# method disabled", "pod X in namespace Y not found". The second comes from an index of names, while
# List goes through the pods themselves. Source: kubernetes, pkg/kubelet/apis/podresources.
_ASK_LIST_CODES: Final = frozenset({"NOT_FOUND", "UNIMPLEMENTED", "UNKNOWN"})


def read_pod(socket: Path, pod: PodRef, *, timeout_s: float = 2.0) -> Reading:
    """Ask kubelet which devices it gave to the containers of the pod, known by its name.

    One statement a device; an id that is no network device by its form is passed over. A pod that
    kubelet does not know is a problem in words. Where kubelet answers with its list of all pods
    (`Get` is off by default up to Kubernetes 1.33), `claims` are other pods that have one of the
    devices: the list tells no phase and, up to 1.33, has ended pods too. `is_ambiguous`: the list
    has several pods of this name, and the statements are of them all.

    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: _Kubelet) -> Reading:
        ours, other_entries = kubelet.find(pod)
        if not ours:
            raise _UnansweredError("it knows no such pod")
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
    """Ask kubelet which devices it gave to all pods but this one; the answer has claims only.

    Up to Kubernetes 1.33 the claims of ended pods are among them. `is_ambiguous`: the list has
    several pods of this name, and the claims are of none of them.

    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: _Kubelet) -> Reading:
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
    """Ask kubelet which devices device plugins offer on this node, given to a pod or not.

    One statement a device, with its resource; no pod's. Devices of DRA drivers are not among them.
    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """

    def answer(kubelet: _Kubelet) -> Reading:
        reader = _Reader(kubelet.deadline)
        statements = reader.statements([kubelet.list_offered()])
        return Reading(Source.KUBELET, statements=statements, problems=tuple(reader.faults))

    return _call_kubelet(socket, "its device plugins", timeout_s, answer)


class _UnansweredError(Exception):
    """Says in words why kubelet tells nothing."""


class _CallError(_UnansweredError):
    """A call ended with another code than OK."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}, {_quote(details)}")
        self.code = code


def _ask(
    socket: Path, pod: PodRef, timeout_s: float, answer: "Callable[[_Kubelet], Reading]"
) -> Reading:
    about = f"pod {_printable(str(pod))}"
    if not (_is_name(pod.name) and _is_name(pod.namespace)):
        fault = "kubelet knows pods by name and namespace, and one of these is missing or no name"
        return Reading(Source.KUBELET, problems=(f"{_describe_question(socket, about)}: {fault}",))
    return _call_kubelet(socket, about, timeout_s, answer)


def _describe_question(socket: Path, about: str) -> str:
    return f"cannot ask kubelet on {_quote(str(socket))} about {about}"


def _call_kubelet(
    socket: Path, about: str, timeout_s: float, answer: "Callable[[_Kubelet], Reading]"
) -> Reading:
    try:
        with _held(socket) as socket_fd, _connected(socket_fd, timeout_s) as kubelet:
            return answer(kubelet)
    except FileNotFoundError:
        return Reading(Source.KUBELET, is_absent=True)
    except _UnansweredError as error:
        return Reading(Source.KUBELET, problems=(f"{_describe_question(socket, about)}: {error}",))


@contextmanager
def _held(socket: Path) -> Iterator[int]:
    """Hold the socket open without connecting; raises FileNotFoundError, _UnansweredError.

    So what was judged is what is talked to, and its path may be of any length and spelling: the
    one to connect to is a URI to gRPC and has 107 bytes at most (sun_path, linux/un.h).
    """
    try:
        socket_fd = os.open(socket, os.O_PATH)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise _UnansweredError(getattr(error, "strerror", None) or str(error)) from error
    try:
        status = os.fstat(socket_fd)
        if not stat.S_ISSOCK(status.st_mode):
            raise _UnansweredError("it is not a socket")
        if status.st_uid not in {0, os.geteuid()}:
            raise _UnansweredError(
                f"it belongs to user {status.st_uid}, and kubelet's to root; look who made it"
            )
        yield socket_fd
    finally:
        os.close(socket_fd)


@contextmanager
def _connected(socket_fd: int, timeout_s: float) -> "Iterator[_Kubelet]":
    _import_grpc()
    import grpc

    target = f"unix:/proc/self/fd/{socket_fd}"
    with grpc.insecure_channel(target, _CHANNEL_OPTIONS) as channel:
        yield _Kubelet(channel, target, _Deadline(timeout_s))


@cache
def _import_grpc() -> None:
    """Import gRPC with its settings in the environment, and no longer: our children inherit it.

    Nor shall they see what it adds itself, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH. What the operator has
    set stays.
    """
    before = dict(os.environ)
    os.environ.update({**_ENVIRONMENT, **before})
    try:
        import grpc  # noqa: F401
    finally:
        for name in os.environ.keys() - before.keys():
            if name.startswith("GRPC_"):
                os.environ.pop(name, None)


class _Deadline:
    """When the whole look-up must be over."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        return max(0.0, self._end_s - time.monotonic())

    def during(self, items: "Iterable[_Item]") -> "Iterator[_Item]":
        """Go through the items; raises _UnansweredError once the time is over."""
        for item in items:
            if time.monotonic() > self._end_s:
                raise _UnansweredError(f"its answer takes more than {self._timeout_s} s to read")
            yield item


class _Kubelet:
    """The calls. Each raises _CallError, or _UnansweredError where the answer makes no sense."""

    def __init__(self, channel: "grpc.Channel", target: str, deadline: _Deadline) -> None:
        self.deadline = deadline
        self._channel = channel
        self._target = target

    def find(self, pod: PodRef) -> "tuple[_Entries, _Entries]":
        """Return the pod's entries, and those of other pods where kubelet gave them too."""
        try:
            return [self._get(pod)], []
        except _CallError as error:
            if error.code not in _ASK_LIST_CODES:
                raise
        return self.list_by_owner(pod)

    def list_by_owner(self, pod: PodRef) -> "tuple[_Entries, _Entries]":
        """Return the entries of pods of this name, and those of all others."""
        from deviceinfo import podresources_pb2 as messages

        response = messages.ListPodResourcesResponse()
        self._call("List", messages.ListPodResourcesRequest(), response)
        ours: _Entries = []
        other_entries: _Entries = []
        for entry in self.deadline.during(response.pod_resources):
            (ours if _is_of(entry, pod) else other_entries).append(entry)
        return ours, other_entries

    def list_offered(self) -> "messages.PodResources":
        """Return what device plugins offer, as if it were one pod's."""
        from deviceinfo import podresources_pb2 as messages

        response = messages.AllocatableResourcesResponse()
        request = messages.AllocatableResourcesRequest()
        self._call("GetAllocatableResources", request, response)
        container = messages.ContainerResources(devices=response.devices)
        return messages.PodResources(containers=[container])

    def _get(self, pod: PodRef) -> "messages.PodResources":
        from deviceinfo import podresources_pb2 as messages

        request = messages.GetPodResourcesRequest(pod_name=pod.name, pod_namespace=pod.namespace)
        response = messages.GetPodResourcesResponse()
        self._call("Get", request, response)
        if not _is_of(response.pod_resources, pod):
            raise _UnansweredError(f"it answers about {_owner(response.pod_resources)} instead")
        return response.pod_resources

    def _call(self, method: str, request: "Message", response: "Message") -> None:
        """Fill `response`. gRPC sees bytes only: it would log what it cannot parse."""
        import grpc
        from google.protobuf.message import DecodeError

        path = f"/v1.PodResourcesLister/{method}"
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            content = call(request.SerializeToString(), timeout=self.deadline.remaining_s())
            response.ParseFromString(content)
        except grpc.RpcError as error:
            details = (error.details() or "").replace(self._target, "it")
            raise _CallError(error.code().name, details) from error
        except DecodeError as error:
            raise _UnansweredError(f"its answer to {method} is none of this API") from error


class _Reader:
    """Goes through entries until the deadline; keeps the first faults in words."""

    def __init__(self, deadline: _Deadline) -> None:
        self.faults: list[str] = []
        self._deadline = deadline

    def statements(self, entries: "_Entries") -> tuple[Statement, ...]:
        """Make one for each device: the containers of a pod may share a claim."""
        statements: dict[DeviceId, Statement] = {}
        for entry in entries:
            for device, statement in self._read_given(entry):
                statements.setdefault(device, statement)
        return tuple(statements.values())

    def claims(self, entries: "_Entries") -> tuple[Claim, ...]:
        """Make one for each device and pod."""
        claims = (
            Claim(Source.KUBELET, device, _owner(entry))
            for entry in entries
            for device, _ in self._read_given(entry)
        )
        return tuple(dict.fromkeys(claims))

    def _read_given(self, entry: "messages.PodResources") -> Iterator[tuple[DeviceId, Statement]]:
        during = self._deadline.during
        for container in during(entry.containers):
            name = _printable(container.name) or None
            for allotted in during(container.devices):
                resource = _printable(allotted.resource_name) or None
                node = _numa_node(allotted.topology)
                for device_id in during(allotted.device_ids):
                    if device := self._device(device_id):
                        statement = Statement(
                            Source.KUBELET, device, resource, name, numa_node=node
                        )
                        yield device, statement
            for claim in during(container.dynamic_resources):
                resource = _printable(f"claim {claim.claim_namespace}/{claim.claim_name}")
                for claimed in during(claim.claim_resources):
                    if device := self._parse_claimed(claimed):
                        yield device, Statement(Source.KUBELET, device, resource, name)

    def _device(self, device_id: str) -> DeviceId | None:
        """Return what a device plugin's id means; other devices have ids of any form."""
        if _is_name(device_id):
            return parse_device_id(device_id)
        self._blame(device_id, "is no id of a device")
        return None

    def _parse_claimed(self, claimed: "messages.ClaimResource") -> DeviceId | None:
        """Return what a DRA driver's name means; each driver makes its own names."""
        name = claimed.device_name
        device = parse_dra_name(name) or parse_device_id(name)
        if device is None and claimed.driver_name == _SRIOV_DRIVER:
            self._blame(name, f"of {_SRIOV_DRIVER} is no PCI address")
        return device

    def _blame(self, text: str, fault: str) -> None:
        if len(self.faults) < _FAULTS:
            self.faults.append(f"kubelet's answer: device {_quote(text)} {fault}")


def _is_of(entry: "messages.PodResources", pod: PodRef) -> bool:
    return (entry.namespace, entry.name) == (pod.namespace, pod.name)


def _owner(entry: "messages.PodResources") -> str:
    return _printable(f"{entry.namespace}/{entry.name}")


def _numa_node(topology: "messages.TopologyInfo") -> int | None:
    """Return the node of a device that is on one; kubelet leaves out -1, for none."""
    nodes = {node.ID for node in topology.nodes if node.ID >= 0}
    return nodes.pop() if len(nodes) == 1 else None


def _is_name(text: str) -> bool:
    return text != "" and text == _printable(text)


def _printable(text: str) -> str:
    """Return the text, quoted where it may spoil a line."""
    return text if text.isprintable() and len(text) <= _TEXT_CHARS else _quote(text)


def _quote(text: str) -> str:
    return repr(text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}...")
