"""Which interface of the node a name in a document means, wherever the document has it.

A document knows an interface by its name, an altname, `sriov:PF:NUMBER`, or by a name of its own
with a MAC or PCI address.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from sriovbond.bond.options import Setting
from sriovbond.nodenet.model import ETHERNET, VETH, BondOptions, NetState, NodeLink
from sriovbond.nodenet.routing import ABSENT, NodeRoute, NodeRoutes
from sriovbond.nodenet.sections import Free, Many, Section, keys_of
from sriovbond.nodenet.values import LinkName

Part = TypeVar("Part")
Present = Mapping[str, NodeLink]
Renaming = Callable[[str], str]
_BY_ADDRESS: Final = ("mac-address", "pci-address")


def resolve(state: NetState, present: Present) -> NetState:
    """Return the document with the names and types that its interfaces have on this node."""
    links = state.interfaces or ()
    known = [_find(link, present) for link in links]
    before, real = _holders((), (), present), _holders(links, known, present)
    for link, row in zip(links, known, strict=True):
        if row and (link.label not in real or link.identifier in _BY_ADDRESS):
            real[link.label] = row.label

    def rename(name: str) -> str:
        return real.get(name, _vf_name(name, present))

    def rename_present(name: str) -> str:
        return before.get(name, rename(name))

    named = [_identified(link, row) for link, row in zip(links, known, strict=True)]
    renamed = tuple(replace(_rename(link, rename), name=link.name) for link in named)
    return replace(
        state,
        interfaces=None if state.interfaces is None else renamed,
        routes=state.routes
        and _with_tables(_renamed(state.routes, rename, rename_present), _tables(renamed, present)),
    )


def _holders(
    links: Iterable[NodeLink], known: Iterable[NodeLink | None], present: Present
) -> dict[str, str]:
    """Return whose each altname is after the change; the name of a new interface is its own."""
    rows = [
        (link, row.label if row else link.label) for link, row in zip(links, known, strict=True)
    ]
    holders = {alt.name or "": row.label for row in present.values() for alt in row.alt_names or ()}
    for link, label in rows:
        for alt in link.alt_names or ():
            if alt.state == ABSENT and holders.get(alt.name or "") == label:
                del holders[alt.name or ""]
    for link, label in rows:
        holders |= {alt.name or "": label for alt in link.alt_names or () if alt.state != ABSENT}
    own = {*present, *(link.label for link, label in rows if link.label == label)}
    return {name: label for name, label in holders.items() if name not in own}


def is_same_type(first: str | None, second: str | None) -> bool:
    """Return whether two types are one: nmstate calls a veth an ethernet, too."""
    both = {first, second}
    return None in both or len(both) == 1 or both == {ETHERNET, VETH}


def is_unknown(link: NodeLink, present: Present) -> bool:
    """Return whether no interface has the MAC or PCI address by which one is to be known."""
    return link.identifier in _BY_ADDRESS and _find(link, present) is None


def _find(link: NodeLink, present: Present) -> NodeLink | None:
    """Return what is meant: by the permanent MAC, then the MAC, the PCI address, or the name."""
    candidates = [row for row in present.values() if is_same_type(row.type, link.type)]
    if link.identifier == "mac-address":
        permanent = (row for row in candidates if row.permanent_mac_address == link.mac_address)
        usual = (row for row in candidates if row.mac_address == link.mac_address)
        return (*permanent, *usual, None)[0]
    if link.identifier == "pci-address":
        place = (link.pci_address or "").lower()
        return next((row for row in candidates if (row.pci_address or "?") == place), None)
    return present.get(_vf_name(link.label, present)) or _find_other(link.label, candidates)


def _find_other(name: str, candidates: Iterable[NodeLink]) -> NodeLink | None:
    """Return what has an altname, or a profile that knows it by its MAC address."""
    for row in candidates:
        by_mac = row.identifier == "mac-address" and row.profile_name == name
        if by_mac or name in [alt.name for alt in row.alt_names or ()]:
            return row
    return None


def _identified(link: NodeLink, row: NodeLink | None) -> NodeLink:
    """Return it under the name and type of what it means; its own is kept as the profile's."""
    if row is None:
        return link
    if link.identifier == "mac-address":
        link = replace(link, profile_name=link.profile_name or link.name)
    return replace(link, name=row.name, type=link.type or row.type)


def _vf_name(name: str, present: Present) -> str:
    """Return the name of a VF that is written sriov:PF:NUMBER, if the PF reports it."""
    kind, _, rest = name.partition(":")
    if kind != "sriov":
        return name
    pf, _, number = rest.partition(":")
    ethernet = present[pf].ethernet if pf in present else None
    vfs = (ethernet.sr_iov.vfs if ethernet and ethernet.sr_iov else None) or ()
    return next((vf.iface_name or name for vf in vfs if str(vf.id) == number), name)


def _rename(section: Part, rename: Callable[[str], str]) -> Part:
    """Return a section with the real names of all interfaces in it."""
    changes = {}
    for key in keys_of(type(section)):
        value = getattr(section, key.field)
        if value is not None:
            changes[key.field] = _of_kind(key.kind, value, rename)
    return type(section)(**changes)


def _of_kind(kind: Any, value: Any, rename: Callable[[str], str]) -> Any:  # noqa: ANN401 - of that kind
    if isinstance(kind, LinkName):
        return rename(value) if value else value
    if isinstance(kind, Section):
        return _rename(value, rename)
    if isinstance(kind, Many):
        return tuple(_of_kind(kind.of, part, rename) for part in value)
    return _options(value, rename) if isinstance(kind, Free) else value


def _tables(links: Iterable[NodeLink], present: Present) -> dict[str, int]:
    """Return the table of each VRF, of the document or of the node."""
    rows = (*present.values(), *links)
    return {row.label: row.vrf.route_table_id for row in rows if row.vrf and row.vrf.route_table_id}


def _renamed(routes: NodeRoutes, rename: Renaming, rename_present: Renaming) -> NodeRoutes:
    """Return the routes by real names; those that are to go are over what has the name now."""
    rows = tuple(
        _rename(row, rename_present if row.state == ABSENT else rename)
        for row in routes.config or ()
    )
    return replace(routes, config=None if routes.config is None else rows)


def _with_tables(routes: NodeRoutes, tables: Mapping[str, int]) -> NodeRoutes:
    """Return the routes with a VRF's table for its name, unless they have another one."""
    rows = tuple(_with_table(row, tables) for row in routes.config or ())
    return replace(routes, config=None if routes.config is None else rows)


def _with_table(route: NodeRoute, tables: Mapping[str, int]) -> NodeRoute:
    table = tables.get(route.vrf_name or "")
    is_other = route.table_id not in (None, 0, table)
    return route if table is None or is_other else replace(route, vrf_name=None, table_id=table)


def _options(options: BondOptions, rename: Callable[[str], str]) -> BondOptions:
    """Return a bond's options with the real name of its primary."""
    return BondOptions(
        tuple(
            Setting(row.name, rename(str(row.value)))
            if row.name == "primary" and row.value
            else row
            for row in options.settings
        )
    )
