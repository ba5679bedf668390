"""The interfaces of VFs that are made anew: awaited, for a bounded time, and given what they had.

A driver may make them long after the VFs (iavf), and udev names them after that.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from sriovbond.bond.links import Link
from sriovbond.errors import KernelError, MachineError, SriovbondError
from sriovbond.kernel import links, snapshots
from sriovbond.kernel import netlink as nl
from sriovbond.reshape import sysfiles
from sriovbond.reshape.site import Site

_KNOWN_S: Final = 30.0
"""How long an interface that was there before is awaited."""
_NEW_S: Final = 10.0
"""How long others are: a VF may have no driver here, or one that makes no interface (vfio-pci)."""
_VIRTFN: Final = "virtfn"
_NET_ADDR_RANDOM, _NET_ADDR_SET = "1", "3"  # include/uapi/linux/netdevice.h
_SUBSTITUTE: Final = "sbvf"
_UDEV: Final = "run/udev"


def present(site: Site, folder: Path) -> dict[int, Link]:
    """Return the interfaces that VFs of a PF have on this node, by the VFs' numbers."""
    numbers = dict(_addresses(folder))
    rows = {numbers[row.device]: row for row in links.dump(site.netlink) if row.device in numbers}
    return dict(sorted(rows.items()))


def await_new(site: Site, folder: Path) -> None:
    """Wait until each VF has an interface, as far as drivers make them."""
    _await(site, folder, list(dict(_addresses(folder)).values()), _NEW_S)


def restore(site: Site, folder: Path, before: Mapping[int, Link]) -> None:
    """Await the interfaces that VFs had, and give them name, MTU, state and MAC that they had.

    The MAC stays where `before` has none. VFs that do not exist now are left out. Raises
    SriovbondError with the first failure, after trying all.
    """
    _bring(
        site,
        folder,
        {number: row.name for number, row in before.items()},
        lambda number, now: replace(before[number], mac=before[number].mac or now.mac),
    )


def name(site: Site, folder: Path, names: Mapping[int, str]) -> None:
    """Await the interfaces of VFs that had these names, and give them these; as `restore`."""
    _bring(site, folder, names, lambda number, now: replace(now, name=names[number]))


def probe(folder: Path, numbers: Collection[int] | None = None) -> None:
    """Have the kernel look for drivers of VFs without one: of these numbers, or all. Idempotent.

    Whether they come is seen by awaiting their interfaces.
    """
    for address, number in _addresses(folder):
        is_meant = numbers is None or number in numbers
        if is_meant and not (folder / f"{_VIRTFN}{number}/driver").exists():
            with suppress(MachineError):
                sysfiles.write(folder.parent.parent / "drivers_probe", address)


def is_own(home: Path, mac: str) -> bool:
    """Return whether a VF's interface has that MAC by itself: by chance, or because it was set.

    Such a MAC is none that the PF has fixed; with one of these an interface begins.
    """
    return mac in (_mac(home, _NET_ADDR_RANDOM), _mac(home, _NET_ADDR_SET))


def set_mac(home: Path) -> str:
    """Return the MAC that a VF's interface was given by hand, or by a bond; empty for others."""
    return _mac(home, _NET_ADDR_SET)


def _mac(home: Path, assigned: str) -> str:
    """Return the MAC of a VF's interface if it was assigned so, else an empty one."""
    for netdev in home.glob("net/*"):
        with suppress(OSError):
            if (netdev / "addr_assign_type").read_text("ascii").strip() == assigned:
                return (netdev / "address").read_text("ascii").strip()
    return ""


def _bring(
    site: Site, folder: Path, names: Mapping[int, str], wish: Callable[[int, Link], Link]
) -> None:
    """Await VFs, and make of what each has now what `wish` says. Raises SriovbondError."""
    names = {number: names[number] for _, number in _addresses(folder) if number in names}
    failures: list[SriovbondError] = []
    failures += _clear_names(site, _await(site, folder, names, _KNOWN_S), names)
    now = present(site, folder)
    for number in names.keys() & now.keys():
        link, target = now[number], wish(number, now[number])
        failures += snapshots.restore_itself(site.netlink, link, target, is_wanted_up=target.is_up)
    failures += [_lost(number, names[number]) for number in names if number not in now]
    if failures:
        raise failures[0]


def _addresses(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield the address of each VF's device, with its number."""
    for path in folder.glob(f"{_VIRTFN}*"):
        number = path.name.removeprefix(_VIRTFN)
        with suppress(OSError):
            if number.isdecimal():
                yield path.readlink().name, int(number)


def _await(
    site: Site, folder: Path, numbers: Collection[int], patience_s: float
) -> dict[int, Link]:
    """Wait until these VFs, if they exist, have interfaces that udev has named; return all."""
    end = min(time.monotonic() + patience_s, site.deadline_s)
    while True:
        now = present(site, folder)
        awaited = {number for _, number in _addresses(folder)}.intersection(numbers)
        are_here = all(number in now and _is_named(site, now[number]) for number in awaited)
        if are_here or time.monotonic() >= end:
            return now
        time.sleep(nl.PAUSE_S)


def _is_named(site: Site, link: Link) -> bool:
    """Return whether udev has done with an interface; its record comes last. Or there is none."""
    udev = site.root / _UDEV
    return not (udev / "control").exists() or (udev / f"data/n{link.index}").exists()


def _clear_names(
    site: Site, now: Mapping[int, Link], names: Mapping[int, str]
) -> Iterator[KernelError]:
    """Take names off VFs that other VFs are to have; yield what was refused."""
    owners = {wish: number for number, wish in names.items() if number in now}
    for number, link in now.items():
        if owners.get(link.name, number) != number:
            other = replace(link, name=f"{_SUBSTITUTE}{link.index}")
            yield from snapshots.restore_itself(site.netlink, link, other, is_wanted_up=link.is_up)


def _lost(number: int, name: str) -> MachineError:
    text = f"VF {number}, {name} before, has no interface again; look at the kernel's log"
    return MachineError(text)
