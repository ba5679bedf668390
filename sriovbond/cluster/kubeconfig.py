"""What the Kubernetes API is asked with: a kubeconfig, else a pod's service account.

The kubeconfig is read only where nobody but root can have written it.
"""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from deviceinfo.jsonfile import UnreadableError, opened_folder, read_bounded
from sriovbond.host import Host

_FILE_BYTES: Final = 1 << 20
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
# What Kubernetes tells every pod of its API server.
_ADDRESS, _PORT = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"


def is_there(host: Host) -> bool:
    """Claim that the API may be asked; a kubeconfig that cannot be looked at is none."""
    return host.service_account is not None or _has_file(host)


def named(host: Host) -> str:
    """Name what the API is asked with, for who reads the log."""
    if host.service_account is None or _has_file(host):
        return str(host.kubeconfig)
    return f"the service account {host.service_account}"


def _has_file(host: Host) -> bool:
    with suppress(PermissionError):  # a folder that another user may not enter
        return host.kubeconfig.exists()
    return False


def read(host: Host) -> bytes:
    """Return the kubeconfig's content, at most a MiB; without one, that of a service account's.

    Whoever can write the file, or its folder, chooses who gets the token and which files root
    reads. Raises FileNotFoundError if there is neither, UnreadableError with the reason not to
    use it.
    """
    try:
        return _read_file(host.kubeconfig)
    except FileNotFoundError:
        if host.service_account is None:
            raise
    return _of_account(host.service_account)


def _of_account(folder: Path) -> bytes:
    """Make a kubeconfig of a pod's service account. Its files are named, for they are renewed."""
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


def _read_file(file: Path) -> bytes:
    try:
        with opened_folder(file.parent) as folder_fd:
            status = os.stat(file.name, dir_fd=folder_fd, follow_symlinks=False)
            _check("its folder", os.fstat(folder_fd))
            _check("it", status)
            return read_bounded(folder_fd, file.name, _FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(file) from error
    except OSError as error:
        raise UnreadableError(error.strerror or type(error).__name__) from error


def _check(which: str, status: os.stat_result) -> None:
    """Blame what others can write; an owner other than root only where root reads."""
    if os.geteuid() == 0 and status.st_uid != 0:
        raise UnreadableError(f"{which} belongs to user {status.st_uid}; chown it to root")
    if status.st_mode & _OTHERS_WRITE and not stat.S_ISLNK(status.st_mode):
        mode = stat.S_IMODE(status.st_mode)
        raise UnreadableError(f"{which} can be written by others (mode {mode:04o}); chmod go-w")
