"""A DRA driver of VFs for the real kubelet: registers, prepares claims, writes device metadata.

Sources: kubernetes v1.36, k8s.io/kubelet/pkg/apis/{pluginregistration,dra}/v1/api.proto;
the metadata's files (KEP-5304): dynamic-resource-allocation/api/metadata. Devices are named as
dra-driver-sriov does. Messages are encoded by the API's field numbers.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import grpc

from tests.node.api import Api, Object
from tests.node.cluster import Cluster
from tests.node.credentials import NODE
from tests.support.device_plugins import decoded, messages, text
from tests.support.kubelet import field

DRIVER: Final = "sriovnetwork.k8snetworkplumbingwg.io"
METADATA: Final = Path("/var/run/kubernetes.io/dra-device-attributes/resourceclaims")
"""Where a container finds the metadata of claims that its pod names."""
PCI: Final = "resource.kubernetes.io/pciBusID"
PF: Final = f"{DRIVER}/pfPciAddress"
REQUEST: Final = "vfs"
_API: Final = "resource.k8s.io/v1"
_REGISTRY: Final = Path("/var/lib/kubelet/plugins_registry")
_FOLDER: Final = Path("/var/lib/kubelet/plugins") / DRIVER
_CDI: Final = Path("/var/run/cdi")
_SERVICE: Final = "v1.DRAPlugin"
_REGISTERED_S: Final = 120.0


def name_of(address: str) -> str:
    """Return the name that the driver gives the device of a PCI address."""
    return address.replace(":", "-").replace(".", "-")


def advertised(vfs: Mapping[str, str], node: str = NODE) -> list[Object]:
    """Return the driver's class, and its slice of a node with VFs, by PCI addresses, of PFs."""
    selector = {"cel": {"expression": f"device.driver == '{DRIVER}'"}}
    pool = {"name": node, "generation": 1, "resourceSliceCount": 1}
    devices = [
        {"name": name_of(vf), "attributes": {PCI: {"string": vf}, PF: {"string": pf}}}
        for vf, pf in vfs.items()
    ]
    return [
        {
            "apiVersion": _API,
            "kind": "DeviceClass",
            "metadata": {"name": DRIVER},
            "spec": {"selectors": [selector]},
        },
        {
            "apiVersion": _API,
            "kind": "ResourceSlice",
            "metadata": {"name": f"vfs-of-{node}"},
            "spec": {"driver": DRIVER, "nodeName": node, "pool": pool, "devices": devices},
        },
    ]


def claim(name: str, count: int) -> Object:
    """Return a claim of VFs, each of another PF."""
    request = {"name": REQUEST, "exactly": {"deviceClassName": DRIVER, "count": count}}
    constraint = {"requests": [REQUEST], "distinctAttribute": PF}
    return {
        "apiVersion": _API,
        "kind": "ResourceClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"devices": {"requests": [request], "constraints": [constraint]}},
    }


def claiming(pod: Object, name: str) -> Object:
    """Return a pod whose container has the devices of a claim."""
    (container,) = pod["spec"]["containers"]
    claimed = {**container, "resources": {"claims": [{"name": REQUEST}]}}
    claims = [{"name": REQUEST, "resourceClaimName": name}]
    return {**pod, "spec": {**pod["spec"], "containers": [claimed], "resourceClaims": claims}}


