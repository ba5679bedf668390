"""Reads a PF's settings of its VFs, and restores those of one VF."""

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from sriovbond.bond.links import Link, VfSettings
from sriovbond.errors import KernelError
from sriovbond.kernel import attributes, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import IFLA_VFINFO_LIST
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

# include/uapi/linux/if_link.h: within IFLA_VF_INFO, each begins with the VF's number
_IFLA_VF_INFO: Final = 1
_IFLA_VF_MAC, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK, _IFLA_VF_LINK_STATE = 1, 2, 4, 5
_IFLA_VF_RATE, _IFLA_VF_TRUST, _IFLA_VF_VLAN_LIST, _IFLA_VF_VLAN_INFO = 6, 9, 12, 1
_first_number: Final = struct.Struct("=4xI").unpack_from
_LEAST: Final = 8  # bytes, for one attribute with a number
_MAC: Final = struct.Struct("=I32s")
_MAC_START, _MAC_END = 4, 10  # of an Ethernet one, after the VF's number
_VLAN: Final = struct.Struct("=III")
_VALUE: Final = struct.Struct("=II")
_RATE: Final = struct.Struct("=III")  # struct ifla_vf_rate: vf, min, max
_UNKNOWN: Final = 0xFFFFFFFF  # rtnetlink's value where the driver reports nothing
_LINK_STATES: Final = {0: "auto", 1: "enable", 2: "disable"}
_PROTOCOL: Final = slice(12, 14)  # after the fields of _VLAN
_VLAN_PROTOCOLS: Final = {0x8100: "802.1Q", 0x88A8: "802.1ad"}  # include/uapi/linux/if_ether.h
_ETH_P_8021AD: Final = b"\x88\xa8\0\0"  # big-endian, and the structure's padding


def read(vf_list: bytes, numbers: Collection[int] | None) -> Iterator[VfSettings]:
    """Yield the settings in IFLA_VFINFO_LIST of the VFs of these numbers, of all if None.

    VFs whose MAC or VLAN is not reported are left out.
    """
    for _, _, info in attributes.walk(vf_list):
        # the first attribute is the MAC, which begins with the number: a PF has hundreds of VFs
        if len(info) < _LEAST:
            continue
        if numbers is not None and _first_number(info)[0] not in numbers:
            continue
        payloads = attributes.by_number(info)
        entry, tag = payloads.get(_IFLA_VF_MAC, b""), payloads.get(_IFLA_VF_VLAN, b"")
        if len(entry) < _MAC_END or len(tag) < _VLAN.size:
            continue
        number, vlan, qos = _VLAN.unpack_from(tag)
        state = _value(payloads, _IFLA_VF_LINK_STATE)
        rate = payloads.get(_IFLA_VF_RATE, b"")
        _, least, most = _RATE.unpack_from(rate) if len(rate) >= _RATE.size else (0, None, None)
        yield VfSettings(
            number=number,
            mac=messages.mac(entry[_MAC_START:_MAC_END]),
            trust=_switch(payloads, _IFLA_VF_TRUST),
            spoofchk=_switch(payloads, _IFLA_VF_SPOOFCHK),
            link_state=None if state is None else _LINK_STATES.get(state),
            vlan=vlan,
            qos=qos,
            vlan_proto=_VLAN_PROTOCOLS.get(_protocol(payloads)),
            min_tx_rate=least,
            max_tx_rate=most,
        )


def _value(payloads: dict[int, bytes], number: int) -> int | None:
    payload = payloads.get(number, b"")
    if len(payload) < _VALUE.size:
        return None
    value: int = _VALUE.unpack_from(payload)[1]
    return None if value == _UNKNOWN else value


def _protocol(payloads: dict[int, bytes]) -> int:
    tags = attributes.by_number(payloads.get(_IFLA_VF_VLAN_LIST, b""))
    return int.from_bytes(tags.get(_IFLA_VF_VLAN_INFO, b"")[_PROTOCOL], "big")


def _switch(payloads: dict[int, bytes], number: int) -> bool | None:
    value = _value(payloads, number)
    return None if value is None else bool(value)


@dataclass(frozen=True, slots=True)
class _Step:
    """One setting to write: its attribute, and its text for errors."""

    attribute: bytes
    words: str


def set_link_state(netlink: Netlink, pf: Link, number: int, state: str) -> None:
    """Have a PF set the link state of a VF: auto, enable or disable. Raises KernelError.

    `restore` leaves it alone: a relay of the PF's carrier may be what sets it.
    """
    values = {word: value for value, word in _LINK_STATES.items()}
    attribute = messages.attribute(_IFLA_VF_LINK_STATE, _VALUE.pack(number, values[state]))
    _write(netlink, pf, number, _Step(attribute, f"the link state {state}"))


def restore(netlink: Netlink, pf: Link, now: VfSettings, before: VfSettings) -> list[KernelError]:
    """Write MAC, VLAN, trust, spoof check and rates where they differ; `netlink` is the host's.

    Waits a bounded time for a VF that is still being reset (i40e: EAGAIN, ice: EBUSY). Tries all,
    and returns the refused ones. Idempotent.
    """
    failures = []
    for step in _steps(now, before):
        try:
            _write(netlink, pf, now.number, step)
        except KernelError as error:
            failures.append(error)
    return failures


def _write(netlink: Netlink, pf: Link, number: int, step: _Step) -> None:
    vf_info = messages.attribute(_IFLA_VF_INFO, step.attribute)
    body = messages.link(pf.index, messages.attribute(IFLA_VFINFO_LIST, vf_info))
    doing = f"have {pf.name} give its VF {number} {step.words}"
    nl.send_patiently(netlink, NetlinkRequest(nl.RTM_NEWLINK, doing, body))


def _steps(now: VfSettings, before: VfSettings) -> Iterator[_Step]:
    vf = now.number
    if now.mac != before.mac:
        payload = _MAC.pack(vf, bytes.fromhex(before.mac.replace(":", "")))
        yield _Step(messages.attribute(_IFLA_VF_MAC, payload), f"the MAC {before.mac}")
    if now.tagging != before.tagging:
        yield _Step(_vlan(vf, before), before.tagging)
    if before.trust is not None and before.trust != now.trust:
        payload = _VALUE.pack(vf, before.trust)
        yield _Step(messages.attribute(_IFLA_VF_TRUST, payload), f"trust {before.trust}")
    if before.spoofchk is not None and before.spoofchk != now.spoofchk:
        payload = _VALUE.pack(vf, before.spoofchk)
        yield _Step(messages.attribute(_IFLA_VF_SPOOFCHK, payload), f"spoofchk {before.spoofchk}")
    if before.rates != now.rates:
        payload = _RATE.pack(vf, before.min_tx_rate or 0, before.max_tx_rate or 0)
        yield _Step(messages.attribute(_IFLA_VF_RATE, payload), before.rates)


def _vlan(vf: int, before: VfSettings) -> bytes:
    """Return the attribute that sets the VLAN; old drivers support the short one only."""
    payload = _VLAN.pack(vf, before.vlan, before.qos)
    if before.vlan_proto != "802.1ad":
        return messages.attribute(_IFLA_VF_VLAN, payload)
    info = messages.attribute(_IFLA_VF_VLAN_INFO, payload + _ETH_P_8021AD)
    return messages.attribute(_IFLA_VF_VLAN_LIST, info)
