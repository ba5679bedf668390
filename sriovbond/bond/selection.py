"""Which links become members, and why the others do not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sriovbond.bond.config import LinkSelector, NetConf
from sriovbond.bond.links import Link, Member, Place
from sriovbond.errors import ConfigError, RefusedError

_REMEDIES = {
    Place.POD: "list the VFs' networks before the bond's in the pod's annotation, and use the "
    "names that they get there, or set linksInContainer false for interfaces of the host",
    Place.HOST: "name interfaces of the host, or set linksInContainer true for those of the pod",
}
DEFAULT_NETWORK_IFNAME = "eth0"  # the name that every container runtime gives the first interface


@dataclass(frozen=True, slots=True)
class UserspaceDevice:
    """A device given to this pod that no netdev stands for; `source` says who told of it.

    `vdpa` names the vDPA device made on it, empty where its driver hands it to a process.
    """

    pci: str
    driver: str
    source: str
    ifname: str = ""
    vdpa: str = ""

    def __str__(self) -> str:
        asked_as = f" (asked for as {self.ifname})" if self.ifname else ""
        bound = (
            f"is used as {self.vdpa} by {self.driver}"
            if self.vdpa
            else f"is bound to {self.driver}"
        )
        return f"{self.pci}{asked_as} {bound}, says {self.source}"

    @property
    def rule(self) -> str:
        """The id of the rule that it breaks."""
        return "vdpa-device" if self.vdpa else "userspace-driver"


@dataclass(frozen=True, slots=True)
class Seen:
    """The links of pod and host, and the pod's devices without a netdev.

    `as_member` adds to a link what its bus and its PF say of it.
    """

    pod: Sequence[Link]
    host: Sequence[Link]
    userspace: Sequence[UserspaceDevice]
    as_member: Callable[[Link, Place], Member]


def choose(config: NetConf, seen: Seen) -> tuple[Member, ...]:
    """Return the members in their order: that of `links`, else of the interfaces' names.

    Raises ConfigError where `links` names what is not there, RefusedError where too few can be
    bonded or a VF is in userspace; both say what was seen.
    """
    links = config.links
    members = _usable(seen) if links is None else _named(config, links, seen)
    if len(members) < config.min_members:
        raise RefusedError(_too_few(config, seen, members))
    return tuple(members)


def _usable(seen: Seen) -> list[Member]:
    if seen.userspace:
        found = "; ".join(str(device) for device in seen.userspace)
        rules = ", ".join(sorted({device.rule for device in seen.userspace}))
        raise RefusedError(
            f"cannot bond this pod's VFs: {found}; the kernel cannot bond it: bond it in the guest "
            f"or in DPDK, or bind it to its kernel driver [{rules}]"
        )
    members = [seen.as_member(link, Place.POD) for link in seen.pod]
    return sorted(
        (one for one in members if not _why_not(one)), key=lambda one: (len(one.name), one.name)
    )


def _why_not(member: Member) -> str:
    """Say why a link is not taken when none is named; nothing if it is."""
    link = member.link
    reasons = (
        (link.name == DEFAULT_NETWORK_IFNAME, "the default network's interface"),
        (link.has_default_route, "carries a default route"),
        (bool(link.uppers), f"carries {', '.join(link.uppers)}"),
        (link.kind == "bond", "a bond itself"),
        (bool(link.master), "already in a bond or bridge"),
        (not member.is_vf, f"no VF ({member.driver or link.kind or 'no device'})"),
    )
    return next((words for holds, words in reasons if holds), "")


def _named(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> list[Member]:
    place = _place(config, links, seen)
    standing = _by_name(seen.pod if place is Place.POD else seen.host)
    missing = [link.name for link in links if link.name not in standing]
    if missing:
        raise ConfigError(_missing(missing, place, seen))
    return [
        replace(seen.as_member(standing[link.name], place), prio=link.prio, queue_id=link.queue_id)
        for link in links
    ]


def _by_name(links: Sequence[Link]) -> dict[str, Link]:
    """Return the links by each of their names, as the kernel looks them up."""
    return {name: link for link in links for name in link.names}


def _place(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> Place:
    if config.links_in_container is not None:
        return Place.POD if config.links_in_container else Place.HOST
    names = {link.name for link in links}
    for place, standing in ((Place.HOST, seen.host), (Place.POD, seen.pod)):
        if names <= _by_name(standing).keys():
            return place
    raise ConfigError(_scattered(sorted(names), seen))


def _scattered(names: Sequence[str], seen: Seen) -> str:
    pod, host = (_by_name(links) for links in (seen.pod, seen.host))
    told = []
    for name in names:
        places = [word for word, there in (("host", name in host), ("pod", name in pod)) if there]
        told.append(
            f"{name!r} is in the {' and the '.join(places)}" if places else f"{name!r} is nowhere"
        )
    return (
        f"cannot find all `links` in one place: {'; '.join(told)}{_userspace_hint(names, seen)}; "
        "name interfaces of the pod or of the host, or leave `links` out"
    )


def _missing(missing: Sequence[str], place: Place, seen: Seen) -> str:
    standing = seen.pod if place is Place.POD else seen.host
    names = ", ".join(sorted(link.name for link in standing))
    return (
        f"cannot find {', '.join(repr(name) for name in missing)} of `links` in the {place}: "
        f"it has {names or 'no interface'}{_elsewhere(missing, place, seen)}"
        f"{_userspace_hint(missing, seen)}; {_REMEDIES[place]}"
    )


def _elsewhere(missing: Sequence[str], place: Place, seen: Seen) -> str:
    other, there = (Place.HOST, seen.host) if place is Place.POD else (Place.POD, seen.pod)
    found = sorted(_by_name(there).keys() & set(missing))
    return f"; the {other} has {', '.join(found)}" if found else ""


def _userspace_hint(names: Sequence[str], seen: Seen) -> str:
    return "".join(
        f"; {device}: the kernel cannot bond it [{device.rule}]"
        for device in seen.userspace
        if device.ifname in names
    )


def _too_few(config: NetConf, seen: Seen, members: Sequence[Member]) -> str:
    taken = {member.name for member in members}
    told = [f"{member} taken" for member in members]
    for link in seen.pod:
        if link.name not in taken and link.name != "lo":
            member = seen.as_member(link, Place.POD)
            told.append(f"{member} not: {_why_not(member) or 'not named'}")
    return (
        f"cannot bond {len(members)} of at least {config.min_members} members: the pod has "
        f"{'; '.join(told) or 'no interface'}; ask for a VF on each of two PFs in networks "
        "that the pod lists before the bond, or set minMembers to 1 [too-few-members]"
    )
