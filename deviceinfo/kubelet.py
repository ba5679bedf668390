"""Calls kubelet's PodResources API over its socket, within a deadline.

The only module that imports grpc, and only when it calls, since that import takes 0.1 s.
"""

import json
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

from deviceinfo.statement import PodRef

if TYPE_CHECKING:
    import grpc
    from google.protobuf.message import Message

    from deviceinfo import podresources_pb2 as messages

    Entries = list[messages.PodResources]

_Item = TypeVar("_Item")
_ANSWER_BYTES: Final = 16 << 20
_TEXT_CHARS: Final = 1024  # Kubernetes' names have 317 at most; a device id may have more
_QUOTED_CHARS: Final = 300

# kubelet allows 100 calls a second, and 10 at once (its pkg/kubelet/apis/podresources/grpc). gRPC
# tries 5 times at most and varies each pause by a fifth either way (gRFC A6).
_SERVICE_CONFIG: Final = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "v1.PodResourcesLister"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "0.5s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
                },
            }
        ]
    }
)
_CHANNEL_OPTIONS: Final = (
    ("grpc.max_receive_message_length", _ANSWER_BYTES),
    ("grpc.service_config", _SERVICE_CONFIG),
    # Else connections are cached by address, and ours has a descriptor's number, which is reused.
    ("grpc.use_local_subchannel_pool", 1),
)
# gRPC reads these when it is imported. Its fork handlers are for a child that continues to use
# gRPC; in one that executes another program they only complain on stderr.
_ENVIRONMENT: Final = MappingProxyType(
    {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"},
)

# Get is UNIMPLEMENTED before 1.27. Its errors with only a text have the code UNKNOWN:
# "PodResources API Get method disabled", "pod X in namespace Y not found". The second comes from an
# index of names, while List iterates over the pods. Source: kubernetes,
# pkg/kubelet/apis/podresources.
_ASK_LIST_CODES: Final = frozenset({"NOT_FOUND", "UNIMPLEMENTED", "UNKNOWN"})


class KubeletError(Exception):
    """Kubelet gave no usable response; the text says why."""


class CallError(KubeletError):
    """A call ended with a code other than OK."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}, {quote(details)}")
        self.code = code


@contextmanager
def hold(socket: Path) -> Iterator[int]:
    """Hold the socket open without connecting. Raises FileNotFoundError, KubeletError.

    So the checked socket is the one connected to, and its path may have any length and spelling:
    gRPC takes the path as a URI, of at most 107 bytes (sun_path, linux/un.h).
    """
    try:
        socket_fd = os.open(socket, os.O_PATH)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise KubeletError(getattr(error, "strerror", None) or str(error)) from error
    try:
        status = os.fstat(socket_fd)
        if not stat.S_ISSOCK(status.st_mode):
            raise KubeletError("it is not a socket")
        if status.st_uid not in {0, os.geteuid()}:
            raise KubeletError(
                f"it belongs to user {status.st_uid}, and kubelet's to root; look who made it"
            )
        yield socket_fd
    finally:
        os.close(socket_fd)


@contextmanager
def connect(socket_fd: int, timeout_s: float) -> "Iterator[Kubelet]":
    """Open a channel to the socket, for that time; the first in a process imports grpc before."""
    _import_grpc()
    import grpc

    target = f"unix:/proc/self/fd/{socket_fd}"
    with grpc.insecure_channel(target, _CHANNEL_OPTIONS) as channel:
        yield Kubelet(channel, target, Deadline(timeout_s))


@cache
def _import_grpc() -> None:
    """Import gRPC with its settings in the environment, then remove them: children inherit it.

    The variable that gRPC sets itself, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH, is removed as well. What
    the operator has set stays.
    """
    # names only: another thread's first call may remove one before its value is read
    before = set(os.environ)
    for name, text in _ENVIRONMENT.items():
        os.environ.setdefault(name, text)
    try:
        import grpc  # noqa: F401
    finally:
        for name in set(os.environ) - before:
            if name.startswith("GRPC_"):
                os.environ.pop(name, None)


class Deadline:
    """The deadline of the whole look-up."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the remaining time, 0 when it is over."""
        return max(0.0, self._end_s - time.monotonic())

    def during(self, items: "Iterable[_Item]") -> "Iterator[_Item]":
        """Iterate over the items; raises KubeletError once the time is over."""
        for item in items:
            if time.monotonic() > self._end_s:
                raise KubeletError(f"its answer takes more than {self._timeout_s} s to read")
            yield item


class Kubelet:
    """The API's calls. Each raises CallError, or KubeletError for a malformed response."""

    def __init__(self, channel: "grpc.Channel", target: str, deadline: Deadline) -> None:
        self.deadline = deadline
        self._channel = channel
        self._target = target

    def find(self, pod: PodRef) -> "tuple[Entries, Entries]":
        """Return the pod's entries, and those of other pods when kubelet lists them too."""
        try:
            return [self._get(pod)], []
        except CallError as error:
            if error.code not in _ASK_LIST_CODES:
                raise
        return self.list_by_owner(pod)

    def list_by_owner(self, pod: PodRef) -> "tuple[Entries, Entries]":
        """Return the entries of pods of this name, and those of all others."""
        from deviceinfo import podresources_pb2 as messages

        response = messages.ListPodResourcesResponse()
        self._call("List", messages.ListPodResourcesRequest(), response)
        ours: Entries = []
        other_entries: Entries = []
        for entry in self.deadline.during(response.pod_resources):
            (ours if _is_of(entry, pod) else other_entries).append(entry)
        return ours, other_entries

    def list_offered(self) -> "messages.PodResources":
        """Return the devices that device plugins offer, in the shape of one pod's."""
        from deviceinfo import podresources_pb2 as messages

        response = messages.AllocatableResourcesResponse()
        request = messages.AllocatableResourcesRequest()
        self._call("GetAllocatableResources", request, response)
        container = messages.ContainerResources(devices=response.devices)
        return messages.PodResources(containers=[container])

    def _get(self, pod: PodRef) -> "messages.PodResources":
        from deviceinfo import podresources_pb2 as messages

        request = messages.GetPodResourcesRequest(pod_name=pod.name, pod_namespace=pod.namespace)
        response = messages.GetPodResourcesResponse()
        self._call("Get", request, response)
        if not _is_of(response.pod_resources, pod):
            raise KubeletError(f"it answers about {owner_of(response.pod_resources)} instead")
        return response.pod_resources

    def _call(self, method: str, request: "Message", response: "Message") -> None:
        """Call and fill `response`. gRPC handles bytes only: it would log what it cannot parse."""
        import grpc
        from google.protobuf.message import DecodeError

        path = f"/v1.PodResourcesLister/{method}"
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(path)
        try:
            content = call(request.SerializeToString(), timeout=self.deadline.remaining_s())
            response.ParseFromString(content)
        except grpc.RpcError as error:
            details = (error.details() or "").replace(self._target, "it")
            raise CallError(error.code().name, details) from error
        except DecodeError as error:
            raise KubeletError(f"its answer to {method} is none of this API") from error


def _is_of(entry: "messages.PodResources", pod: PodRef) -> bool:
    return (entry.namespace, entry.name) == (pod.namespace, pod.name)


def owner_of(entry: "messages.PodResources") -> str:
    """Return the pod's namespace and name, printable."""
    return printable(f"{entry.namespace}/{entry.name}")


def printable(text: str) -> str:
    """Return the text, quoted when it has unprintable characters."""
    return text if text.isprintable() and len(text) <= _TEXT_CHARS else quote(text)


def quote(text: str) -> str:
    """Return the text in quotes, truncated when too long."""
    return repr(text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}...")
