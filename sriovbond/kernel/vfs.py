"""What a PF says of its VFs; and having it treat one of them as it did before."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sriovbond.bond.links import Link, VfSettings
from sriovbond.errors import KernelError
from sriovbond.kernel import messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFLA_VFINFO_LIST
from sriovbond.kernel.netlink import Netlink, Request

# include/uapi/linux/if_link.h: within IFLA_VF_INFO, each for the VF that its first number names
_IFLA_VF_INFO: Final = 1
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK, _IFLA_VF_LINK_STATE = 1, 2, 4, 5
_IFLA_VF_TRUST, _IFLA_VF_VLAN_LIST, _IFLA_VF_VLAN_INFO = 9, 12, 1
_FIRST_NUMBER: Final = struct.Struct("=4xI")
_MAC: Final = struct.Struct("=I32s")
_MAC_BYTES: Final = 6
_VLAN: Final = struct.Struct("=III")
_VALUE: Final = struct.Struct("=II")
_UNKNOWN: Final = 0xFFFFFFFF  # what rtnetlink says where the driver says nothing
_LINK_STATES: Final = {0: "auto", 1: "enable", 2: "disable"}
_PROTOCOL: Final = struct.Struct("!12xH")  # behind what _VLAN has
_VLAN_PROTOCOLS: Final = {0x8100: "802.1Q", 0x88A8: "802.1ad"}  # include/uapi/linux/if_ether.h
_ETH_P_8021AD: Final = b"\x88\xa8\0\0"  # big-endian, and the structure's padding


def read(listed: bytes, wanted: Collection[int] | None) -> Iterator[VfSettings]:
    """Yield what IFLA_VFINFO_LIST says of the VFs of these numbers, of all where None."""
    for _, _, info in nl.attributes(listed, 0):
        # its first attribute is the MAC, which begins with the number: a PF has hundreds of VFs
        if wanted is not None and _FIRST_NUMBER.unpack_from(info)[0] not in wanted:
            continue
        told = messages.by_number(info)
        number, vlan, qos = _VLAN.unpack_from(told[_IFLA_VF_VLAN])
        state = _value(told, _IFLA_VF_LINK_STATE)
        tags = nl.attributes(told.get(_IFLA_VF_VLAN_LIST, b""), 0)
        protocol = next((_PROTOCOL.unpack_from(tag)[0] for _, _, tag in tags), 0)
        yield VfSettings(
            number=number,
            mac=messages.mac(told[_IFLA_VF_MAC][4 : 4 + _MAC_BYTES]),
            trust=_switch(told, _IFLA_VF_TRUST),
            spoofchk=_switch(told, _IFLA_VF_SPOOFCHK),
            link_state=None if state is None else _LINK_STATES.get(state),
            vlan=vlan,
            qos=qos,
            vlan_proto=_VLAN_PROTOCOLS.get(protocol),
        )


def _value(told: dict[int, bytes], number: int) -> int | None:
    if number not in told:
        return None
    value: int = _VALUE.unpack_from(told[number])[1]
    return None if value == _UNKNOWN else value


def _switch(told: dict[int, bytes], number: int) -> bool | None:
    value = _value(told, number)
    return None if value is None else bool(value)


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
        payload = _VALUE.pack(vf, wanted.trust)
        yield _Step(messages.attribute(_IFLA_VF_TRUST, payload), f"trust {wanted.trust}")
    if wanted.spoofchk is not None and wanted.spoofchk != now.spoofchk:
        payload = _VALUE.pack(vf, wanted.spoofchk)
        yield _Step(messages.attribute(_IFLA_VF_SPOOFCHK, payload), f"spoofchk {wanted.spoofchk}")


def _vlan(vf: int, wanted: VfSettings) -> bytes:
    """Return the attribute that sets the VLAN; old drivers know the short one only."""
    payload = _VLAN.pack(vf, wanted.vlan, wanted.qos)
    if wanted.vlan_proto != "802.1ad":
        return messages.attribute(_IFLA_VF_VLAN, payload)
    info = messages.attribute(_IFLA_VF_VLAN_INFO, payload + _ETH_P_8021AD)
    return messages.attribute(_IFLA_VF_VLAN_LIST, info)
