"""A message is read as its server sent it, and nothing hostile is more than malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sriovbond.dhcp import frame, packet
from sriovbond.dhcp.packet import DhcpMessage, DhcpOption, MalformedError, MessageKind
from tests.support.dhcp_packets import ACK, MAC, OFFER, XID

HEAD = 240
PAYLOAD = frame.unwrap(ACK)


def with_options(area: bytes) -> bytes:
    return PAYLOAD[:HEAD] + area


def test_a_captured_offer_is_read() -> None:
    message = packet.decode(frame.unwrap(OFFER))

    assert (message.xid, message.mac, message.is_reply) == (XID, MAC, True)
    assert message.kind == MessageKind.OFFER
    assert message.options[DhcpOption.SERVER] == bytes([192, 0, 2, 1])


def test_an_encoded_message_is_decoded_unchanged() -> None:
    options = {int(DhcpOption.KIND): b"\x01", int(DhcpOption.CLIENT_ID): b"\x01" + MAC}
    message = DhcpMessage(XID, MAC, options, seconds=70_000, own=bytes([192, 0, 2, 9]))

    payload = packet.encode(message)

    assert len(payload) >= 300
    assert packet.decode(payload) == DhcpMessage(XID, MAC, options, 0xFFFF, message.own)


def test_parts_of_an_option_are_put_together_also_from_the_file_and_the_name() -> None:
    parts = bytes([DhcpOption.SEARCH, 2]) + b"ab" + bytes([52, 1, 3, 255])
    payload = bytearray(with_options(parts))
    payload[108:112] = bytes([DhcpOption.SEARCH, 1]) + b"c" + bytes([255])  # file
    payload[44:48] = bytes([DhcpOption.SEARCH, 1]) + b"d" + bytes([255])  # name

    assert packet.decode(bytes(payload)).options[DhcpOption.SEARCH] == b"abcd"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        PAYLOAD[:239],
        PAYLOAD + bytes(packet.MOST_BYTES),
        b"\x03" + PAYLOAD[1:],
        PAYLOAD[:1] + b"\x06" + PAYLOAD[2:],
        PAYLOAD[:2] + b"\x10" + PAYLOAD[3:],
        PAYLOAD[:236] + b"BOOT" + PAYLOAD[240:],
        with_options(bytes([53, 1])),
        with_options(bytes([53])),
        with_options(bytes([61, 200]) + bytes(199)),
    ],
)
def test_a_payload_that_is_no_message_of_dhcp_is_malformed(payload: bytes) -> None:
    with pytest.raises(MalformedError):
        packet.decode(payload)


def test_an_option_that_is_too_long_is_not_sent() -> None:
    with pytest.raises(MalformedError, match="option 61 has 256 bytes"):
        packet.encode(DhcpMessage(XID, MAC, {int(DhcpOption.CLIENT_ID): bytes(256)}))


@given(some.binary(max_size=600))
def test_garbage_behind_the_head_is_a_message_or_malformed(area: bytes) -> None:
    try:
        message = packet.decode(with_options(area))
    except MalformedError:
        return
    assert sum(map(len, message.options.values())) <= len(area) + 64 + 128


@given(some.binary(max_size=700))
def test_garbage_as_a_packet_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        packet.decode(frame.unwrap(data))
