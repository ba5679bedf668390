"""A device plugin of VFs for the real kubelet: registers, lists, allocates, writes device-info.

Source: kubernetes, staging/src/k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1/api.proto; the files:
k8snetworkplumbingwg/device-info-spec. Messages are encoded by the API's field numbers.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from pathlib import Path
from typing import Final

import grpc

from tests.support import device_plugins
from tests.support.kubelet import field

FOLDER: Final = Path("/var/lib/kubelet/device-plugins")
DEVICE_INFO: Final = Path("/run/k8s.cni.cncf.io/devinfo/dp")
_VERSION: Final = b"v1beta1"
_REGISTERS_WITHIN_S: Final = 60.0
_LOOKS_EVERY_S: Final = 0.5
Made = tuple[int, int] | None


class Resource(grpc.GenericRpcHandler):
    """The service of one resource: its devices are PCI addresses."""

    def __init__(self, name: str, devices: tuple[str, ...], ended: threading.Event) -> None:
        self.name, self.devices, self._ended = name, devices, ended
        self.socket = f"test-{name.replace('/', '-')}.sock"
        self.allocated: list[str] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        method = handler_call_details.method.rpartition("/")[2]
        if method == "ListAndWatch":
            return grpc.unary_stream_rpc_method_handler(self._list)
        if method == "Allocate":
            return grpc.unary_unary_rpc_method_handler(lambda request, _: self.allocate(request))
        if method == "GetDevicePluginOptions":
            return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
        return None

    def write_device_info(self, folder: Path) -> None:
        """Write a file for each device, as the SR-IOV network device plugin does."""
        folder.mkdir(parents=True, exist_ok=True)
        for device in self.devices:
            name = f"{self.name.replace('/', '-')}-{device}-device.json"
            content = {"type": "pci", "version": "1.1.0", "pci": {"pci-address": device}}
            (folder / name).write_text(json.dumps(content))

    def _list(self, _request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        listed = (field(1, device.encode()) + field(2, b"Healthy") for device in self.devices)
        yield b"".join(field(1, device) for device in listed)
        while context.is_active() and not self._ended.wait(_LOOKS_EVERY_S):
            pass

    def allocate(self, request: bytes) -> bytes:
        """Answer for each container with the variable that pods know their devices by."""
        containers = device_plugins.requested(request)
        self.allocated += [device for devices in containers for device in devices]
        variable = f"PCIDEVICE_{self.name.translate(str.maketrans('./', '__')).upper()}"
        return b"".join(
            field(1, field(1, field(1, variable.encode()) + field(2, ",".join(devices).encode())))
            for devices in containers
        )


class DevicePlugin:
    """Serves resources, and registers them with each kubelet that comes up, until `close`.

    `folder` is kubelet's folder of device plugins, `device_info` that of the specification.
    """

    def __init__(
        self,
        resources: Mapping[str, tuple[str, ...]],
        folder: Path = FOLDER,
        device_info: Path = DEVICE_INFO,
    ) -> None:
        self._folder = folder
        self._ended = threading.Event()
        self.resources = [
            Resource(f"example.com/{name}", devices, self._ended)
            for name, devices in resources.items()
        ]
        self._servers: list[grpc.Server] = []
        for resource in self.resources:
            resource.write_device_info(device_info)
        self._thread = threading.Thread(target=self._keep_registered, name="device plugin")
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._stop()

    def _keep_registered(self) -> None:
        """Kubelet empties its folder at each start, and makes its socket anew."""
        known: Made = None
        while not self._ended.wait(_LOOKS_EVERY_S):
            latest = made(self._folder / "kubelet.sock")
            if latest not in {None, known} and self._register():
                known = latest

    def _register(self) -> bool:
        self._stop()
        for resource in self.resources:
            server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[resource])
            (self._folder / resource.socket).unlink(missing_ok=True)
            server.add_insecure_port(f"unix:{self._folder / resource.socket}")
            server.start()
            self._servers.append(server)
        with grpc.insecure_channel(f"unix:{self._folder}/kubelet.sock") as channel:
            register: grpc.UnaryUnaryMultiCallable[bytes, bytes]
            register = channel.unary_unary("/v1beta1.Registration/Register")
            try:
                for resource in self.resources:
                    request = field(1, _VERSION) + field(2, resource.socket.encode())
                    name = field(3, resource.name.encode())
                    register(request + name, timeout=_REGISTERS_WITHIN_S, wait_for_ready=True)
            except grpc.RpcError:
                return False  # this kubelet is gone again; the next one has another socket
        return True

    def _stop(self) -> None:
        for server in self._servers:
            server.stop(None).wait()
        self._servers.clear()


def made(socket: Path) -> Made:
    """Return what distinguishes this socket from the last one, whose inode it may have."""
    try:
        status = socket.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns
