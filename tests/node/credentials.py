"""Keys, tokens and kubeconfigs of a cluster that exists as long as a test run."""

import json
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SERVICE: Final = "10.96.0.1"
"""The address of the API server as pods know it, and as the VM reaches it."""
NODE: Final = "vm"
_NAMES: Final = f"IP:127.0.0.1,IP:{SERVICE},DNS:kubernetes.default.svc"
_DAYS: Final = "2"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the API: the name of its kubeconfig, its own name, its groups."""

    file: str
    name: str
    groups: str


USERS: Final = (
    User("admin", "admin", "system:masters"),
    User("controller-manager", "system:kube-controller-manager", ""),
    User("scheduler", "system:kube-scheduler", ""),
    User("node", f"system:node:{NODE}", "system:nodes"),
)


def make(folder: Path, address: str, port: int) -> None:
    """Write all that a control plane whose API listens there needs, and its clients.

    `node.kubeconfig` is for the VM, the others for this machine.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_certificates(folder)
    rows = []
    for user in USERS:
        token = secrets.token_urlsafe(24)
        rows.append(f'{token},{user.name},{user.file},"{user.groups}"\n')
        inside = user.file == "node"
        server = f"https://{SERVICE}" if inside else f"https://{address}:{port}"
        _write(folder / f"{user.file}.kubeconfig", kubeconfig(folder / "ca.crt", server, token))
    _write(folder / "tokens.csv", "".join(rows))


def kubeconfig(authority: Path, server: str, token: str) -> str:
    """Return a kubeconfig of one user; `authority` is the file with the CA's certificate."""
    cluster = {"server": server, "certificate-authority": str(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "node", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "it", "context": {"cluster": "node", "user": "user"}}],
        "current-context": "it",
    }
    return json.dumps(content)


def _make_certificates(folder: Path) -> None:
    """Make a CA, the server's certificate, and the key that signs service accounts' tokens."""
    # Python 3.13, as in our image, refuses a CA without keyUsage.
    _openssl(folder, "ca", "/CN=node-ca", "keyUsage=critical,keyCertSign,cRLSign")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key")
    names = (f"subjectAltName={_NAMES}", "basicConstraints=critical,CA:FALSE")
    _openssl(folder, "server", "/CN=kube-apiserver", *names, signed=signed)
    _openssl(folder, "accounts", "/CN=service-accounts")


def _openssl(
    folder: Path, name: str, subject: str, *extensions: str, signed: tuple[str, ...] = ()
) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    files = ("-keyout", f"{name}.key", "-out", f"{name}.crt")
    added = [word for extension in extensions for word in ("-addext", extension)]
    command = ["openssl", "req", "-x509", "-days", _DAYS, "-subj", subject, *key, *files, *added]
    subprocess.run([*command, *signed], cwd=folder, check=True, capture_output=True)
    (folder / f"{name}.key").chmod(0o600)


def _write(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
