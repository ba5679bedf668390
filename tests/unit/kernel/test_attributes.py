"""The kernel's messages are parsed without trust: a truncated or malformed one ends the parsing."""

import errno
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sriovbond.bond.kinds import OptionValue
from sriovbond.errors import KernelError
from sriovbond.kernel import attributes, bonding, carried, links, messages, vfs
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Netlink, NetlinkRequest
from tests.unit.kernel.test_links import LISTED, a_vf

ASKING = NetlinkRequest(nl.RTM_GETLINK, "look at lo", messages.link(1))


def a_bond() -> bytes:
    data: dict[str, OptionValue] = {
        "mode": "active-backup",
        "miimon": 100,
        "arp_ip_target": ("192.0.2.1",),
        "primary": 3,
    }
    info = bonding._info(messages.IFLA_INFO_KIND, messages.IFLA_INFO_DATA, data)  # noqa: SLF001
    name = messages.name(messages.IFLA_IFNAME, "bond0")
    return messages.link(2, name, messages.word(messages.IFLA_MTU, 1500), info, LISTED)


def a_route() -> bytes:
    hop = struct.pack("=HBBI", 16, 0, 0, 7) + messages.attribute(5, bytes(4))
    parts = messages.attribute(1, bytes(4)), messages.attribute(9, hop + hop)
    return messages.route(socket.AF_INET, 24, *parts, type=1)


def an_address() -> bytes:
    parts = (messages.attribute(messages.IFA_LOCAL, bytes([192, 0, 2, 1])),)
    return messages.address(socket.AF_INET, 24, 2, *parts)


def torn(body: bytes) -> st.SearchStrategy[bytes]:
    """Draw the message truncated, or with some bytes replaced."""
    return st.one_of(
        st.integers(0, len(body)).map(lambda size: body[:size]),
        st.builds(
            lambda at, junk: (body[:at] + junk + body[at + len(junk) :])[: len(body)],
            st.integers(0, len(body)),
            st.binary(min_size=1, max_size=8),
        ),
        st.binary(max_size=64),
    )


class Talking(Netlink):
    """A netlink socket whose messages a test writes, in place of the kernel."""

    def __init__(self, told: bytes, sender: int = 0) -> None:
        super().__init__()
        self.close()
        self._socket = Wire(told, sender)  # type: ignore[assignment] # the two calls that matter


class Wire:
    """A socket that returns the same datagram for ever."""

    def __init__(self, told: bytes, sender: int) -> None:
        self.told, self.sender = told, sender

    def send(self, _: bytes) -> None: ...

    def recvfrom_into(self, buffer: bytearray) -> tuple[int, tuple[int, int]]:
        memoryview(buffer)[: len(self.told)] = self.told
        return len(self.told), (self.sender, 0)


def answered(told: bytes, sender: int = 0) -> KernelError:
    """Return the error of a request with this response; it must come at once."""
    caught: list[KernelError] = []

    def ask() -> None:
        with suppress(TypeError):
            try:
                Talking(told, sender).get(ASKING)
            except KernelError as error:
                caught.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(5)
    assert not asking.is_alive()
    return caught[0]


@pytest.mark.parametrize("length", [0, 15, 17, 1 << 30])
def test_a_header_with_an_impossible_length_ends_the_question(length: int) -> None:
    error = answered(nl.HEADER.pack(length, nl.RTM_NEWLINK, 0, 1, 0))

    assert error.errno == errno.EBADMSG
    assert "cannot look at lo: the kernel's answer is cut short" in error.message


def test_half_a_header_ends_the_question() -> None:
    assert answered(bytes(7)).errno == errno.EBADMSG


def test_those_who_write_to_the_socket_in_place_of_the_kernel_do_not_hold_the_question() -> None:
    assert answered(nl.HEADER.pack(16, nl.RTM_NEWLINK, 0, 1, 0), sender=77).errno == errno.EBUSY


def test_an_ack_of_no_dump_that_says_that_a_dump_was_interrupted_is_an_ack() -> None:
    ack = nl.HEADER.pack(20, nl.NLMSG_ERROR, nl.NLM_F_DUMP_INTR, 1, 0) + struct.pack("=i", 0)

    Talking(ack).send(ASKING)

    assert answered(ack).errno == errno.EPROTO


@pytest.mark.parametrize("flags", [0, nl.NLM_F_ACK_TLVS, nl.NLM_F_ACK_TLVS | nl.NLM_F_CAPPED])
def test_an_error_that_is_cut_short_is_reported_by_its_number(flags: int) -> None:
    body = struct.pack("=i", -errno.EBUSY)

    error = answered(nl.HEADER.pack(16 + len(body), nl.NLMSG_ERROR, flags, 1, 0) + body)

    assert error.errno == errno.EBUSY