class DraDriver(grpc.GenericRpcHandler):
    """The driver's services; `is_registered` once kubelet has said so."""

    def __init__(self, api: Api, vfs: Mapping[str, str]) -> None:
        self._api = api
        self._addresses = {name_of(vf): vf for vf in vfs}
        self.is_registered = False
        self.refusal = ""

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        answers: Mapping[str, Callable[[bytes], bytes]] = {
            "GetInfo": lambda _: self._introduce(),
            "NotifyRegistrationStatus": self._hear,
            "NodePrepareResources": lambda request: _each_claim(request, self._prepare),
            "NodeUnprepareResources": lambda request: _each_claim(request, self._unprepare),
        }
        answer = answers.get(handler_call_details.method.rpartition("/")[2])
        if answer is None:
            return None
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: answer(request))

    def _introduce(self) -> bytes:
        values = ("DRAPlugin", DRIVER, str(_FOLDER / "dra.sock"), _SERVICE)
        return b"".join(field(number, each.encode()) for number, each in enumerate(values, 1))

    def _hear(self, request: bytes) -> bytes:
        status = decoded(request)
        self.is_registered, self.refusal = bool(status.get(1)), text(status, 2)
        return b""

    def _prepare(self, name: str, uid: str) -> bytes:
        """Write the claim's metadata and CDI devices; return its devices as kubelet knows them."""
        path = f"/apis/{_API}/namespaces/default/resourceclaims/{name}"
        allocation = self._api.get(path)["status"]["allocation"]
        results = [each for each in allocation["devices"]["results"] if each["driver"] == DRIVER]
        names = [each["device"] for each in results]
        self._write_metadata(name, uid, names)
        self._write_cdi(name, uid, names)
        return b"".join(field(1, self._device(each)) for each in results)

    def _device(self, result: Object) -> bytes:
        cdi = f"{DRIVER}/vf={self._addresses[result['device']]}"
        values = (result["request"], result["pool"], result["device"], cdi)
        return b"".join(field(number, each.encode()) for number, each in enumerate(values, 1))

    def _write_metadata(self, name: str, uid: str, names: list[str]) -> None:
        devices = [
            {
                "driver": DRIVER,
                "pool": NODE,
                "name": each,
                "attributes": {PCI: {"string": self._addresses[each]}},
            }
            for each in names
        ]
        metadata = {
            "kind": "DeviceMetadata",
            "apiVersion": "metadata.resource.k8s.io/v1alpha1",
            "metadata": {"name": name, "namespace": "default", "uid": uid, "generation": 1},
            "requests": [{"name": REQUEST, "devices": devices}],
        }
        file = _metadata_of(name) / REQUEST / "metadata.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(metadata) + "\n")

    def _write_cdi(self, name: str, uid: str, names: list[str]) -> None:
        """Have the runtime mount the metadata where a container has one of the devices."""
        mount = {
            "hostPath": str(_metadata_of(name) / REQUEST / "metadata.json"),
            "containerPath": str(METADATA / name / REQUEST / f"{DRIVER}-metadata.json"),
            "options": ["ro", "bind"],
        }
        edits = {"mounts": [mount]}
        devices = [{"name": self._addresses[each], "containerEdits": edits} for each in names]
        spec = {"cdiVersion": "0.5.0", "kind": f"{DRIVER}/vf", "devices": devices}
        _CDI.mkdir(exist_ok=True)
        _cdi_of(uid).write_text(json.dumps(spec))

    def _unprepare(self, name: str, uid: str) -> bytes:
        _cdi_of(uid).unlink(missing_ok=True)
        shutil.rmtree(_metadata_of(name), ignore_errors=True)
        return b""


def _each_claim(request: bytes, act: Callable[[str, str], bytes]) -> bytes:
    """Answer a request with what comes of each of its claims, by UID."""
    claims = [decoded(each) for each in messages(decoded(request), 1)]
    names = {text(each, 2): text(each, 3) for each in claims}
    return b"".join(
        field(1, field(1, uid.encode()) + field(2, act(name, uid))) for uid, name in names.items()
    )


def _metadata_of(name: str) -> Path:
    return _FOLDER / "dra-device-metadata" / f"default_{name}"


def _cdi_of(uid: str) -> Path:
    return _CDI / f"{DRIVER}_{uid}.json"


@contextmanager
def a_driver(cluster: Cluster, api: Api, vfs: Mapping[str, str]) -> Iterator[DraDriver]:
    """Run the driver of VFs, by their PFs: kubelet has registered it, the API has its devices.

    It has a client of its own, for kubelet asks it at any time.
    """
    driver = DraDriver(api, vfs)
    _FOLDER.mkdir(parents=True, exist_ok=True)
    sockets = (_FOLDER / "dra.sock", _REGISTRY / f"{DRIVER}-reg.sock")  # kubelet looks for the last
    servers = []
    try:
        for socket in sockets:
            server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[driver])
            server.add_insecure_port(f"unix:{socket}")
            server.start()
            servers.append(server)
        cluster.await_true("kubelet has the driver", lambda: driver.is_registered, _REGISTERED_S)
        cluster.api.apply(*advertised(vfs))
        yield driver
    finally:
        for server in servers:
            server.stop(None).wait()
        for socket in sockets:
            socket.unlink(missing_ok=True)
