"""Which gateways and servers count, and how long one that does not answer is waited for."""

import socket
import time
from pathlib import Path
from threading import Event

import pytest

from sriovbond.kernel import netns
from sriovbond.nodenet.document import read_state
from sriovbond.reshape.site import Site
from sriovbond.trial import probes
from sriovbond.trial.probes import ReachProbe, _is_reply, choose

STATE = """
dns-resolver: {config: {server: [192.0.2.53, 192.0.2.54]}}
routes:
  config:
  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.1, table-id: 254}
  - {destination: 0.0.0.0/0, next-hop-interface: eth1, next-hop-address: 192.0.2.7, table-id: 77}
  - {destination: 10.0.0.0/8, next-hop-interface: eth1, next-hop-address: 192.0.2.8}
  running:
  - {destination: "::/0", next-hop-interface: eth1, next-hop-address: "fe80::1", table-id: 254}
"""


def test_default_gateways_of_the_main_table_and_the_servers_of_dns_are_asked() -> None:
    probes = choose(read_state(STATE))

    assert [str(probe) for probe in probes] == [
        "gateway fe80::1 on eth1",
        "gateway 192.0.2.1 on eth1",
        "DNS 192.0.2.53",
        "DNS 192.0.2.54",
    ]
    assert {probe.group for probe in probes} == {"IPv6 gateway", "IPv4 gateway", "DNS"}


def test_of_many_servers_the_first_eight_are_asked() -> None:
    servers = [f"192.0.2.{number}" for number in range(1, 11)]
    state = read_state(f"dns-resolver: {{config: {{server: [{', '.join(servers)}]}}}}")

    assert [probe.address for probe in choose(state)] == servers[:8]


MARK = b"mark"
REPLY = bytes(4) + MARK


@pytest.mark.parametrize(
    ("packet", "is_ours"),
    [
        (b"\x45" + bytes(19) + REPLY, True),
        (b"\x46" + bytes(23) + REPLY, True),  # an IPv4 header with options
        (b"\x45" + bytes(19) + bytes(4) + b"else", False),  # of another program's ping
        (b"\x45" + bytes(19) + b"\x08\0\0\0" + MARK, False),  # the request itself
        (b"\x45" + bytes(11), False),
    ],
)
def test_only_the_answer_to_the_own_question_counts(packet: bytes, *, is_ours: bool) -> None:
    """A raw socket has every echo reply that comes to the node."""
    assert _is_reply(packet, 4, 0, MARK) is is_ours


def test_a_node_without_a_gateway_needs_none() -> None:
    assert choose(read_state("interfaces: []")) == ()


def test_a_resolver_that_is_silent_takes_no_more_time_than_there_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else the watchdog would have to kill the process that is to revert the change."""
    answered = Event()
    # the resolver of a test's namespace answers at once that it cannot ask
    monkeypatch.setattr(socket, "create_connection", lambda *_: answered.wait(30))
    api = (ReachProbe("API server", "api.example.org", port=6443),)
    began = time.monotonic()

    with netns.own() as own:
        site = Site(own, Path("/"), Path("/sys"))
        rows = probes.missing(
            site,
            frozenset({"API server"}),
            lambda: api,
            lambda: began + 0.5 - time.monotonic(),
            lambda _: None,
        )
    took_s = time.monotonic() - began
    answered.set()

    assert rows == [
        "no API server answers (API server api.example.org port 6443), which one did before"
    ]
    assert took_s < 5
