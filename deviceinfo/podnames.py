"""Lists the pods that kubelet has on this node, by its PodResources API."""

import socket as sockets
import struct
from pathlib import Path
from typing import Final

from deviceinfo.kubelet import KubeletError, connect, hold, quote
from deviceinfo.statement import Listing, PodRef

_PEER: Final = struct.Struct("iII")  # struct ucred: pid, uid, gid


def read_names(socket: Path, *, timeout_s: float = 2.0) -> Listing:
    """Return the pods that kubelet has on this node.

    Takes `timeout_s` at most; the first call in a process imports grpc before.
    """
    failure = f"cannot ask kubelet on {quote(str(socket))} for its pods"
    try:
        with hold(socket) as socket_fd, connect(socket_fd, timeout_s) as kubelet:
            _, entries = kubelet.list_by_owner(PodRef())
            names = frozenset(f"{entry.namespace}/{entry.name}" for entry in entries)
            return Listing(names, sees_processes=_peer_pid(socket_fd, timeout_s) > 0)
    except OSError as error:
        return Listing(problem=f"{failure}: {error.strerror or error}")
    except KubeletError as error:
        return Listing(problem=f"{failure}: {error}")


def _peer_pid(socket_fd: int, timeout_s: float) -> int:
    """Return the listening process, 0 when it is in no PID namespace of ours (socket(7))."""
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM | sockets.SOCK_CLOEXEC) as peer:
        peer.settimeout(timeout_s)
        peer.connect(f"/proc/self/fd/{socket_fd}")
        credentials = peer.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _PEER.size)
        return int(_PEER.unpack(credentials)[0])
