"""What a document asks of DHCP on an interface, and by which id the server knows it. No I/O."""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

LINK_LAYER, OF_MACHINE = "ll", "iaid+duid"
MOST_ID: Final = 253
"""Bytes of an id's text: with its type it is an option's."""
_OF_TEXT, _OF_ETHERNET, _OF_DUID = b"\0", b"\1", b"\xff"  # RFC 2132, 9.14, and RFC 4361
_DUID_UUID, _DUID_LL = b"\0\4", b"\0\3\0\1"  # RFC 6355; RFC 8415, 11.4, over Ethernet
_HEX: Final = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2})+", re.IGNORECASE)
_SALT: Final = b"sriovbond DHCP DUID\0"


@dataclass(frozen=True, slots=True)
class DhcpWish:
    """What the document says of an interface's DHCP, by the names of its keys.

    `client_id` is the id that it has from its first lease on, in hex. An MTU of the server's is
    taken where the document has none. `former` is an address from before, which is requested.
    """

    client_id: str
    dhcp_client_id: str | None = None
    auto_dns: bool | None = None
    auto_gateway: bool | None = None
    auto_routes: bool | None = None
    auto_route_metric: int | None = None
    auto_route_table_id: int | None = None
    dhcp_send_hostname: bool | None = None
    dhcp_custom_hostname: str | None = None
    prefix_route_metric: int | None = None
    takes_mtu: bool = True
    former: str = ""


def make_id(text: str | None, name: str, mac: bytes, machine: str) -> bytes:
    """Return the client's id (option 61) as a document asks for it; without a word that of the MAC.

    `ll` is the MAC, `iaid+duid` what RFC 4361 makes of the interface's `name` and the `machine`'s
    id; hexadecimal bytes with colons are the id as it is sent, its type first; else it is a text.
    """
    if text in {None, "", LINK_LAYER}:
        return _OF_ETHERNET + mac
    if text == OF_MACHINE:
        return _OF_DUID + hashlib.sha256(name.encode()).digest()[:4] + _duid(mac, machine)
    if text and _HEX.fullmatch(text):
        return bytes(int(part, 16) for part in text.split(":"))
    return _OF_TEXT + (text or "").encode()


def fault_of_id(text: str) -> str:
    """Return what is wrong with a document's id, in words; empty for a right one."""
    size = len(make_id(text, "", bytes(6), ""))
    if not 2 <= size <= MOST_ID + 2:  # noqa: PLR2004 - RFC 2132, 9.14
        return f"dhcp-client-id has {size} bytes: 2 to {MOST_ID + 2} are possible"
    return ""


def _duid(mac: bytes, machine: str) -> bytes:
    """Return the machine's id for DHCP, which does not disclose machine-id(5)."""
    if not machine:
        return _DUID_LL + mac
    return _DUID_UUID + hashlib.sha256(_SALT + machine.encode()).digest()[:16]
