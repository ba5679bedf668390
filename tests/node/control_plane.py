"""A control plane on this machine's loopback: etcd, kube-apiserver, controller manager, scheduler.

All state is in one folder; all processes end with the block that started them.
"""

import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.node import credentials, processes
from tests.node.processes import Program

_READY_S: Final = 180.0
_ANSWERS_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where its programs, its kubeconfigs and its logs are, and the port of its API."""

    programs: Path
    folder: Path
    port: int

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Return what kubectl prints, by the administrator. Raises FailedError with its words."""
        config = f"--kubeconfig={self.folder / 'admin.kubeconfig'}"
        command = [str(self.programs / "kubectl"), config, *arguments]
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=_ANSWERS_S, check=False
        )
        if done.returncode:
            raise processes.FailedError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def is_ready(self) -> bool:
        """Return whether the API server says that it is."""
        try:
            return self.kubectl("get", "--raw=/readyz") == "ok"
        except processes.FailedError:
            return False


@contextmanager
def a_control_plane(
    programs: Path, folder: Path, address: str = "127.0.0.1", port: int = 0
) -> Iterator[ControlPlane]:
    """Run a control plane until the block ends. Raises FailedError if it does not come up.

    The API has this address of the machine, and this port, or a free one.
    """
    client, peer, free = (str(port) for port in _free_ports(3))
    api = str(port or free)
    credentials.make(folder, address, int(api))
    plane = ControlPlane(programs, folder, int(api))
    with tempfile.TemporaryDirectory(prefix="sriovbond-etcd-") as data, ExitStack() as held:

        def run(program: str, **flags: str) -> Program:
            command = [str(programs / program), *_flags(flags)]
            return held.enter_context(processes.running(command, folder / f"{program}.log"))

        etcd = run("etcd", **_etcd(data, client, peer))
        api_server = run("kube-apiserver", **_api_server(folder, client, address, api))
        processes.await_true("the API is ready", plane.is_ready, _READY_S, etcd, api_server)
        run("kube-controller-manager", **_controller_manager(folder))
        run("kube-scheduler", **_client(folder, "scheduler"))
        yield plane


def _flags(flags: Mapping[str, str]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]


def _etcd(data: str, client: str, peer: str) -> dict[str, str]:
    return {
        "data_dir": data,
        "listen_client_urls": f"http://127.0.0.1:{client}",
        "advertise_client_urls": f"http://127.0.0.1:{client}",
        # its own default names port 2380, which must then be the peer's
        "listen_peer_urls": f"http://127.0.0.1:{peer}",
        "initial_advertise_peer_urls": f"http://127.0.0.1:{peer}",
        "initial_cluster": f"default=http://127.0.0.1:{peer}",
        "unsafe_no_fsync": "true",
    }


def _api_server(folder: Path, client: str, address: str, port: str) -> dict[str, str]:
    return {
        "etcd_servers": f"http://127.0.0.1:{client}",
        "bind_address": address,
        "secure_port": port,
        # a loopback address may not be advertised; no object names it
        "advertise_address": credentials.SERVICE,
        "endpoint_reconciler_type": "none",
        "service_cluster_ip_range": f"{credentials.SERVICE}/24",
        "allow_privileged": "true",
        "authorization_mode": "Node,RBAC",
        "token_auth_file": f"{folder}/tokens.csv",
        "tls_cert_file": f"{folder}/server.crt",
        "tls_private_key_file": f"{folder}/server.key",
        "service_account_issuer": "https://kubernetes.default.svc",
        "service_account_key_file": f"{folder}/accounts.crt",
        "service_account_signing_key_file": f"{folder}/accounts.key",
    }


def _controller_manager(folder: Path) -> dict[str, str]:
    return {
        **_client(folder, "controller-manager"),
        "use_service_account_credentials": "true",
        "service_account_private_key_file": f"{folder}/accounts.key",
        "root_ca_file": f"{folder}/ca.crt",
        # the emulated node is late with its heartbeats
        "node_monitor_grace_period": "300s",
    }


def _client(folder: Path, user: str) -> dict[str, str]:
    return {
        "kubeconfig": f"{folder}/{user}.kubeconfig",
        "leader_elect": "false",
        "secure_port": "0",  # neither metrics nor health
    }


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
