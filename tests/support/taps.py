"""Taps: those of virtual machines, and links of any ARPHRD type (TUNSETLINK), such as IPoIB's."""

import fcntl
import os
import struct
import subprocess

_TUNSETPERSIST, _TUNSETIFF, _TUNSETLINK = 0x400454CB, 0x400454CA, 0x400454CD  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x2, 0x1000


def make(name: str, type_: int) -> None:
    """Create a link of that type on the host; it stays until it is deleted."""
    device = opened(name)
    try:
        fcntl.ioctl(device, _TUNSETLINK, type_)
        fcntl.ioctl(device, _TUNSETPERSIST, 1)
    finally:
        os.close(device)


def opened(name: str) -> int:
    """Create a tap here; return its descriptor, with which it goes."""
    subprocess.run(["modprobe", "-q", "tun"], check=False)  # or built in
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TAP | _IFF_NO_PI))
    return device


def add(netns: str, name: str) -> None:
    """Create a virtual machine's tap in a named namespace."""
    subprocess.run(["modprobe", "-q", "tun"], check=False)  # or built in
    subprocess.run(["ip", "-netns", netns, "tuntap", "add", name, "mode", "tap"], check=True)