def test_attributes_end_where_one_is_too_short_or_reaches_too_far() -> None:
    good = messages.word(4, 1500)

    for bad in (bytes(4), struct.pack("=HH", 3, 9), struct.pack("=HHI", 9, 9, 1), bytes(2)):
        assert attributes.by_number(good + bad) == {4: struct.pack("=I", 1500)}
        assert [number for number, _, _ in attributes.walk(good + bad)] == [4]
        assert not attributes.are_whole(good + bad)
    assert attributes.are_whole(good + good)
    assert attributes.are_whole(b"")


@given(st.binary(max_size=80), st.sampled_from([0, 4, 16]))
def test_both_ways_of_reading_attributes_find_the_same(payload: bytes, offset: int) -> None:
    walked = list(attributes.walk(payload, offset))

    assert attributes.by_number(payload, offset) == {number: part for number, _, part in walked}
    assert all(payload[start : start + len(part)] == part for _, start, part in walked)


@given(torn(a_bond()))
def test_a_torn_bond_is_read_in_part_or_refused(body: bytes) -> None:
    with suppress(KernelError):
        told = messages.read_link(body)
        state = bonding.state_of(told, [told])

        assert state.index == told.index


@given(torn(LISTED[4:]))
def test_torn_vf_information_is_complete_or_left_out(listed: bytes) -> None:
    for one in (*vfs.read(listed, None), *vfs.read(listed, {0, 1, 2})):
        assert len(one.mac) == 17


@given(torn(a_route()))
def test_a_torn_route_is_read_without_a_fault(body: bytes) -> None:
    with suppress(KernelError):
        route = messages.read_route(body)

        carried.routes([route])
        assert list(carried.next_hops(route)) is not None


@given(torn(an_address()))
def test_a_torn_address_is_none(body: bytes) -> None:
    with suppress(KernelError):
        one = messages.read_address(body)

        assert one.address == "" or socket.inet_pton(one.family, one.address)


def test_an_option_of_another_width_is_left_out() -> None:
    wide = messages.attribute(1, bytes(4)) + messages.word(3, 100)
    data = messages.name(1, "bond") + messages.attribute(2, wide)
    told = messages.read_link(messages.link(2, messages.attribute(messages.IFLA_LINKINFO, data)))

    assert bonding.state_of(told, []).settings == {"miimon": 100}


def test_a_vf_without_vlan_is_left_out_and_the_next_one_is_read() -> None:
    silent = messages.attribute(1, messages.attribute(1, struct.pack("=I32s", 0, bytes(32))))

    assert [one.number for one in vfs.read(silent + a_vf(1), None)] == [1]


def the_loopback() -> bytes:
    """Return the running kernel's message about its loopback, with some 50 attributes."""
    with Netlink() as netlink:
        return netlink.get(ASKING)


REAL = the_loopback()


def test_the_real_answer_of_this_kernel_is_whole() -> None:
    assert attributes.are_whole(REAL, messages.LINK_BYTES)
    told = messages.read_link(REAL)
    assert attributes.bytes_of(told.attributes) == len(REAL) - messages.LINK_BYTES
    assert links._link(told).name == "lo"  # noqa: SLF001


@given(torn(REAL))
def test_a_torn_answer_of_this_kernel_is_read_in_part_or_refused(body: bytes) -> None:
    with suppress(KernelError):
        link = links._link(messages.read_link(body))  # noqa: SLF001

        assert isinstance(link.name, str)


# RTM_GETLINK of QEMU's igb with 4 VFs, with VF information and without statistics, Linux 6.12.117
IGB = bytes.fromhex((Path(__file__).parents[2] / "data" / "kernel" / "igb-pf.hex").read_text())


def test_a_captured_pf_reports_each_of_its_vfs() -> None:
    told = messages.read_link(IGB)

    assert messages.are_vfs_whole(told, IGB)
    found = links._link(told)  # noqa: SLF001
    assert (found.name, found.mac) == ("pf0", "52:54:00:b0:00:00")
    assert [(one.number, one.mac, one.trust, one.spoofchk) for one in found.vfs] == [
        (0, "9e:67:a4:46:80:e8", False, True),
        (1, "ee:e4:4a:7b:61:24", False, True),
        (2, "f2:b1:fc:d7:3c:bf", False, True),
        (3, "9a:17:8f:41:d5:08", False, True),
    ]
    assert {(one.link_state, one.vlan, one.vlan_proto) for one in found.vfs} == {
        ("auto", 0, "802.1Q")
    }


@given(torn(IGB))
def test_a_torn_pf_is_read_in_part_or_refused(body: bytes) -> None:
    with suppress(KernelError):
        told = messages.read_link(body)

        for vf in links._link(told).vfs:  # noqa: SLF001
            assert len(vf.mac) == 17


@pytest.mark.parametrize("size", range(messages.LINK_BYTES, len(IGB), 4))
def test_a_pf_that_is_cut_anywhere_is_not_believed_to_be_whole(size: int) -> None:
    told = messages.read_link(IGB[:size])

    is_told = messages.IFLA_NUM_VF in told.attributes
    assert attributes.are_whole(IGB[:size], messages.LINK_BYTES) or not (
        is_told and messages.are_vfs_whole(told, IGB[:size])
    )
