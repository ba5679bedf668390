"""Selects the members among the links, and explains why the others are not selected."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sriovbond.bond import rules
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import Link, Member, Place
from sriovbond.bond.rules import Finding, Rule
from sriovbond.bond.seen import Seen, Unlinked, matches, may_mean
from sriovbond.bond.selector import LinkSelector
from sriovbond.errors import ConfigError, Fault, RefusedError

_NO_INTERFACE = "the kernel cannot bond it"
_IN_BOND = "already in a bond or bridge"
_PAIR = 2  # over one link there is no failover, whatever minMembers allows
DEFAULT_NETWORK_IFNAME = "eth0"  # the first interface's name in every container runtime
_MOST_LISTED = 20
_REMEDIES_OF_MISSING = {
    Place.POD: "list the VFs' networks before the bond's in the pod's annotation, and use the "
    "names that they get there, or set linksInContainer false for interfaces of the host",
    Place.HOST: "name interfaces of the host, or set linksInContainer true for those of the pod",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a link or a device becomes a member, and why not; `rule` is the violated rule."""

    subject: Member | Unlinked
    why_not: str = ""
    rule: Rule | None = None

    @property
    def is_taken(self) -> bool:
        """Whether it is a member."""
        return not self.why_not

    @property
    def forbids_bond(self) -> bool:
        """Whether a bond without it would be only half of the requested one."""
        return self.rule not in (None, rules.NOT_IN_POD)

    def __str__(self) -> str:
        words = f"not taken, {self.why_not}" if self.why_not else "taken"
        if isinstance(self.subject, Unlinked):
            words = f"{self.subject.title}: {self.subject.state}; {words}"
        else:
            words = f"{self.subject}: {words}"
        return str(Fault(words, rule=self.rule.id if self.rule else ""))


def choose(config: NetConf, seen: Seen) -> tuple[Member, ...]:
    """Return the members in their order: that of `links`, else of the interfaces' names.

    Raises ConfigError when `links` names a missing one, RefusedError when too few can be bonded, an
    entry of `links` matches none, or a match may not be bonded; all list the candidates.
    """
    if config.links is None and len(seen.auto_bonds) > 1:
        raise RefusedError(
            rules.AUTO_TWICE.finding(
                f"cannot choose the members: the bonds {' and '.join(seen.auto_bonds)} of this "
                "pod both take all of its VFs"
            )
        )
    if config.links is not None and _is_by_names(config):
        members = _find_named(config, config.links, seen)
        _refuse_forbidden([_judge(member, must_be_vf=False) for member in members], seen)
    else:
        judged = verdicts(config, seen)
        _refuse_forbidden(judged, seen)
        members = [
            verdict.subject
            for verdict in judged
            if verdict.is_taken and isinstance(verdict.subject, Member)
        ]
        _refuse_unmatched(config.links or (), members, judged, seen)
    if len(members) < config.min_members:
        raise RefusedError(_too_few(config.min_members, members, verdicts(config, seen), seen))
    return tuple(members)


def find_on_host(config: NetConf, seen: Seen) -> list[Member]:
    """Return the host links that `links` names; raises ConfigError for a missing one."""
    if not seen.host or config.links is None or not _is_by_names(config):
        return []
    members = _find_named(config, config.links, seen)
    return [member for member in members if member.place is Place.HOST]


def means_pod(config: NetConf, in_pod: Sequence[Link]) -> bool:
    """Return whether the pod has all names of `links`, if no place is configured."""
    if config.links_in_container is not None or not config.links:
        return False
    names = {name for link in in_pod for name in link.names}
    return all(link.name in names for link in config.links)


def hint_at_pod(config: NetConf, seen: Seen) -> str:
    """Return other possible meanings: a VF that comes after the bond, a similar host link."""
    if config.links_in_container is False:
        return ""
    return (
        f"; if interfaces of the pod are meant, it has {_list_links(seen.pod)}: list their "
        f"networks before the bond's{seen.after_bond}"
    )


def verdicts(config: NetConf, seen: Seen) -> tuple[Verdict, ...]:
    """Judge every link and every device of the pod; members first, in their order."""
    members = [member for member in seen.pod if member.name != "lo"]
    members.sort(key=lambda member: (len(member.name), member.name))
    if config.links is None:
        judged = _without_addressed(members, max(config.min_members, _PAIR), seen)
        judged += [_judge_unlinked(device, is_selected=False) for device in seen.unlinked]
    else:
        judged = list(_select(config.links, members, seen.unlinked))
    return tuple(sorted(judged, key=lambda verdict: not verdict.is_taken))


def _without_addressed(members: Sequence[Member], least: int, seen: Seen) -> list[Verdict]:
    """Judge VFs without `links`; skip those with addresses if enough remain."""
    judged = [_judge(member, must_be_vf=True) for member in members]
    if not (seen.with_ipam or [member for member in members if member.link.addresses]):
        return judged
    uses = ["" if verdict.why_not else _own_use(verdict.subject, seen) for verdict in judged]
    plain = [
        verdict for verdict, use in zip(judged, uses, strict=True) if verdict.is_taken and not use
    ]
    if len(plain) < least:
        return judged
    return [
        replace(verdict, why_not=use) if use else verdict
        for verdict, use in zip(judged, uses, strict=True)
    ]


def _own_use(member: Member | Unlinked, seen: Seen) -> str:
    """Return why the VF seems to be in use by itself, with the remedy at the end."""
    carried = member.link.addresses if isinstance(member, Member) else ()
    assigned = [address.text for address in carried if address.is_assigned]
    if assigned:
        return f"has an address of its own, {', '.join(assigned)}: select it with `links` if wanted"
    if member.allocation.network in seen.with_ipam:
        return "its network has IPAM of its own: select it with `links` if wanted"
    return ""


