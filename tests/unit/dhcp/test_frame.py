"""A packet is taken with right checksums only, to a client's port, and whole."""

import pytest

from sriovbond.dhcp import frame
from sriovbond.dhcp.packet import MalformedError
from tests.support.dhcp_packets import ACK

SOURCE, TARGET = bytes([192, 0, 2, 9]), b"\xff" * 4


def changed(place: int, value: int) -> bytes:
    return ACK[:place] + bytes([value]) + ACK[place + 1 :]


def test_a_captured_packet_carries_its_payload() -> None:
    assert frame.unwrap(ACK) == ACK[28:]
    assert frame.unwrap(ACK + bytes(40)) == ACK[28:]


def test_a_packet_to_a_server_has_right_checksums() -> None:
    made = frame.wrap(b"payload", SOURCE, TARGET)

    assert frame.checksum(made[:20]) == 0
    assert made[20:24] == bytes([0, 68, 0, 67])
    with pytest.raises(MalformedError, match="not to a client"):
        frame.unwrap(made)


@pytest.mark.parametrize(
    "data",
    [
        ACK[:27],
        ACK[:200],
        changed(0, 0x65),
        changed(0, 0x44),
        changed(6, 0x20),
        changed(8, 1),
        changed(9, 6),
        changed(23, 69),
        changed(24, 0xFF),
        changed(100, 1),
    ],
)
def test_a_truncated_or_altered_frame_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        frame.unwrap(data)


def test_a_checksum_that_is_left_to_the_hardware_is_not_looked_at() -> None:
    assert frame.unwrap(changed(200, 1), is_summed=False)
