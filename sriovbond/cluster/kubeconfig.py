"""Credentials for the Kubernetes API: a kubeconfig, else a pod's service account.

The kubeconfig is used only if none but root can have written it.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo.plainfile import UnreadableError
from sriovbond import ownfiles
from sriovbond.host import Host

_FILE_BYTES: Final = 1 << 20
# Kubernetes sets these in every pod.
_ADDRESS, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


def is_there(host: Host) -> bool:
    """Return whether API access is configured; an inaccessible kubeconfig counts as missing."""
    return host.service_account is not None or _has_file(host)


def describe_access(host: Host) -> str:
    """Return a text for the log that names the credentials in use."""
    if host.service_account is None or _has_file(host):
        return str(host.kubeconfig)
    return f"the service account {host.service_account}"


def _has_file(host: Host) -> bool:
    with suppress(PermissionError):  # a folder without permission to enter
        return host.kubeconfig.exists()
    return False


def read(host: Host) -> bytes:
    """Return the kubeconfig's content, at most 1 MiB; without one, one for the service account.

    A user who can write the file, or its folder, chooses who gets the token and which files root
    reads. Raises FileNotFoundError if there is neither, UnreadableError with the reason why it must
    not be used.
    """
    try:
        return ownfiles.read(host.kubeconfig, _FILE_BYTES)
    except FileNotFoundError:
        if host.service_account is None:
            raise
    return _of_account(host.service_account)


def _of_account(folder: Path) -> bytes:
    """Build a kubeconfig for a pod's service account, by file names: the files are renewed."""
    token, authority = folder / "token", folder / "ca.crt"
    for file in (token, authority):
        if not os.access(file, os.R_OK):
            raise UnreadableError(f"it has no {file.name} that can be read; mount it there")
    cluster = {"server": _server(), "certificate-authority": str(authority)}
    account = {
        "clusters": [{"name": "cluster", "cluster": cluster}],
        "users": [{"name": "account", "user": {"tokenFile": str(token)}}],
        "contexts": [{"name": "pod", "context": {"cluster": "cluster", "user": "account"}}],
        "current-context": "pod",
    }
    return json.dumps(account).encode()


def _server() -> str:
    address, port = (os.environ.get(name) for name in (_ADDRESS, _PORT))
    if not address or not port:
        raise UnreadableError(f"{_ADDRESS} or {_PORT} is not set, as Kubernetes does in a pod")
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
