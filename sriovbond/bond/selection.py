"""Which links become members, and why the others do not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sriovbond.bond import rules
from sriovbond.bond.config import NetConf
from sriovbond.bond.links import Member, Place
from sriovbond.bond.naming import find_named
from sriovbond.bond.rules import Finding, Rule
from sriovbond.bond.seen import Seen, Unlinked, matches
from sriovbond.bond.selector import LinkSelector
from sriovbond.errors import Fault, RefusedError

_NO_INTERFACE = "the kernel cannot bond it"
_IN_BOND = "already in a bond or bridge"
_PAIR = 2  # over one link there is no failover, whatever minMembers bears
DEFAULT_NETWORK_IFNAME = "eth0"  # the name that every container runtime gives the first interface


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a link or a device becomes a member, and why not; `rule` is the rule it breaks."""

    subject: Member | Unlinked
    why_not: str = ""
    rule: Rule | None = None

    @property
    def is_taken(self) -> bool:
        """True for a member."""
        return not self.why_not

    @property
    def forbids_bond(self) -> bool:
        """True where a bond of the others would be half of what was asked for."""
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

    Raises ConfigError where `links` names what is not there, RefusedError where too few can be
    bonded, an entry of `links` matches none, or one may not be bonded; all say what was seen.
    """
    if config.links is None and len(seen.auto_bonds) > 1:
        raise RefusedError(
            rules.AUTO_TWICE.finding(
                f"cannot choose the members: the bonds {' and '.join(seen.auto_bonds)} of this "
                "pod both take all of its VFs"
            )
        )
    if config.links is not None and _is_by_names(config):
        members = find_named(config, config.links, seen)
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
    """Return the links of the host that `links` names; raises ConfigError for a missing one."""
    if not seen.host or config.links is None or not _is_by_names(config):
        return []
    members = find_named(config, config.links, seen)
    return [member for member in members if member.place is Place.HOST]


def _is_by_names(config: NetConf) -> bool:
    on_host = config.links_in_container is False
    return on_host or all(link.is_exact for link in config.links or ())


def verdicts(config: NetConf, seen: Seen) -> tuple[Verdict, ...]:
    """Judge every link of the pod and every device of it; members first, in their order."""
    members = [member for member in seen.pod if member.name != "lo"]
    members.sort(key=lambda member: (len(member.name), member.name))
    if config.links is None:
        judged = _without_addressed(members, max(config.min_members, _PAIR), seen)
        judged += [_judge_unlinked(device, is_selected=False) for device in seen.unlinked]
    else:
        judged = list(_select(config.links, members, seen.unlinked))
    return tuple(sorted(judged, key=lambda verdict: not verdict.is_taken))


def _without_addressed(members: Sequence[Member], least: int, seen: Seen) -> list[Verdict]:
    """Judge VFs that nobody selected; pass over those with addresses where enough remain."""
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
    """Say what tells that the VF serves an end of its own, in words that end with what to do."""
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
    other_pods = ", ".join(member.allocation.others)
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
