"""A NIC's VFs: how many there are, by sysfs, and the PF's settings of each."""

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from sriovbond.bond.links import VfSettings
from sriovbond.errors import KernelError, MachineError
from sriovbond.kernel import links, vfs
from sriovbond.kernel.messages import IFLA_VFINFO_LIST, RTEXT_FILTER_VF
from sriovbond.nodenet.model import SrIov, VirtualFunction
from sriovbond.reshape.site import Site
from sriovbond.survey import devices

_PATIENCE_S: Final = 60.0
"""How long a driver may take to make or remove VFs; a write to sysfs cannot be ended."""
_NET_ADDR_RANDOM: Final = "1"  # include/uapi/linux/netdevice.h


def change(site: Site, name: str, section: SrIov) -> None:
    """Make the VFs, and set what the PF has for them. Raises KernelError, MachineError.

    For another number the kernel removes all of them: those that are there again get what the PF
    had for them.
    """
    folder = devices.folder_of(site.link(name), site.sysfs)
    if folder is None:
        raise MachineError(f"cannot change the VFs of {name}: it has no device with SR-IOV")
    if section.drivers_autoprobe is not None:
        _write(folder / "sriov_drivers_autoprobe", str(int(section.drivers_autoprobe)))
    if section.total_vfs is not None:
        before = settings_of(site, name)
        _set_count(folder / "sriov_numvfs", section.total_vfs)
        restore(site, name, before)
    for function in section.vfs or ():
        _set_function(site, name, function)


def settings_of(site: Site, name: str) -> tuple[VfSettings, ...]:
    """Return what a PF has for its VFs; the MAC is empty that a VF has chosen by itself."""
    link = links.read(site.netlink, name, RTEXT_FILTER_VF)
    folder = devices.folder_of(link, site.sysfs) if link else None
    if link is None or folder is None:
        return ()
    return tuple(
        replace(row, mac="") if is_by_chance(folder / f"virtfn{row.number}", row.mac) else row
        for row in vfs.read(link.attributes.get(IFLA_VFINFO_LIST, b""), None)
    )


def restore(site: Site, name: str, before: Sequence[VfSettings]) -> None:
    """Give the VFs of a PF what it had for them; nothing is sent where it is so.

    A VF that is missing is left out. Raises KernelError with the first refusal.
    """
    link = links.read(site.netlink, name, RTEXT_FILTER_VF) if before else None
    pf = links.find(site.netlink, name)
    if link is None or pf is None:
        return
    wishes = {row.number: row for row in before}
    failures: list[KernelError] = []
    for now in vfs.read(link.attributes.get(IFLA_VFINFO_LIST, b""), {*wishes}):
        wish = wishes[now.number]
        wish = replace(wish, mac=wish.mac or now.mac)
        failures += vfs.restore(site.netlink, pf, now, wish)
        if wish.link_state not in (None, now.link_state):
            vfs.set_link_state(site.netlink, pf, now.number, str(wish.link_state))
    if failures:
        raise failures[0]


def is_by_chance(folder: Path, mac: str) -> bool:
    """Return whether the interface of a VF has that MAC, by chance: the PF gave it none."""
    for netdev in folder.glob("net/*"):
        with suppress(OSError):
            words = [(netdev / name).read_text("ascii") for name in ("addr_assign_type", "address")]
            return [word.strip() for word in words] == [_NET_ADDR_RANDOM, mac]
    return False


def _set_count(file: Path, count: int) -> None:
    """Set the number of VFs; the kernel takes another one only after none (sriov_numvfs_store)."""
    now = int(file.read_text(encoding="ascii"))
    if now not in (0, count) and count:
        _write(file, "0")
    if now != count:
        _write(file, str(count))


def _write(file: Path, value: str) -> None:
    """Write a value to sysfs, for a bounded time. Raises MachineError."""
    failures: list[OSError] = []
    writer = threading.Thread(target=_try_to_write, args=(file, value, failures), daemon=True)
    writer.start()
    writer.join(_PATIENCE_S)
    if writer.is_alive():
        text = f"cannot write {value} to {file}: the driver has not answered in {_PATIENCE_S:g} s"
        raise MachineError(f"{text}; look at the kernel's log")
    if failures:
        reason = failures[0].strerror or type(failures[0]).__name__
        raise MachineError(f"cannot write {value} to {file}: {reason}") from failures[0]


def _try_to_write(file: Path, value: str, failures: list[OSError]) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode("ascii"))
        finally:
            os.close(descriptor)
    except OSError as error:
        failures.append(error)


def _set_function(site: Site, name: str, wish: VirtualFunction) -> None:
    message = links.read(site.netlink, name, RTEXT_FILTER_VF)
    pf = links.find(site.netlink, name)
    payload = message.attributes.get(IFLA_VFINFO_LIST, b"") if message else b""
    now = next(iter(vfs.read(payload, {wish.id or 0})), None)
    if pf is None or now is None:
        raise KernelError(f"cannot set VF {wish.id} of {name}: it is missing", errno.ENODEV)
    failures = vfs.restore(site.netlink, pf, now, _settings(now, wish))
    if failures:
        raise failures[0]


def _settings(now: VfSettings, wish: VirtualFunction) -> VfSettings:
    """Return the PF's settings with what is wished for; the rest as it is."""

    def either(value: int | None, present: int | None) -> int | None:
        return present if value is None else value

    proto = wish.vlan_proto.replace("q", "Q") if wish.vlan_proto else now.vlan_proto
    return VfSettings(
        number=now.number,
        mac=wish.mac_address.lower() if wish.mac_address else now.mac,
        trust=now.trust if wish.trust is None else wish.trust,
        spoofchk=now.spoofchk if wish.spoof_check is None else wish.spoof_check,
        link_state=now.link_state,
        vlan=either(wish.vlan_id, now.vlan) or 0,
        qos=either(wish.qos, now.qos) or 0,
        vlan_proto=proto,
        min_tx_rate=either(wish.min_tx_rate, now.min_tx_rate),
        max_tx_rate=either(wish.max_tx_rate, now.max_tx_rate),
    )
