"""What links are beyond documents, read and restored: MTU, MAC, sysctls, bridge's flags, VFs."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sriovbond import errors
from sriovbond.bond.links import NO_MAC, Sysctl
from sriovbond.kernel import carried, links, messages
from sriovbond.kernel.messages import IFLA_ADDRESS, IFLA_MASTER, IFLA_MTU, LinkMessage
from sriovbond.kernel.netns import NAMES_OF_ALL
from sriovbond.nodenet.routing import NodeRoute
from sriovbond.reshape import bridges, functions, paths
from sriovbond.reshape.site import Site
from sriovbond.trial import neighbours
from sriovbond.trial.checkpoint import Former, Load
from sriovbond.trial.neighbours import Entries

_BRIDGE: Final = "bridge"
_BOND: Final = "bond"
_PROC: Final = Path("/proc/sys/net")
_STABLE: Final = "stable_secret"  # of IPv6: it is before the mode that needs it, and sets that


def read(site: Site, names: Iterable[str]) -> tuple[Former, ...]:
    """Return what the links of these names are; missing ones are left out. Raises KernelError."""
    present, entries = _by_name(site), neighbours.set_by_hand(site.netlink)
    addresses = {
        name: tuple(row.text for row in load.addresses) for name, load in loads(site).items()
    }
    return tuple(
        replace(_former(site, present[name], entries), addresses=addresses.get(name, ()))
        for name in names
        if name in present
    )


def loads(site: Site) -> dict[str, Load]:
    """Return the addresses and routes of each link, by its name. Raises KernelError."""
    present = _by_name(site)
    addresses = carried.addresses(site.netlink, {row.index: row.mac for row in present.values()})
    routes = carried.routes(carried.unicast_routes(site.netlink))
    return {
        name: Load(
            name,
            row.index,
            tuple(addresses.get(row.index, ())),
            tuple(routes.get(row.index, ())),
        )
        for name, row in present.items()
    }


def with_own(site: Site, present: dict[str, Load], route: NodeRoute) -> dict[str, Load]:
    """Return loads with the kernel's own routes where a route is: it makes none of these again.

    Raises KernelError.
    """
    rows = [row for row in carried.unicast_routes(site.netlink) if paths.is_in_place(row, route)]
    own = carried.routes(rows, are_own=True)
    return {
        name: replace(load, routes=(*load.routes, *own.get(load.index, ())))
        for name, load in present.items()
    }


def restore(site: Site, formers: Iterable[Former]) -> list[str]:
    """Restore links, each after those it is on; return what the kernel refused, after trying all.

    Missing links are left out. Idempotent.
    """
    failures: list[str] = []
    rows = list(formers)
    fixed = frozenset(row.mac for former in rows for row in former.functions if row.mac)
    for former in rows:
        for act in _acts(site, former, fixed):
            with errors.collected(failures):
                act()
    return failures


def _by_name(site: Site) -> dict[str, LinkMessage]:
    return {row.name: row for row in links.read_all(site.netlink, "list the links")}


def _former(site: Site, link: LinkMessage, entries: Entries) -> Former:
    is_port, is_bridge = _is_bridge_port(link), link.kind == _BRIDGE
    return Former(
        name=link.name,
        index=link.index,
        mac=link.mac,
        mtu=link.number(IFLA_MTU),
        is_up=link.is_up,
        sysctls=site.node.run(lambda: tuple(_sysctls(link.name))),
        flags=bridges.flags_of(link).hex() if is_port else "",
        vlans=bridges.vlans_of(site, link.name) if is_port or is_bridge else (),
        is_filtering=bridges.is_filtering(site, link.name) if is_bridge else None,
        functions=functions.settings_of(site, link.name),
        entries=entries.get(link.index, ()),
    )


def _acts(site: Site, former: Former, fixed: frozenset[str]) -> Iterator[Callable[[], None]]:
    """Yield what restores a link that is there; each looks at it anew.

    `fixed` are the MACs that PFs have given VFs: one that has it can take no other.
    """
    if site.find(former.name) is None:
        return
    yield partial(functions.restore, site, former.name, former.functions)
    yield partial(_restore_mtu, site, former)
    yield partial(_restore_mac, site, former, fixed)
    if former.is_filtering is not None:
        yield partial(_restore_filtering, site, former)
    yield partial(_restore_port, site, former)
    yield partial(_restore_state, site, former)
    yield from (partial(_restore_sysctl, site, former.name, row) for row in former.sysctls)
    yield from _restore_entries(site, former)


def _restore_mtu(site: Site, former: Former) -> None:
    link = site.link(former.name)
    if link.number(IFLA_MTU) != former.mtu:
        words = f"set the MTU of {former.name} to {former.mtu} again"
        site.change(link, words, messages.word(IFLA_MTU, former.mtu))


def _restore_mac(site: Site, former: Former, fixed: frozenset[str]) -> None:
    """Set the MAC, but not of a bond's port, for which its bond decides, or of a fixed one."""
    link = site.link(former.name)
    is_bound = _kind_of_port(link) == _BOND
    if former.mac not in (link.mac, NO_MAC) and not is_bound and link.mac not in fixed:
        octets = bytes.fromhex(former.mac.replace(":", ""))
        words = f"set the MAC of {former.name} to {former.mac} again"
        site.change(link, words, messages.attribute(IFLA_ADDRESS, octets))


def _restore_filtering(site: Site, former: Former) -> None:
    bridges.set_filtering(site, former.name, is_on=bool(former.is_filtering))


def _restore_port(site: Site, former: Former) -> None:
    if former.flags and _is_bridge_port(site.link(former.name)):
        bridges.restore_flags(site, former.name, bytes.fromhex(former.flags))
        bridges.restore_vlans(site, former.name, former.vlans)
    if former.is_filtering is not None:
        bridges.restore_vlans(site, former.name, former.vlans)


def _restore_state(site: Site, former: Former) -> None:
    link = site.link(former.name)
    if link.is_up != former.is_up:
        (site.set_up if former.is_up else site.set_down)(link)


def _restore_sysctl(site: Site, name: str, sysctl: Sysctl) -> None:
    path = f"{sysctl.family}/conf/{name}/{sysctl.key}"
    now = site.node.sysctl(path)
    is_unset = now is None and sysctl.key == _STABLE  # its file is there, and cannot be read
    if is_unset or now not in (None, sysctl.value):
        site.node.set_sysctls({path: sysctl.value})


def _restore_entries(site: Site, former: Former) -> Iterator[Callable[[], None]]:
    """Yield what restores the entries that are missing."""
    link = site.find(former.name)
    if link is None or not former.entries:
        return
    now = neighbours.set_by_hand(site.netlink).get(link.index, ())
    for row in neighbours.missing(former.entries, now):
        yield partial(neighbours.put, site.netlink, link, row)


def _is_bridge_port(link: LinkMessage) -> bool:
    return bool(link.number(IFLA_MASTER)) and _kind_of_port(link) == _BRIDGE


def _kind_of_port(link: LinkMessage) -> str:
    return messages.text(link.info.get(messages.IFLA_INFO_SLAVE_KIND, b""))


def _sysctls(name: str) -> Iterator[Sysctl]:
    for family in () if name in NAMES_OF_ALL else ("ipv4", "ipv6"):
        paths = (_PROC / family / "conf" / name).glob("*")
        for path in sorted(paths, key=lambda path: (path.name != _STABLE, path.name)):
            value = _value(path)
            if value is not None:
                yield Sysctl(family, path.name, value)


def _value(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
