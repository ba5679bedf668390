"""Members by their names, on the host or in the pod, as bond-cni has them."""

from collections.abc import Sequence

from sriovbond.bond import rules
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.rules import Finding
from sriovbond.bond.seen import Seen, matches, may_mean
from sriovbond.bond.selector import LinkSelector
from sriovbond.errors import ConfigError, Fault

_MOST_LISTED = 20
_REMEDIES = {
    Place.POD: "list the VFs' networks before the bond's in the pod's annotation, and use the "
    "names that they get there, or set linksInContainer false for interfaces of the host",
    Place.HOST: "name interfaces of the host, or set linksInContainer true for those of the pod",
}


def find_named(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> list[Member]:
    """Return the members that `links` names, in its order; raises ConfigError for a missing one."""
    place = _place(config, links, seen)
    there = seen.pod if place is Place.POD else seen.host
    named = [member for member in there if may_mean(links, member.link)]
    pairs = [(link, [member for member in named if matches(link, member)]) for link in links]
    missing = [link.name or str(link) for link, members in pairs if not members]
    if missing:
        raise ConfigError(_missing(config, missing, place, seen))
    return [_apply_settings(member, link) for link, members in pairs for member in members]


def means_pod(config: NetConf, in_pod: Sequence[Link]) -> bool:
    """Tell whether the pod has all names of `links` where nothing is said of the place."""
    if config.links_in_container is not None or not config.links:
        return False
    names = {name for link in in_pod for name in link.names}
    return all(link.name in names for link in config.links)


def hint_at_pod(config: NetConf, seen: Seen) -> str:
    """Say what else may be meant: a VF that comes after the bond, and one on the host like it."""
    if config.links_in_container is False:
        return ""
    return (
        f"; if interfaces of the pod are meant, it has {_list_links(seen.pod)}: list their "
        f"networks before the bond's{seen.after_bond}"
    )


def _apply_settings(member: Member, link: LinkSelector) -> Member:
    return link.apply_to(member) if link.settings else member


def _place(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> Place:
    if config.links_in_container is not None:
        return Place.POD if config.links_in_container else Place.HOST
    names = {link.name or "" for link in links}
    if names & _names(seen.pod):
        return Place.POD  # whatever the host has by the others: it may be a dead pod's
    if names <= _names(seen.host):
        return Place.HOST
    raise ConfigError(_describe_scattered(sorted(names), seen))


def _list_links(members: Sequence[Member]) -> str:
    """Name the links, and no more than a pod may have: a host has hundreds."""
    names = sorted(member.name for member in members if member.name != "lo")
    more = len(names) - _MOST_LISTED
    shown = [*names[:_MOST_LISTED], *([f"{more} more"] if more > 0 else [])]
    return ", ".join(shown) or "no interface"


def _names(members: Sequence[Member]) -> set[str]:
    """Return all names of the links, as the kernel looks them up."""
    return {name for member in members for name in member.link.names}


def _describe_scattered(names: Sequence[str], seen: Seen) -> Finding:
    pod, host = (_names(members) for members in (seen.pod, seen.host))
    texts = []
    for name in names:
        places = [word for word, there in (("host", name in host), ("pod", name in pod)) if there]
        texts.append(
            f"{name!r} is in the {' and the '.join(places)}"
            if places
            else f"{name!r} does not exist"
        )
    return rules.NO_SUCH_LINK.finding(
        f"cannot find all `links` in one place: {'; '.join(texts)}; {seen.whose} has "
        f"{_list_links(seen.pod)}{_userspace_hint(names, seen)}{seen.after_bond}",
        "name interfaces of the pod or of the host, or leave `links` out",
    )


def _missing(config: NetConf, missing: Sequence[str], place: Place, seen: Seen) -> Finding:
    standing = seen.pod if place is Place.POD else seen.host
    is_said = config.links_in_container is not None
    return rules.NO_SUCH_LINK.finding(
        f"cannot find {', '.join(repr(name) for name in missing)} of `links` in the {place}: "
        f"it has {_list_links(standing)}{_elsewhere(missing, place, seen, is_said=is_said)}"
        f"{_userspace_hint(missing, seen)}{seen.after_bond}",
        _REMEDIES[place],
    )


def _elsewhere(missing: Sequence[str], place: Place, seen: Seen, *, is_said: bool) -> str:
    other, there = (Place.HOST, seen.host) if place is Place.POD else (Place.POD, seen.pod)
    names = sorted(_names(there) & set(missing))
    if not names:
        return ""
    why = "" if is_said else ", which is not taken: others of `links` are in the pod"
    return f"; the {other} has {', '.join(names)}{why}"


def _userspace_hint(names: Sequence[str], seen: Seen) -> str:
    return "".join(
        f"; {Fault(f'{device}: the kernel cannot bond it', rule=device.rule.id)}"
        for device in seen.unlinked
        if device.ifname in names
    )
