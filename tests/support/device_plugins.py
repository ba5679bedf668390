"""Kubelet's side of the device plugin API: plugins register, list their devices, allocate them.

Real gRPC; messages are encoded and decoded by the API's field numbers.
Source: kubernetes, staging/src/k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path

import grpc

from tests.support import children
from tests.support.kubelet import Json, field

HEALTHY = "Healthy"
SRIOV_LOG = "sriovdp.log"
"""What the SR-IOV network device plugin says, in the folder that it was given."""
ANSWERS_WITHIN_S = 60.0
_LISTENS_FOR_S = 3600.0
_WITH_LENGTH = 2


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its plugin lists it."""

    id: str
    health: str


@dataclass(frozen=True, slots=True)
class Options:
    """The optional calls that a plugin requires beside Allocate."""

    pre_start_required: bool
    preferred_allocation_available: bool


@dataclass(frozen=True, slots=True)
class Allocation:
    """A container's allocation of a resource, and the environment set by the plugin."""

    resource: str
    devices: tuple[Device, ...]
    environment: Mapping[str, str]

    def of_container(self) -> Json:
        """Return it in the form of kubelet.a_container(), for the PodResources API."""
        ids = [device.id for device in self.devices]
        return {"resource": self.resource, "ids": ids, "nodes": []}


class Endpoint:
    """A resource that a plugin has registered, and the calls to that plugin."""

    def __init__(self, folder: Path, request: bytes) -> None:
        message = decoded(request)
        self.version, self.resource = text(message, 1), text(message, 3)
        self.socket = folder / text(message, 2)
        self._channel = grpc.insecure_channel(f"unix:{self.socket}")
        listen: grpc.UnaryStreamMultiCallable[bytes, bytes]
        listen = self._channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch")
        self._lists = listen(b"", timeout=_LISTENS_FOR_S, wait_for_ready=True)

    def options(self) -> Options:
        message = decoded(self._call("GetDevicePluginOptions", b""))
        return Options(bool(message.get(1)), bool(message.get(2)))

    @cached_property
    def devices(self) -> tuple[Device, ...]:
        """The plugin's first list; later lists, after changes, are not read."""
        listed = (decoded(device) for device in messages(decoded(next(self._lists)), 1))
        return tuple(Device(text(device, 1), text(device, 2)) for device in listed)

    def allocate(self, *devices: Device) -> Allocation:
        """Allocate these devices to one container."""
        container = b"".join(field(1, device.id.encode()) for device in devices)
        answer = decoded(self._call("Allocate", field(1, container)))
        (message,) = messages(answer, 1)
        pairs = (decoded(pair) for pair in messages(decoded(message), 1))
        environment = {text(pair, 1): text(pair, 2) for pair in pairs}
        return Allocation(self.resource, devices, environment)

    def close(self) -> None:
        self._channel.close()

    def _call(self, method: str, request: bytes) -> bytes:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        call = self._channel.unary_unary(f"/v1beta1.DevicePlugin/{method}")
        return call(request, timeout=ANSWERS_WITHIN_S, wait_for_ready=True)


class Registry(grpc.GenericRpcHandler):
    """The service Registration; `endpoints` are the registered ones, by resource."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.endpoints: dict[str, Endpoint] = {}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        if handler_call_details.method != "/v1beta1.Registration/Register":
            return None

        def register(request: bytes, _context: grpc.ServicerContext) -> bytes:
            endpoint = Endpoint(self._folder, request)
            self.endpoints[endpoint.resource] = endpoint
            return b""

        return grpc.unary_unary_rpc_method_handler(register)


@contextmanager
def registering(folder: Path) -> Iterator[Registry]:
    """Serve `kubelet.sock` in kubelet's folder of device plugins, which is created."""
    folder.mkdir(mode=0o750)
    registry = Registry(folder)
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[registry])
    server.add_insecure_port(f"unix:{folder / 'kubelet.sock'}")
    server.start()
    try:
        yield registry
    finally:
        for endpoint in registry.endpoints.values():
            endpoint.close()
        server.stop(None).wait()


def requested(request: bytes) -> list[list[str]]:
    """Return the devices of an AllocateRequest, container by container."""
    containers = (decoded(container) for container in messages(decoded(request), 1))
    return [[device.decode() for device in messages(container, 1)] for container in containers]


_Fields = dict[int, list[bytes | int]]


def decoded(message: bytes) -> _Fields:
    """Return the fields by number: integers, and the bytes of length-delimited ones."""
    fields: _Fields = {}
    stream = BytesIO(message)
    while stream.tell() < len(message):
        number, kind = divmod(_varint(stream), 8)
        assert kind in {0, _WITH_LENGTH}, f"the API has no field of wire type {kind}"
        value = _varint(stream)
        fields.setdefault(number, []).append(stream.read(value) if kind else value)
    return fields


def _varint(stream: BytesIO) -> int:
    value = shift = 0
    while (byte := stream.read(1)[0]) > 0x7F:
        value |= (byte & 0x7F) << shift
        shift += 7
    return value | byte << shift


def messages(fields: _Fields, number: int) -> list[bytes]:
    """Return the length-delimited values of a field."""
    return [value for value in fields.get(number, ()) if isinstance(value, bytes)]


def text(fields: _Fields, number: int) -> str:
    """Return the text of a field, "" where it is missing."""
    return b"".join(messages(fields, number)[-1:]).decode()


@contextmanager
def sriov_plugin(
    resources: Sequence[Json], folder: Path, before: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the SR-IOV network device plugin of SRIOVBOND_PEERS, for resources of example.com.

    Its configuration and log are in `folder`; `before` begins the command that runs it.
    """
    config = folder / "sriovdp.json"
    config.write_text(json.dumps({"resourceList": resources}))
    program = Path(os.environ["SRIOVBOND_PEERS"], "sriovdp")
    options = ("-logtostderr", "-resource-prefix=example.com", f"-config-file={config}")
    # It reads vendor names from pci.ids, which need not be installed; an empty file will do.
    environment = {**os.environ, "PCIDB_PATH": os.devnull}
    command = [*before, str(program), *options]
    with (
        (folder / SRIOV_LOG).open("wb") as log,
        children.running(command, stderr=log, env=environment) as plugin,
    ):
        yield plugin
