"""Queries ethtool and devlink for a bond's members and their PFs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deviceinfo import Device, parse_device_id, read_device
from sriovbond.kernel.netns import Namespace
from sriovbond.nic import devlink, ethtool, functions
from sriovbond.nic.devlink import Instance
from sriovbond.nic.facts import Devlink, Ethtool, Function
from sriovbond.nic.functions import Known


@dataclass(frozen=True, slots=True)
class Target:
    """A device to query, and its interface in `namespace`; either may be empty."""

    device: str
    interface: str
    namespace: Namespace


def ask(sysfs: Path, home: Namespace, targets: Sequence[Target]) -> tuple[Function, ...]:
    """Return the targets' facts, followed by their PFs'; what is unavailable is a problem's text.

    devlink is queried in `home`, the host's namespace: its instances do not move with a netdev.
    """
    members = [
        Known(target.device, _read(sysfs, target.device), target.interface) for target in targets
    ]
    pfs = _read_pfs(sysfs, members)
    devlinks = _read_devlinks(home, (*members, *pfs))
    pfs = [
        replace(pf, interface=functions.find_netdev(pf, devlinks, _netdevs(members, pf)))
        for pf in pfs
    ]
    places = [*(target.namespace for target in targets), *(home for _ in pfs)]
    placed = list(zip(places, (*members, *pfs), strict=True))
    ethtools = _read_ethtools(placed)
    return tuple(
        functions.to_function(known, devlinks, ethtools.get((place.path, known.interface)))
        for place, known in placed
    )


def _read(sysfs: Path, name: str) -> Device | None:
    device = parse_device_id(name)
    return read_device(sysfs, device) if device else None


def _read_pfs(sysfs: Path, members: Iterable[Known]) -> list[Known]:
    """Return the members' PFs, each once, except those that are members themselves."""
    devices = [member.device for member in members if member.device]
    pfs = dict.fromkeys(device.pf for device in devices if device.pf)
    are_members = {device.id for device in devices}
    return [Known(str(pf), read_device(sysfs, pf)) for pf in pfs if pf not in are_members]


def _netdevs(members: Iterable[Known], pf: Known) -> tuple[str, ...]:
    """Return the PF's netdevs, as its VFs' folders in sysfs list them."""
    devices = (member.device for member in members if member.pf_handle == pf.handle)
    return next((device.pf_netdevs for device in devices if device and device.pf_netdevs), ())


def _read_devlinks(home: Namespace, known: Iterable[Known]) -> dict[str, Devlink]:
    # a VF's handle may be its PF's, whose query then counts: it comes last
    pfs_last = sorted(known, key=lambda item: not item.pf_handle)
    instances = [
        Instance(item.handle, item.driver, may_have_eswitch=not item.pf_handle)
        for item in pfs_last
        if item.handle
    ]
    return devlink.read(home, instances)


def _read_ethtools(
    placed: Sequence[tuple[Namespace, Known]],
) -> Mapping[tuple[str, str], Ethtool]:
    """Return ethtool's facts by path of the namespace and interface."""
    namespaces = {place.path: place for place, _ in placed}
    answers: dict[tuple[str, str], Ethtool] = {}
    for path, namespace in namespaces.items():
        drivers = {
            known.interface: known.driver
            for place, known in placed
            if place.path == path and known.interface
        }
        for interface, answer in ethtool.read(namespace, drivers).items():
            answers[path, interface] = answer
    return answers
