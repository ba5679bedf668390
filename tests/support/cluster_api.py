"""A Kubernetes API server of pods, NetworkAttachmentDefinitions and Events, over real HTTP."""

import json
import re
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

from sriovbond.host import Host
from tests.support import event_rules

OBJECTS = Path(__file__).parents[1] / "data" / "node" / "objects"
TOKEN = "a-secret-token"  # noqa: S105 - of a server that lives as long as a test
EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"
NETWORKS = "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions/{}"

Answer = Callable[["Handler"], None]


@dataclass(frozen=True, slots=True)
class Got:
    """A received request."""

    method: str
    path: str
    token: str
    at: float
    body: bytes = b""


@dataclass(slots=True)
class ClusterApi:
    """Objects by their path, scripted answers that precede them, and the received requests."""

    port: int = 0
    objects: dict[str, object] = field(default_factory=dict)
    faults: list[tuple[str, Answer]] = field(default_factory=list)
    requests: list[Got] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Faults of received Events."""
    ended: Event = field(default_factory=Event)

    def add_pod(self, pod: dict[str, object]) -> None:
        self._add("/api/v1/namespaces/{}/pods/{}", pod)

    def add_network(self, network: dict[str, object]) -> None:
        self._add(NETWORKS, network)

    def _add(self, path: str, manifest: dict[str, object]) -> None:
        metadata = manifest["metadata"]
        assert isinstance(metadata, dict)
        self.objects[path.format(metadata["namespace"], metadata["name"])] = manifest

    def fail(self, answer: Answer, *, on: str = "", times: int = 1000) -> None:
        """Answer requests whose path contains `on` with `answer`, before anything else."""
        self.faults += [(on, answer)] * times

    def fault(self, path: str) -> Answer | None:
        for place, (on, answer) in enumerate(self.faults):
            if on in path:
                del self.faults[place]
                return answer
        return None

    def events(self, namespace: str = "default") -> list[dict[str, Any]]:
        """Return the stored Events in the order of creation."""
        folder = EVENTS.format(namespace) + "/"
        events = [manifest for path, manifest in [*self.objects.items()] if path.startswith(folder)]
        return [manifest for manifest in events if isinstance(manifest, dict)]

    def answer_to(self, got: Got) -> Answer:
        """Get, create or change an object; only Events can be written."""
        match got.method, self.objects.get(got.path):
            case "GET" | "HEAD", None:
                return status(404)
            case "GET", stored:
                return said(stored)
            case "POST", None if re.fullmatch(EVENTS.format("[^/]+"), got.path):
                return self._write(got.path, json.loads(got.body), None)
            case "PATCH", dict() as stored:
                change = json.loads(got.body)
                return self._write(got.path.rpartition("/")[0], {**stored, **change}, stored)
            case "PATCH", None:
                return status(404)
        return status(405)

    def _write(self, folder: str, event: dict[str, Any], before: dict[str, Any] | None) -> Answer:
        path = f"{folder}/{event['metadata']['name']}"
        faults = event_rules.faults(event, folder.split("/")[-2], before)
        self.refused += faults
        if faults:
            return status(422)
        if before is None and path in self.objects:
            return status(409)
        self.objects[path] = event
        return said(event, 200 if before else 201)

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def kubeconfig(self, folder: Path, **user: object) -> Path:
        """Write a kubeconfig of this server; without `user` with its token."""
        file = folder / "sriovbond.kubeconfig"
        file.write_text(json.dumps(self.kubeconfig_content(**user)))
        file.chmod(0o600)
        return file

    def host(self, folder: Path, **user: object) -> Host:
        """Return a node that calls this server by a kubeconfig in the folder."""
        return Host(kubeconfig=self.kubeconfig(folder, **user))

    def kubeconfig_content(self, **user: object) -> dict[str, object]:
        server = {"server": f"http://127.0.0.1:{self.port}"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": server}],
            "users": [{"name": "sriovbond", "user": user or {"token": TOKEN}}],
            "contexts": [{"name": "it", "context": {"cluster": "here", "user": "sriovbond"}}],
            "current-context": "it",
        }


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; `api` is set by `served`."""

    api: ClusterApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 10

    def do_GET(self) -> None:
        authorization = self.headers.get("Authorization", "")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        got = Got(self.command, self.path, authorization, time.monotonic(), body)
        self.api.requests.append(got)
        answer = self.api.fault(self.path) or self.api.answer_to(got)
        if authorization != f"Bearer {TOKEN}":
            answer = status(401)
        with suppress(OSError):  # the client may have disconnected
            answer(self)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve every other method in the same way, so that it is recorded."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self.do_GET

    def answer(self, code: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """One thread per connection, which may end at any moment; closing waits for all."""

    daemon_threads = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore broken connections; socketserver would write to stderr."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def said(document: object, code: int = 200) -> Answer:
    return raw(json.dumps(document).encode(), code)


def raw(body: bytes, code: int = 200) -> Answer:
    return lambda handler: handler.answer(code, body, {"Content-Type": "application/json"})


def in_chunks(document: object) -> Answer:
    """Send it in chunks of various lengths, as Go's server sends large bodies."""

    def answer(handler: Handler) -> None:
        body = json.dumps(document).encode()
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (body[:1], body[1:700], body[700:], b""):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            time.sleep(0.01)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer an error status; `Retry_After="1"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"kind": "Status", "code": code, "message": "no"}).encode()
    return lambda handler: handler.answer(code, body, named)


def hang(handler: Handler) -> None:
    """Send no answer until the server ends."""
    handler.api.ended.wait()
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Send a byte of the answer each 50 ms, for ever."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while not handler.api.ended.wait(0.05):
        handler.wfile.write(b" ")


def drip_headers(handler: Handler) -> None:
    """Send a byte of a header each 50 ms, for ever."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.api.ended.wait(0.05):
        handler.wfile.write(b"x")


def flood(code: int) -> Answer:
    """Send an answer that never ends."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "1000000000000")
        handler.end_headers()
        while not handler.api.ended.is_set():
            handler.wfile.write(b" " * 65536)

    return answer


def hang_up(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True


@contextmanager
def served(account: Path | None = None) -> Iterator[ClusterApi]:
    """Serve on a port of the loopback interface; with TLS for the pod of a service account."""
    api = ClusterApi()
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"api": api}))
    if account:
        server.socket = _make_account(account).wrap_socket(server.socket, server_side=True)
    api.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        api.ended.set()
        for left_alone in threading.enumerate():
            if left_alone.name == "kubernetes-api":  # the client gave up on it; it is answered now
                left_alone.join(timeout=10)
        server.shutdown()
        thread.join()
        server.server_close()


def _make_account(folder: Path) -> ssl.SSLContext:
    """Create token and CA in the folder; return the server's TLS context with that CA."""
    key, certificate = folder / "server.key", folder / "ca.crt"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api"
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make.split(), *names, *files], check=True, capture_output=True)
    (folder / "token").write_text(f"{TOKEN}\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def recorded_pod() -> dict[str, object]:
    """Return a pod with two SR-IOV networks and a bond, captured from an API server."""
    pod: dict[str, object] = json.loads((OBJECTS / "pod.json").read_text())
    return pod


def recorded_networks() -> list[dict[str, object]]:
    """Return the NetworkAttachmentDefinitions of that pod."""
    networks: list[dict[str, object]] = json.loads((OBJECTS / "net-attach-defs.json").read_text())[
        "items"
    ]
    return networks
