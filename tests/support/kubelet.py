"""A kubelet for tests: a real gRPC server in its own process, with scripted answers.

Started by `running()`, or by hand: `python -m tests.support.kubelet SOCKET SCRIPT`, where SCRIPT is
the JSON that Kubelet.serve() writes; it is read again when it changes. Answers are encoded by the
API's field numbers here, not with our .proto, so that a wrong number in that one is detected.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

ROOT = Path(__file__).parents[2]
Json = dict[str, Any]
_LOOK_S = 0.02
_ALLOCATABLE = "GetAllocatableResources"
_METHODS = {"Get", "List", _ALLOCATABLE}


def a_pod(name: str, *containers: Json, namespace: str = "default") -> Json:
    return {"namespace": namespace, "name": name, "containers": containers}


def a_container(name: str = "app", *, claims: Iterable[Json] = (), **ids: str | list[str]) -> Json:
    """Return a container with devices by resource: `pf0="0000:01:10.0"`, or several in a list."""
    devices = [
        devices_of(resource, *([device_ids] if isinstance(device_ids, str) else device_ids))
        for resource, device_ids in ids.items()
    ]
    return {"name": name, "devices": devices, "claims": list(claims)}


def devices_of(resource: str, *ids: str, nodes: Iterable[int] = ()) -> Json:
    return {"resource": f"example.com/{resource}", "ids": ids, "nodes": list(nodes)}


def a_claim(driver: str, *devices: str, name: str = "vfs") -> Json:
    """Return a ResourceClaim of DRA and its allocated devices."""
    return {"namespace": "default", "name": name, "driver": driver, "devices": devices}


class Kubelet:
    """A test's handle of the running server."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "pod-resources" / "kubelet.sock"
        self.script = folder / "script"
        self.socket.parent.mkdir(mode=0o750)
        self.serve()

    def serve(self, *pods: Json, raw: Mapping[str, bytes] | None = None, **how: object) -> None:
        """Answer with these pods from now on, and forget the calls so far.

        `raw`: bytes to answer with, by method. `get="disabled"` or `"unimplemented"`: Get is off.
        `offered={"pf0": ["0000:01:10.0"]}`: the device plugins' devices, by resource.
        `exhausted=2`: the limiter refuses the next two calls. `delay_s=60`: it is slow.
        `hangs=True`: it answers nothing before the next serve().
        """
        raw_hex = {method: content.hex() for method, content in (raw or {}).items()}
        new = self.script.with_suffix(".new")
        new.write_text(json.dumps({"pods": pods, "raw": raw_hex, **how}))
        _calls_file(self.script).unlink(missing_ok=True)
        new.replace(self.script)

    def calls(self) -> list[tuple[str, bytes]]:
        """Return method and request of each call since serve()."""
        file = _calls_file(self.script)
        rows = (line.split(" ") for line in file.read_text().splitlines()) if file.exists() else ()
        return [(method, bytes.fromhex(request)) for method, request in rows]

    def methods(self) -> list[str]:
        """Return the methods called since serve()."""
        return [method for method, _ in self.calls()]


