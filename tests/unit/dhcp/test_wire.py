"""The kernel's filter for packets, on a pair of sockets: a server's messages alone pass it."""

import socket
from collections.abc import Iterator

import pytest

from sriovbond.dhcp import frame, packet, wire
from tests.support.dhcp_packets import ACK, OFFER

OPERATION, COOKIE = 28, 28 + 236
"""Places in a packet with a header of 20 bytes."""


@pytest.fixture
def filtered() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return a sender, and a receiver that has the filter of clients."""
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        wire.attach_filter(receiver, wire.TO_CLIENTS)
        receiver.settimeout(0)
        sender.settimeout(0)
        yield sender, receiver


def passes(pair: tuple[socket.socket, socket.socket], data: bytes) -> bool:
    """Return whether a packet comes through."""
    sender, receiver = pair
    sender.send(data)
    try:
        return receiver.recv(4096) == data
    except BlockingIOError:
        return False


def changed(at: int, value: bytes) -> bytes:
    return ACK[:at] + value + ACK[at + len(value) :]


@pytest.mark.parametrize("data", [ACK, OFFER])
def test_answers_of_a_server_pass(
    filtered: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    assert passes(filtered, data)


def test_an_answer_behind_options_of_ipv4_passes(
    filtered: tuple[socket.socket, socket.socket],
) -> None:
    assert passes(filtered, b"\x46" + ACK[1:20] + bytes(4) + ACK[20:])


@pytest.mark.parametrize(
    "data",
    [
        changed(OPERATION, b"\1"),
        changed(COOKIE, bytes(4)),
        changed(9, b"\x06"),
        changed(22, b"\0\x43"),
        changed(6, b"\x20\0"),
        changed(6, b"\0\1"),
        ACK[:COOKIE],
        b"",
        frame.wrap(packet.encode(packet.decode(frame.unwrap(ACK))), bytes(4), bytes(4)),
    ],
)
def test_only_answers_of_a_server_pass_the_filter(
    filtered: tuple[socket.socket, socket.socket], data: bytes
) -> None:
    assert not passes(filtered, data)
