"""Has a PF treat one of its VFs as it did before."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sriovbond.bond.links import Link, VfSettings
from sriovbond.errors import KernelError
from sriovbond.kernel import messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFLA_VFINFO_LIST
from sriovbond.kernel.netlink import Netlink, Request

# include/uapi/linux/if_link.h
_IFLA_VF_INFO: Final = 1
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK, _IFLA_VF_TRUST = 1, 2, 4, 9
_IFLA_VF_VLAN_LIST, _IFLA_VF_VLAN_INFO = 12, 1
_ETH_P_8021AD: Final = b"\x88\xa8\0\0"  # big-endian, and the structure's padding
_MAC: Final = struct.Struct("=I32s")
_VLAN: Final = struct.Struct("=III")
_SWITCH: Final = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class _Step:
    """One setting to write: its attribute, and in words."""

    attribute: bytes
    told: str


def restore(netlink: Netlink, pf: Link, now: VfSettings, wanted: VfSettings) -> list[KernelError]:
    """Write MAC, VLAN, trust and spoof check where they differ; `netlink` is the host's.

    Returns what was refused, after all has been tried. Idempotent.
    """
    failures = []
    for step in _steps(now, wanted):
        listed = messages.attribute(_IFLA_VF_INFO, step.attribute)
        body = messages.link(pf.index, messages.attribute(IFLA_VFINFO_LIST, listed))
        doing = f"have {pf.name} give its VF {now.number} {step.told}"
        try:
            netlink.send(Request(nl.RTM_NEWLINK, doing, body))
        except KernelError as error:
            failures.append(error)
    return failures


def _steps(now: VfSettings, wanted: VfSettings) -> Iterator[_Step]:
    vf = now.number
    if now.mac != wanted.mac:
        payload = _MAC.pack(vf, bytes.fromhex(wanted.mac.replace(":", "")))
        yield _Step(messages.attribute(_IFLA_VF_MAC, payload), f"the MAC {wanted.mac}")
    if now.tagging != wanted.tagging:
        yield _Step(_vlan(vf, wanted), wanted.tagging)
    if wanted.trust is not None and wanted.trust != now.trust:
        payload = _SWITCH.pack(vf, wanted.trust)
        yield _Step(messages.attribute(_IFLA_VF_TRUST, payload), f"trust {wanted.trust}")
    if wanted.spoofchk is not None and wanted.spoofchk != now.spoofchk:
        payload = _SWITCH.pack(vf, wanted.spoofchk)
        yield _Step(messages.attribute(_IFLA_VF_SPOOFCHK, payload), f"spoofchk {wanted.spoofchk}")


def _vlan(vf: int, wanted: VfSettings) -> bytes:
    """Return the attribute that sets the VLAN; old drivers know the short one only."""
    payload = _VLAN.pack(vf, wanted.vlan, wanted.qos)
    if wanted.vlan_proto != "802.1ad":
        return messages.attribute(_IFLA_VF_VLAN, payload)
    info = messages.attribute(_IFLA_VF_VLAN_INFO, payload + _ETH_P_8021AD)
    return messages.attribute(_IFLA_VF_VLAN_LIST, info)
