"""A lease is what of a server's answer can be used, and has its age also after a boot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from sriovbond.dhcp import frame, lease, packet
from sriovbond.dhcp.packet import DhcpMessage, MalformedError, MessageKind
from tests.support.dhcp_packets import ACK, MAC, XID, a_moment, a_reply

ASKED = DhcpMessage(XID, MAC)
NOW = a_moment(50.0)


def test_a_captured_lease_has_all_that_its_server_gave() -> None:
    read = lease.read(packet.decode(frame.unwrap(ACK)), NOW)

    assert (read.text, read.server, read.lease_s) == ("192.0.2.103/24", "192.0.2.1", 3600)
    assert (read.renewal_s, read.rebinding_s) == (1800, 3150)
    assert read.routes == (("10.0.0.0/8", "192.0.2.7"), ("0.0.0.0/0", "192.0.2.9"))
    assert (read.servers, read.mtu) == (("192.0.2.53",), 1400)
    assert read.search == ("corp.example.org", "x.example.org")
    assert read.malformed == ()


def test_without_classless_routes_the_router_is_the_default_gateway() -> None:
    reply = a_reply(ASKED, MessageKind.ACK, router=bytes([192, 0, 2, 1, 192, 0, 2, 2]))

    assert lease.read(reply, NOW).routes == (("0.0.0.0/0", "192.0.2.1"),)


def test_a_malformed_option_is_left_out_and_named() -> None:
    reply = a_reply(ASKED, MessageKind.ACK, mtu=b"\0\1", domain=b"a\nb", mask=bytes(4))

    read = lease.read(reply, NOW)

    assert (read.mtu, read.search, read.prefix) == (0, (), 24)
    assert [text.partition(":")[0] for text in read.malformed] == [
        "option 15",
        "option 1",
        "option 26",
    ]


@pytest.mark.parametrize("name", ["server", "lease_time"])
def test_a_reply_without_server_or_lease_time_is_no_lease(name: str) -> None:
    with pytest.raises(MalformedError):
        lease.read(a_reply(ASKED, MessageKind.ACK, **{name: b""}), NOW)


def test_an_address_that_no_host_can_have_is_no_lease() -> None:
    reply = replace(a_reply(ASKED, MessageKind.ACK), given=bytes([127, 0, 0, 1]))

    with pytest.raises(MalformedError):
        lease.read(reply, NOW)


@pytest.mark.parametrize(
    ("renewal", "rebinding", "expected"),
    [(600, 1200, (600, 1200)), (1200, 600, (1800, 3150)), (600, 4000, (1800, 3150))],
)
def test_times_that_make_no_sense_are_those_of_the_rfc(
    renewal: int, rebinding: int, expected: tuple[int, int]
) -> None:
    reply = a_reply(
        ASKED,
        MessageKind.ACK,
        renewal_time=renewal.to_bytes(4, "big"),
        rebinding_time=rebinding.to_bytes(4, "big"),
    )

    read = lease.read(reply, NOW)

    assert (read.renewal_s, read.rebinding_s) == expected


@pytest.mark.parametrize(("lease_s", "renewal_s"), [(3600, 1800), (86400, 43200), (10, 5)])
def test_a_renewal_without_a_pause_is_not_taken_from_a_server(lease_s: int, renewal_s: int) -> None:
    reply = a_reply(
        ASKED,
        MessageKind.ACK,
        lease_time=lease_s.to_bytes(4, "big"),
        renewal_time=(1).to_bytes(4, "big"),
        rebinding_time=(2).to_bytes(4, "big"),
    )

    assert lease.read(reply, NOW).renewal_s == renewal_s


def test_a_lease_that_is_too_short_to_be_renewed_is_none() -> None:
    reply = a_reply(ASKED, MessageKind.ACK, lease_time=(9).to_bytes(4, "big"))

    with pytest.raises(MalformedError, match="a lease of 9 s"):
        lease.read(reply, NOW)


def test_an_address_at_the_end_of_its_network_is_no_lease() -> None:
    reply = replace(a_reply(ASKED, MessageKind.ACK), given=bytes([192, 0, 2, 255]))

    with pytest.raises(MalformedError):
        lease.read(reply, NOW)


def test_the_words_for_a_malformed_option_are_short() -> None:
    name = b"\x3f" + b"\n" * 63
    reply = a_reply(ASKED, MessageKind.ACK, search=name * 50 + b"\0", mask=b"\xff" * 3000)

    assert [len(text) <= 64 for text in lease.read(reply, NOW).malformed] == [True, True]


@pytest.mark.parametrize(("wall_s", "left_s"), [(600.0, 3000.0), (4000.0, -400.0), (-60.0, 0.0)])
def test_after_a_boot_a_lease_has_its_age_by_the_time_of_day(wall_s: float, left_s: float) -> None:
    read = lease.read(a_reply(ASKED, MessageKind.ACK), NOW)

    booted = read.of_boot("another", 7.0, NOW.wall_s + wall_s)

    assert booted.left_s(7.0) == left_s


@given(some.dictionaries(some.integers(1, 254), some.binary(max_size=60)))
def test_garbage_as_options_is_a_lease_or_malformed(options: dict[int, bytes]) -> None:
    reply = a_reply(ASKED, MessageKind.ACK)
    try:
        read = lease.read(replace(reply, options={**reply.options, **options}), NOW)
    except MalformedError:
        return
    assert 10 <= read.lease_s < 2**32
    assert read.renewal_s < read.rebinding_s < read.lease_s
