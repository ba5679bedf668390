"""Packets as servers sent them, captured from busybox udhcpd 1.35; and messages made by hand."""

from dataclasses import replace
from ipaddress import IPv4Address

from sriovbond.dhcp.lease import Moment
from sriovbond.dhcp.packet import DhcpMessage, DhcpOption, MessageKind

_HEAD = "4500016f000000004011b77dc0000201ffffffff00430044015b{sum}02010600041f66df" + "00" * 8
_BODY = "c00002670000000000000000461f54147cbb" + "00" * 202 + "63825363"
_OPTIONS = (
    "3501{kind}3604c0000201330400000e100104ffffff000304c00002010604c0000235"
    "0f0b6578616d706c652e6f72671a020578"
    "772104636f7270076578616d706c65036f7267000178076578616d706c65036f72670079"
    "0b080ac000020700c0000209ff"
)


def _captured(checksum: str, kind: str) -> bytes:
    return bytes.fromhex(_HEAD.format(sum=checksum) + _BODY + _OPTIONS.format(kind=kind))


OFFER = _captured("06b1", "02")
ACK = _captured("03b1", "05")
XID, MAC = 0x041F66DF, bytes.fromhex("461f54147cbb")
"""Of the captured packets."""


def a_moment(now_s: float) -> Moment:
    """Return a moment of one boot."""
    return Moment(now_s, "boot", 1_000_000.0 + now_s)


def a_reply(sent: DhcpMessage, kind: MessageKind, **options: bytes) -> DhcpMessage:
    """Return a server's answer to a message; options by their names replace those of a lease."""
    named = {int(DhcpOption[name.upper()]): value for name, value in options.items()}
    lease = {
        int(DhcpOption.KIND): bytes([kind]),
        int(DhcpOption.SERVER): IPv4Address("192.0.2.1").packed,
        int(DhcpOption.LEASE_TIME): (3600).to_bytes(4, "big"),
        int(DhcpOption.MASK): IPv4Address("255.255.255.0").packed,
    }
    given = IPv4Address("192.0.2.100").packed
    return replace(sent, options=lease | named, given=given, own=bytes(4), is_reply=True)
