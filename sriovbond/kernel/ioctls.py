"""Single facts about a link by ioctl: faster than rtnetlink's message, which has them all.

Structures: include/uapi/linux/if.h (ifreq) and ethtool.h (ethtool_drvinfo).
"""

import array
import fcntl
import struct
from typing import Any, Final

from sriovbond.kernel.netlink import Netlink

_SIOCGIFNAME: Final = 0x8910
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFMTU: Final = 0x8921
_SIOCGIFHWADDR: Final = 0x8927
_SIOCGIFINDEX: Final = 0x8933
_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GDRVINFO: Final = 0x3
_NUMBER: Final = struct.Struct("=16si20x")  # ifr_ifindex, ifr_mtu
_FLAGS: Final = struct.Struct("=16sH22x")
_HARDWARE: Final = struct.Struct("=16s2x6s16x")
_ADDRESS: Final = struct.Struct("@16sP16x")
_DRIVER: Final = slice(4, 4 + 32)
_BUS_INFO: Final = slice(4 + 32 * 3, 4 + 32 * 4)


def index(netlink: Netlink, name: str) -> int:
    """Return the index of the link of that name or altname, 0 if there is none."""
    return int(_ask(netlink, _SIOCGIFINDEX, _NUMBER, name.encode())[1])


def name(netlink: Netlink, index: int) -> str:
    """Return the name of the link of that index, empty if there is none."""
    return _text(_ask(netlink, _SIOCGIFNAME, _NUMBER, b"", index)[0])


def flags(netlink: Netlink, name: str) -> int:
    """Return the IFF_* of the link of that name, 0 if there is none."""
    return int(_ask(netlink, _SIOCGIFFLAGS, _FLAGS, name.encode())[1])


def mtu(netlink: Netlink, name: str) -> int:
    """Return the MTU of the link of that name in bytes, 0 if there is none."""
    return int(_ask(netlink, _SIOCGIFMTU, _NUMBER, name.encode())[1])


def mac(netlink: Netlink, name: str) -> str:
    """Return the hardware address of the Ethernet link of that name."""
    return bytes(_ask(netlink, _SIOCGIFHWADDR, _HARDWARE, name.encode(), b"")[1]).hex(":")


def driver(netlink: Netlink, name: str) -> str:
    """Return the driver of the link of that name, empty if none is reported."""
    return _text(_driver_info(netlink, name)[_DRIVER])


def bus_info(netlink: Netlink, name: str) -> str:
    """Return the address of the link's device on its bus, empty for links without a device."""
    return _text(_driver_info(netlink, name)[_BUS_INFO])


def _ask(
    netlink: Netlink, what: int, shape: struct.Struct, name: bytes, argument: int | bytes = 0
) -> tuple[Any, ...]:
    """Return the fields of struct ifreq after the ioctl, empty if there is no such link."""
    try:
        return shape.unpack(fcntl.ioctl(netlink.fileno(), what, shape.pack(name, argument)))
    except OSError:
        return shape.unpack(bytes(shape.size))


def _driver_info(netlink: Netlink, name: str) -> bytes:
    info = array.array("B", struct.pack("=I", _ETHTOOL_GDRVINFO) + bytes(192))
    address, _ = info.buffer_info()
    try:
        fcntl.ioctl(netlink.fileno(), _SIOCETHTOOL, _ADDRESS.pack(name.encode(), address))
    except OSError:
        return b""
    return bytes(info)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "backslashreplace")
