"""Which devices a pod was given, and what they are: reads only, knows no CNI and no netlink."""

from deviceinfo.device import DeviceInfoError, PciAddress, PciDevice, parse_address
from deviceinfo.sriovcni import CacheReading, SriovCniEntry, read_cache
from deviceinfo.sysfs import read_device

__all__ = [
    "CacheReading",
    "DeviceInfoError",
    "PciAddress",
    "PciDevice",
    "SriovCniEntry",
    "parse_address",
    "read_cache",
    "read_device",
]
