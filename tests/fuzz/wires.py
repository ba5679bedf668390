"""Hostile frames and answers: on the agent's socket, of netlink, kubelet, IPAM, API, DHCP."""

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from google.protobuf.message import DecodeError

from deviceinfo import podresources_pb2
from deviceinfo.jsonfile import Fields, parse_object
from deviceinfo.kubelet import Deadline, KubeletError
from deviceinfo.plainfile import UnreadableError
from deviceinfo.podresources import _Reader
from sriovbond.cluster.annotations import are_names, read_definition, read_pod
from sriovbond.cni.decoding import decode_object
from sriovbond.cni.result import CniResult
from sriovbond.cni.versions import SUPPORTED_VERSIONS
from sriovbond.cni.wire import CniError
from sriovbond.dhcp import frame as frames
from sriovbond.dhcp import lease as leases
from sriovbond.dhcp import packet
from sriovbond.dhcp.lease import Moment
from sriovbond.dhcp.packet import MalformedError
from sriovbond.errors import KernelError
from sriovbond.kernel import bonding, carried, links, messages, vfs, watch
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from sriovbond.shim import channel
from sriovbond.shim.wire import FrameError
from tests.fuzz.world import World
from tests.support import samples

_ANNOTATION: Final = "k8s.v1.cni.cncf.io/networks"
_STATUS: Final = "k8s.v1.cni.cncf.io/network-status"
_IN_TIME_S: Final = 5.0
_MOST_ROUTES: Final = 64


def frame(world: World, content: bytes) -> None:
    """Judge what comes over the agent's socket, whose other end then hangs up."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with suppress(BlockingIOError):
            theirs.send(content, socket.MSG_DONTWAIT)
        theirs.close()
        with world.judged(), suppress(FrameError), channel.received(ours, _IN_TIME_S) as received:
            assert all(name.startswith("CNI_") for name in received.request.environment)


def netlink(world: World, content: bytes) -> None:
    """Judge a body or a datagram of the kernel; the first byte says of what."""
    read = _READERS[content[0] % len(_READERS)] if content else _link
    with world.judged(), suppress(KernelError):
        read(content[1:])


def dhcp(world: World, content: bytes) -> None:
    """Judge a packet to a client of DHCP, or what it carries: the first byte says which."""
    with world.judged(), suppress(MalformedError):
        payload = frames.unwrap(content[1:]) if content[:1] == b"\0" else content[1:]
        lease = leases.read(packet.decode(payload), Moment(0.0, "boot", 0.0))
        assert len(lease.routes) <= _MOST_ROUTES
        assert not any(set(name) & set(" \t\n\r\0#;") for name in lease.search)


def _link(body: bytes) -> None:
    message = messages.read_link(body)
    bonding.state_of(message, [message])
    for vf in links._link(message).vfs:  # noqa: SLF001 - what dump makes of it
        assert len(vf.mac) == len("00:00:00:00:00:00")


def _vfs(listed: bytes) -> None:
    for vf in vfs.read(listed, None):
        assert len(vf.mac) == len("00:00:00:00:00:00")


def _route(body: bytes) -> None:
    route = messages.read_route(body)
    carried.routes([route])
    list(carried.next_hops(route))


def _address(body: bytes) -> None:
    address = messages.read_address(body)
    assert address.address == "" or socket.inet_pton(address.family, address.address)


def _events(datagram: bytes) -> None:
    list(watch._events(datagram, None))  # noqa: SLF001 - what the watch makes of a datagram


def _answers(datagram: bytes) -> None:
    with _Kernel(datagram) as kernel:
        request = NetlinkRequest(nl.RTM_GETLINK, "look", messages.link(1))
        for ask in (kernel.get, kernel.dump, kernel.send):
            with suppress(KernelError):
                ask(request)


class _Kernel(Netlink):
    """A gate at whose other end stands this datagram, and then nothing."""

    def __init__(self, datagram: bytes) -> None:
        super().__init__()
        self.close()
        self._socket = _Datagram(datagram)  # type: ignore[assignment] # the calls that matter


class _Datagram:
    """A socket that gives one datagram for each request, and then has nothing more to say."""

    def __init__(self, datagram: bytes) -> None:
        self._datagram = datagram
        self._is_due = False

    def send(self, _request: bytes) -> None:
        self._is_due = True

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[int, int]]:
        if not self._is_due:
            raise BlockingIOError
        self._is_due = False
        memoryview(buffer)[: len(self._datagram)] = self._datagram
        return len(self._datagram), (0, 0)

    def close(self) -> None: ...


_READERS: Final[tuple[Callable[[bytes], None], ...]] = (
    _link,
    _vfs,
    _route,
    _address,
    _events,
    _answers,
)


def kubelet(world: World, content: bytes) -> None:
    """Judge kubelet's answer to List."""
    response = podresources_pb2.ListPodResourcesResponse()
    with world.judged():
        with suppress(DecodeError):
            response.ParseFromString(content)
        reader = _Reader(Deadline(_IN_TIME_S))
        with suppress(KubeletError):
            reader.statements(list(response.pod_resources))
            reader.claims(list(response.pod_resources))
    assert all(fault.isprintable() for fault in reader.faults)


def lease(world: World, content: bytes) -> None:
    """Judge what an IPAM plugin prints; the first byte says in which version."""
    version = SUPPORTED_VERSIONS[content[0] % len(SUPPORTED_VERSIONS)] if content else "1.1.0"
    with world.judged(), suppress(CniError):
        result = CniResult.from_json(decode_object(content[1:], "its result"), version, "it")
        for other in SUPPORTED_VERSIONS:
            json.dumps(result.to_json(other))


def api(world: World, content: bytes) -> None:
    """Judge an object of the API server, a pod or a network, and its text as an annotation."""
    text = content.decode("utf-8", "replace")
    annotated = Fields({"metadata": {"annotations": {_ANNOTATION: text, _STATUS: text}}})
    problems: list[str] = []
    with world.judged():
        for read in (_read_object, _read_pod):
            with _noted(problems):
                problems += read(parse_object(content))
        problems += _read_pod(annotated)
    assert all(problem.isprintable() for problem in problems), problems


def _read_object(fields: Fields) -> Sequence[str]:
    read_definition(fields)
    return ()


def _read_pod(fields: Fields) -> Sequence[str]:
    facts = read_pod(fields, samples.SANDBOX.pod)
    assert all(are_names(each.namespace, each.name) for each in facts.selections)
    return facts.problems


@contextmanager
def _noted(problems: list[str]) -> Iterator[None]:
    """Note why an object is refused: it is none, or another pod of this name."""
    try:
        yield
    except UnreadableError as error:
        problems.append(str(error))
