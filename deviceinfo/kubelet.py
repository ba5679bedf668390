"""Asks kubelet over its socket: the calls of its PodResources API, and the time they have.

The only module that imports grpc, and only where it asks, since that import takes 0.1 s.
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
_TEXT_CHARS: Final = 1024  # a name in Kubernetes has 317 at most; a device plugin's id any number
_QUOTED_CHARS: Final = 300

# kubelet answers 100 calls a second, and 10 at once (its pkg/kubelet/apis/podresources/grpc). gRPC
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
    # Else connections are kept by address, and ours is a descriptor's number, which comes again.
    ("grpc.use_local_subchannel_pool", 1),
)
# gRPC reads these when it is imported. Its fork handlers serve a child that goes on with gRPC; for
# one that becomes another program they do nothing but complain on stderr.
_ENVIRONMENT: Final = MappingProxyType(
    {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"},
)

# Get is UNIMPLEMENTED before 1.27. Its errors in words have the code UNKNOWN: "PodResources API Get
# method disabled", "pod X in namespace Y not found". The second comes from an index of names, while
# List goes through the pods themselves. Source: kubernetes, pkg/kubelet/apis/podresources.
_ASK_LIST_CODES: Final = frozenset({"NOT_FOUND", "UNIMPLEMENTED", "UNKNOWN"})


class KubeletError(Exception):
    """Says in words why kubelet tells nothing."""


class CallError(KubeletError):
    """A call ended with another code than OK."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}, {quote(details)}")
        self.code = code


@contextmanager
def hold(socket: Path) -> Iterator[int]:
    """Hold the socket open without connecting; raises FileNotFoundError, KubeletError.

    So what was judged is what is talked to, and its path may be of any length and spelling: the
    one to connect to is a URI to gRPC and has 107 bytes at most (sun_path, linux/un.h).
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
    """Import gRPC with its settings in the environment, and no longer: our children inherit it.

    Nor shall they see what it adds itself, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH. What the operator has
    set stays.
    """
    before = dict(os.environ)
    os.environ.update({**_ENVIRONMENT, **before})
    try:
        import grpc  # noqa: F401
    finally:
        for name in os.environ.keys() - before.keys():
            if name.startswith("GRPC_"):
                os.environ.pop(name, None)


class Deadline:
    """When the whole look-up must be over."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._end_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the time that is left, 0 where it is over."""
        return max(0.0, self._end_s - time.monotonic())

    def during(self, items: "Iterable[_Item]") -> "Iterator[_Item]":
        """Go through the items; raises KubeletError once the time is over."""
        for item in items:
            if time.monotonic() > self._end_s:
                raise KubeletError(f"its answer takes more than {self._timeout_s} s to read")
            yield item


class Kubelet:
    """The calls. Each raises CallError, or KubeletError where the answer makes no sense."""

    def __init__(self, channel: "grpc.Channel", target: str, deadline: Deadline) -> None:
        self.deadline = deadline
        self._channel = channel
        self._target = target

    def find(self, pod: PodRef) -> "tuple[Entries, Entries]":
        """Return the pod's entries, and those of other pods where kubelet gave them too."""
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
        """Return what device plugins offer, as if it were one pod's."""
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
        """Fill `response`. gRPC sees bytes only: it would log what it cannot parse."""
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
    """Return the pod's namespace and name, fit for a line."""
    return printable(f"{entry.namespace}/{entry.name}")


def printable(text: str) -> str:
    """Return the text, quoted where it may spoil a line."""
    return text if text.isprintable() and len(text) <= _TEXT_CHARS else quote(text)


def quote(text: str) -> str:
    """Return the text in quotes, what is too long cut."""
    return repr(text if len(text) <= _QUOTED_CHARS else f"{text[:_QUOTED_CHARS]}...")
