"""A call as the agent reads it."""

import socket
from contextlib import ExitStack

from deviceinfo import PodRef
from sriovbond.agent.calls import Call
from sriovbond.shim.channel import Received
from sriovbond.shim.wire import Request
from tests.support.counting import counted_calls
from tests.support.held_ipam import stdin
from tests.support.shims import variables


def a_call(config: bytes, args: str) -> Call:
    request = Request(variables("ADD", CNI_ARGS=args), config)
    with socket.socket(socket.AF_UNIX) as connection:
        return Call.of(connection, Received(request, None), ExitStack(), 0.0)


def test_whose_a_call_is_is_read_once_however_often_it_is_asked() -> None:
    larger_than_what_is_remembered = {"type": "static", "padding": "x" * (1 << 20)}
    call = a_call(
        stdin(name="net", ipam=larger_than_what_is_remembered),
        ";".join(f"KEY{number}=x" for number in range(1000))
        + ";K8S_POD_NAMESPACE=ns;K8S_POD_NAME=nf1",
    )

    with counted_calls() as counts:
        origins = {call.origin(call.network), call.origin(call.ipam)}

    assert call.pod == PodRef("ns", "nf1")
    assert {origin.namespace for origin in origins} == {"ns"}
    assert call.ipam is not None
    assert (call.network, call.ipam.name) == ("net", "net")
    assert sum(counts.values()) < 100


def test_a_call_that_cannot_be_read_is_nobodys() -> None:
    call = a_call(b"{", "K8S_POD_NAMESPACE")

    assert (call.pod, call.network, call.ipam) == (PodRef(), "", None)