@contextmanager
def running(folder: Path) -> Iterator[Kubelet]:
    """Run a kubelet without pods in this empty folder, whose path must be short (sun_path)."""
    kubelet = Kubelet(folder)
    command = [sys.executable, "-m", __name__, str(kubelet.socket), str(kubelet.script)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield kubelet
        finally:
            process.terminate()


class _Service(grpc.GenericRpcHandler):
    """PodResourcesLister; gRPC answers other methods with UNIMPLEMENTED."""

    def __init__(self, script: Path) -> None:
        self._file = script
        self._read = (0, 0)
        self._script: Json = {}
        self._encoded: dict[bytes, bytes] = {}
        self._refusals = 0

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[bytes, bytes] | None":
        self._read_script()
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        is_off = method == "Get" and self._script.get("get") == "unimplemented"
        if service != "v1.PodResourcesLister" or method not in _METHODS or is_off:
            return None

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            with _calls_file(self._file).open("a") as calls:
                calls.write(f"{method} {request.hex()}\n")
            return self._answer(method, request, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    def _read_script(self) -> None:
        version = _version(self._file)
        if self._read == version:
            return
        self._read = version
        self._script = json.loads(self._file.read_text())
        self._refusals = self._script.get("exhausted", 0)
        pods = self._script["pods"]
        entries = [(_request(pod), field(1, _encode_pod(pod))) for pod in pods]
        self._encoded = dict(entries) | {b"": b"".join(entry for _, entry in entries)}

    def _answer(self, method: str, request: bytes, context: grpc.ServicerContext) -> bytes:
        time.sleep(self._script.get("delay_s", 0))
        held_by = self._read if self._script.get("hangs") else None
        while held_by == _version(self._file):
            time.sleep(_LOOK_S)
        if self._refusals > 0:
            self._refusals -= 1
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")
        if method == "Get" and self._script.get("get") == "disabled":
            context.abort(grpc.StatusCode.UNKNOWN, "PodResources API Get method disabled")
        if method in self._script["raw"]:
            return bytes.fromhex(self._script["raw"][method])
        if method == "List":
            return self._encoded[b""]
        if method == _ALLOCATABLE:
            offered = self._script.get("offered", {})
            return b"".join(
                field(1, _encode_devices(devices_of(name, *ids))) for name, ids in offered.items()
            )
        if request not in self._encoded:
            context.abort(grpc.StatusCode.UNKNOWN, "pod X in namespace Y not found")
        return self._encoded[request]


def _request(pod: Json) -> bytes:
    """Encode GetPodResourcesRequest, which identifies the pod."""
    return _text(1, pod["name"]) + _text(2, pod["namespace"])


def _encode_pod(pod: Json) -> bytes:
    containers = (field(3, _encode_container(container)) for container in pod["containers"])
    return _text(1, pod["name"]) + _text(2, pod["namespace"]) + b"".join(containers)


def _encode_container(container: Json) -> bytes:
    """Encode a container, with cpu_ids (3) and memory (4) too, which our .proto does not have."""
    devices = (field(2, _encode_devices(devices)) for devices in container["devices"])
    claims = (field(5, _encode_claim(claim)) for claim in container["claims"])
    memory = field(4, _text(1, "memory") + _number(2, 1 << 30))
    cpus = field(3, _varint(2) + _varint(300))
    return _text(1, container["name"]) + b"".join(devices) + cpus + memory + b"".join(claims)


def _encode_devices(devices: Json) -> bytes:
    ids = b"".join(_text(2, device_id) for device_id in devices["ids"])
    nodes = b"".join(field(1, _number(1, node)) for node in devices["nodes"])
    return _text(1, devices["resource"]) + ids + (field(3, nodes) if nodes else b"")


def _encode_claim(claim: Json) -> bytes:
    """Encode a claim, with the names of CDI (1) and the pool (3) too, not in our .proto."""
    resources = (
        field(1, _text(1, f"{claim['driver']}/vf=x"))
        + _text(2, claim["driver"])
        + _text(3, "node-1")
        + _text(4, device)
        for device in claim["devices"]
    )
    claimed = b"".join(field(4, resource) for resource in resources)
    return _text(2, claim["name"]) + _text(3, claim["namespace"]) + claimed


def _text(number: int, text: str) -> bytes:
    return field(number, text.encode())


def field(number: int, content: bytes) -> bytes:
    """Encode a length-delimited field: a text, a message, packed numbers."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    """Encode seven bits per byte, the lowest first; all but the last have the high bit set."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _version(script: Path) -> tuple[int, int]:
    status = script.stat()
    return status.st_ino, status.st_mtime_ns


def _calls_file(script: Path) -> Path:
    return script.with_suffix(".calls")


def main() -> None:
    """Serve until killed; the socket's mode is that of kubelet's."""
    socket, script = (Path(argument) for argument in sys.argv[1:])
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[_Service(script)])
    server.add_insecure_port(f"unix:{socket}")
    server.start()
    socket.chmod(0o600)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
