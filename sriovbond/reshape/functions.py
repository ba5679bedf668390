"""A NIC's VFs: how many there are, by sysfs, and the PF's settings of each."""

import errno
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from sriovbond.bond.links import NO_MAC, VfSettings
from sriovbond.errors import KernelError, MachineError
from sriovbond.kernel import links, vfs
from sriovbond.kernel.messages import IFLA_VFINFO_LIST, RTEXT_FILTER_VF
from sriovbond.nodenet.model import SrIov, VirtualFunction
from sriovbond.reshape import arrivals, sysfiles
from sriovbond.reshape.site import Site
from sriovbond.survey import devices

_COUNT: Final = "sriov_numvfs"
_AUTOPROBE: Final = "sriov_drivers_autoprobe"


def change(site: Site, name: str, section: SrIov) -> None:
    """Make the VFs, and set what the PF has for them. Raises KernelError, MachineError.

    For another number the kernel removes all of them: those that are there again get what the PF
    had for them, and their interfaces what these had but for a MAC by chance.
    """
    folder = devices.folder_of(site.link(name), site.sysfs)
    if folder is None:
        raise MachineError(f"cannot change the VFs of {name}: it has no device with SR-IOV")
    if section.drivers_autoprobe is not None:
        sysfiles.write(folder / _AUTOPROBE, str(int(section.drivers_autoprobe)))
    if section.total_vfs is not None:
        _change_count(site, name, folder, section.total_vfs)
    for function in section.vfs or ():
        _set_function(site, name, function)


def revert(
    site: Site, name: str, was: SrIov, names: Mapping[int, str], settings: Sequence[VfSettings]
) -> None:
    """Make as many VFs of a PF as there were; await those that had these names, and name them.

    Nothing is written where all is so. Raises SriovbondError with the first failure.
    """
    link = site.find(name)
    folder = devices.folder_of(link, site.sysfs) if link else None
    if folder is None:
        return
    is_probed = was.drivers_autoprobe is not False
    is_other = is_probed != _is_probed(folder)
    if is_other:
        sysfiles.write(folder / _AUTOPROBE, str(int(is_probed)))
    if was.total_vfs is not None and was.total_vfs != _count(folder):
        _make(site, name, folder, was.total_vfs, settings)
    restore(site, name, settings)
    # a change that was killed has left all of them without a driver
    arrivals.probe(folder, None if is_other and is_probed else names)
    arrivals.name(site, folder, names)


def settings_of(site: Site, name: str) -> tuple[VfSettings, ...]:
    """Return what a PF has for its VFs; the MAC is empty that a VF has by itself."""
    link = links.read(site.netlink, name, RTEXT_FILTER_VF)
    folder = devices.folder_of(link, site.sysfs) if link else None
    if link is None or folder is None:
        return ()
    return tuple(
        replace(row, mac="") if arrivals.is_own(_home(folder, row.number), row.mac) else row
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


def _change_count(site: Site, name: str, folder: Path, count: int) -> None:
    """Make that many VFs, and give those that are there again what they had."""
    if count == _count(folder):
        return
    settings = settings_of(site, name)
    fixed = {row.number for row in settings if row.mac not in {"", NO_MAC}}
    before = {
        number: replace(
            link, mac="" if number in fixed else arrivals.set_mac(_home(folder, number))
        )
        for number, link in arrivals.present(site, folder).items()
    }
    _make(site, name, folder, count, settings)
    if _is_probed(folder):
        arrivals.restore(site, folder, before)
        arrivals.await_new(site, folder)


def _make(site: Site, name: str, folder: Path, count: int, settings: Sequence[VfSettings]) -> None:
    """Make that many VFs; what the PF has for each is there before a driver sees it.

    The kernel takes another number only after none (sriov_numvfs_store()).
    """
    with _probed_after(folder):
        if _count(folder) and count:
            sysfiles.write(folder / _COUNT, "0")
        sysfiles.write(folder / _COUNT, str(count))
        restore(site, name, settings)


@contextmanager
def _probed_after(folder: Path) -> Iterator[None]:
    """Have the kernel look for the VFs' drivers afterwards, where it does so by itself."""
    if not _is_probed(folder):
        yield
        return
    with suppress(MachineError):  # the kernel has no such file before 4.12
        sysfiles.write(folder / _AUTOPROBE, "0")
    try:
        yield
    finally:
        with suppress(MachineError):
            sysfiles.write(folder / _AUTOPROBE, "1")
        arrivals.probe(folder)


def _is_probed(folder: Path) -> bool:
    """Return whether the kernel looks for a driver for new VFs; before 4.12 it always does."""
    with suppress(OSError):
        return (folder / _AUTOPROBE).read_text(encoding="ascii").strip() != "0"
    return True


def _count(folder: Path) -> int:
    """Return how many VFs there are. Raises MachineError."""
    try:
        return int((folder / _COUNT).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise MachineError(f"cannot read {folder / _COUNT}: {error}") from error


def _home(folder: Path, number: int) -> Path:
    """Return the folder of a VF's device."""
    return folder / f"virtfn{number}"


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
