"""The devices of a pod: which were allocated, and their properties; read-only, no netlink."""

from deviceinfo.checkpoint import read_checkpoint
from deviceinfo.device import (
    Bus,
    Device,
    DeviceId,
    DeviceInfoError,
    PciAddress,
    parse_address,
    parse_device_id,
)
from deviceinfo.find import (
    KUBELET_TIMEOUT_S,
    Places,
    Search,
    find_claims,
    find_devices,
    find_offered,
)
from deviceinfo.infofiles import read_cni_files, read_dp_files
from deviceinfo.merge import AllocatedDevice, Disagreement, PodDevices
from deviceinfo.multus import read_scratch
from deviceinfo.podnames import read_names
from deviceinfo.results import find_sandboxes, read_results
from deviceinfo.sriovcni import CacheReading, SriovCniEntry, read_cache
from deviceinfo.statement import (
    UNKNOWN_POD,
    Ask,
    Claim,
    DeviceKind,
    Listing,
    NetworkRequest,
    PodRef,
    Reading,
    Sandbox,
    Source,
    Statement,
)
from deviceinfo.sysfs import read_device

__all__ = [
    "KUBELET_TIMEOUT_S",
    "UNKNOWN_POD",
    "AllocatedDevice",
    "Ask",
    "Bus",
    "CacheReading",
    "Claim",
    "Device",
    "DeviceId",
    "DeviceInfoError",
    "DeviceKind",
    "Disagreement",
    "Listing",
    "NetworkRequest",
    "PciAddress",
    "Places",
    "PodDevices",
    "PodRef",
    "Reading",
    "Sandbox",
    "Search",
    "Source",
    "SriovCniEntry",
    "Statement",
    "find_claims",
    "find_devices",
    "find_offered",
    "find_sandboxes",
    "parse_address",
    "parse_device_id",
    "read_cache",
    "read_checkpoint",
    "read_cni_files",
    "read_device",
    "read_dp_files",
    "read_names",
    "read_results",
    "read_scratch",
]