def _select(
    links: Sequence[LinkSelector], members: Sequence[Member], unlinked: Sequence[Unlinked]
) -> Iterator[Verdict]:
    rest: list[Member | Unlinked] = [*members, *unlinked]
    for link in links:
        for candidate in [candidate for candidate in rest if matches(link, candidate)]:
            rest.remove(candidate)
            if isinstance(candidate, Unlinked):
                yield _judge_unlinked(candidate, is_selected=True)
            else:
                yield _judge(link.apply_to(candidate), must_be_vf=False)
    yield from (Verdict(candidate, "not selected by `links`") for candidate in rest)


def _judge(member: Member, *, must_be_vf: bool) -> Verdict:
    link = member.link
    other_pods = ", ".join(member.allocation.other_pods)
    kind = member.driver or link.kind or "no device"
    reasons = (
        (link.name == DEFAULT_NETWORK_IFNAME, "the default network's interface", None),
        (link.has_default_route, "carries a default route", None),
        (bool(link.uppers), f"carries {', '.join(link.uppers)}", None),
        (link.kind == "bond", "a bond itself", None),
        (bool(link.master), _IN_BOND, None),
        (must_be_vf and not member.is_vf, f"no VF ({kind})", None),
        (member.allocation.is_foreign, f"given to {other_pods}", rules.VF_OF_ANOTHER_POD),
    )
    for holds, words, rule in reasons:
        if holds:
            return Verdict(member, words, rule)
    return Verdict(member)


def _judge_unlinked(device: Unlinked, *, is_selected: bool) -> Verdict:
    if device.rule == rules.NOT_IN_POD:
        return Verdict(device, "its network must come before the bond's", device.rule)
    is_no_vf = device.rule == rules.SOCKET_DEVICE and not is_selected
    return Verdict(device, _NO_INTERFACE, None if is_no_vf else device.rule)


def _refuse_forbidden(judged: Sequence[Verdict], seen: Seen) -> None:
    faults = [
        verdict.rule.finding(_forbidden_words(verdict))
        for verdict in judged
        if verdict.forbids_bond and verdict.rule
    ]
    if faults:
        raise RefusedError.of(f"cannot bond the VFs of {seen.whose}", faults)


def _forbidden_words(verdict: Verdict) -> str:
    if verdict.rule == rules.VF_OF_ANOTHER_POD:
        return f"{verdict.subject} is in this pod but was {verdict.why_not}"
    return f"{verdict.subject}; {verdict.why_not}"


def _refuse_unmatched(
    links: Sequence[LinkSelector], members: Sequence[Member], judged: Sequence[Verdict], seen: Seen
) -> None:
    rest = list(members)
    for place, link in enumerate(links):
        own = [member for member in rest if matches(link, member)]
        if not own:
            taken = any(matches(link, member) for member in members)
            why = " as earlier entries take all that it selects," if taken else ""
            raise RefusedError(
                rules.NO_SUCH_LINK.finding(
                    f"cannot find what `links`.{place} asks for, {link},{why} in "
                    f"{_list_verdicts(judged, seen)}"
                )
            )
        rest = [member for member in rest if member not in own]


def _too_few(
    least: int, members: Sequence[Member], judged: Sequence[Verdict], seen: Seen
) -> Finding:
    return rules.TOO_FEW_MEMBERS.finding(
        f"cannot bond {len(members)} of at least {least} members of {_list_verdicts(judged, seen)}"
    )


def _list_verdicts(judged: Sequence[Verdict], seen: Seen) -> str:
    words = f"{seen.whose}: {'; '.join(str(verdict) for verdict in judged) or 'no interface'}"
    if any(verdict.why_not == _IN_BOND for verdict in judged):
        words += "; two bonds in one pod need `links` that select different VFs"
    return words + seen.after_bond


# members by their names, on the host or in the pod, as in bond-cni


def _is_by_names(config: NetConf) -> bool:
    on_host = config.links_in_container is False
    return on_host or all(link.is_exact for link in config.links or ())


def _find_named(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> list[Member]:
    """Return the members that `links` names, in its order; raises ConfigError for a missing one."""
    place = _place(config, links, seen)
    there = seen.pod if place is Place.POD else seen.host
    named = [member for member in there if may_mean(links, member.link)]
    pairs = [(link, [member for member in named if matches(link, member)]) for link in links]
    missing = [link.name or str(link) for link, members in pairs if not members]
    if missing:
        raise ConfigError(_missing(config, missing, place, seen))
    return [_apply_settings(member, link) for link, members in pairs for member in members]


def _apply_settings(member: Member, link: LinkSelector) -> Member:
    return link.apply_to(member) if link.settings else member


def _place(config: NetConf, links: Sequence[LinkSelector], seen: Seen) -> Place:
    if config.links_in_container is not None:
        return Place.POD if config.links_in_container else Place.HOST
    names = {link.name or "" for link in links}
    if names & _names(seen.pod):
        return Place.POD  # not the host's link of that name: it may be a dead pod's
    if names <= _names(seen.host):
        return Place.HOST
    raise ConfigError(_describe_scattered(sorted(names), seen))


def _list_links(members: Sequence[Member]) -> str:
    """Return the links' names, at most as many as a pod may have: a host has hundreds."""
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
    present = seen.pod if place is Place.POD else seen.host
    is_said = config.links_in_container is not None
    return rules.NO_SUCH_LINK.finding(
        f"cannot find {', '.join(repr(name) for name in missing)} of `links` in the {place}: "
        f"it has {_list_links(present)}{_elsewhere(missing, place, seen, is_said=is_said)}"
        f"{_userspace_hint(missing, seen)}{seen.after_bond}",
        _REMEDIES_OF_MISSING[place],
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
