"""Derives a bond's happenings from the kernel's reports of its namespace's links."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sriovbond.bond.links import Member
from sriovbond.bond.options import BondMode
from sriovbond.bond.plan import BondPlan
from sriovbond.happenings.happening import Happening, HappeningKind, WatchedBond, WatchedMember
from sriovbond.subject import Subject

FEW = 1
"""At most so many working members are no redundancy."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A link as an event or a dump has it; `active` is a bond's active member by index.

    `is_set_down`: it is administratively down (IFF_UP is off), whatever its carrier. `mii_up`,
    `failures` and `is_backup` (the kernel lets it carry no traffic now) are what a bond says of its
    member.
    """

    index: int
    name: str
    kind: str = ""
    master: int = 0
    is_set_down: bool = False
    has_carrier: bool = False
    device: str = ""
    active: int = 0
    mii_up: bool = False
    is_backup: bool = False
    failures: int = 0

    @property
    def matters(self) -> bool:
        """Whether it is a bond, or is or was in one; a pod may have thousands of others."""
        return self.kind == "bond" or bool(self.master) or bool(self.device)


def observe(subject: Subject, plan: BondPlan, links: Mapping[int, Heard]) -> WatchedBond:
    """Return the state of the bond according to these links of its namespace."""
    bonds = [link for link in links.values() if link.kind == "bond"]
    bond = next((link for link in bonds if link.name == plan.name), None)
    pairs = [(member, _find(member, list(links.values()))) for member in plan.members]
    members = tuple(_watch_member(member, link, bond, plan.mode) for member, link in pairs)
    return WatchedBond(
        subject=subject,
        mode=str(plan.mode),
        has_carrier=bool(bond and bond.has_carrier),
        members=members,
        index=bond.index if bond else 0,
        last_active=next((member.name for member in members if member.is_active), ""),
    )


def _find(member: Member, links: Sequence[Heard]) -> Heard | None:
    """Find a member by its device, for others may have renamed it; else by its name.

    Before 5.14 the kernel reports no devices.
    """
    if member.device and any(link.device for link in links):
        links = [link for link in links if link.device == member.device]
        named = [link for link in links if link.name == member.name]
        return next(iter((*named, *links)), None)
    return next((link for link in links if link.name == member.name and not link.device), None)


def _watch_member(
    member: Member, link: Heard | None, bond: Heard | None, mode: BondMode
) -> WatchedMember:
    absent = WatchedMember(
        name=member.name,
        device=member.device,
        pf=(member.pf.name or member.pf.device) if member.pf else "",
        is_in_bond=False,
    )
    if link is None or bond is None or link.master != bond.index:
        return absent
    return replace(
        absent,
        is_in_bond=True,
        is_up=link.mii_up,
        is_set_down=link.is_set_down,
        is_in_aggregator=mode is not BondMode.LACP or not link.is_backup,
        is_active=link.index == bond.active,
        failures=link.failures,
    )


def follow(
    before: WatchedBond, now: WatchedBond, at: float, *, is_reread: bool = False
) -> tuple[WatchedBond, tuple[Happening, ...]]:
    """Return the bond with its history carried on, and what happened to it since `before`.

    `is_reread` says that events may have been lost: then a member that is active again, but
    has failed meanwhile, has failed over and back.
    """
    # else a DEL and an ADD were in between
    is_same = now.index in (0, before.index) and _names(now) == _names(before)
    happenings = list(_compare(before, now, at, is_reread=is_reread)) if is_same else []
    times = [happening for happening in happenings if happening.kind is HappeningKind.FAILOVER]
    now = replace(
        now,
        failovers=before.failovers + len(times),
        failed_over_at=at if times else before.failed_over_at,
        last_active=now.last_active or (before.last_active if is_same else ""),
        drift=before.drift,
        refused=before.refused if now.working < len(now.members) else (),
    )
    return now, tuple(happenings)


def keep_lasting(happenings: Iterable[Happening]) -> tuple[Happening, ...]:
    """Leave out what only shows that a new bond comes up."""
    return tuple(
        happening
        for happening in happenings
        if happening.kind in (HappeningKind.FAILOVER, HappeningKind.MEMBER_GONE)
    )


def judge_settled(now: WatchedBond, at: float) -> tuple[Happening, ...]:
    """Return the problems of a bond that has had the time to come up."""
    tell = _teller(now, at)
    return (tell(HappeningKind.DEGRADED, _describe_degraded(now)),) if _is_degraded(now) else ()


Tell = Callable[..., Happening]


def _teller(now: WatchedBond, at: float) -> Tell:
    def tell(kind: HappeningKind, text: str, member: WatchedMember | None = None) -> Happening:
        return Happening(kind, now.subject, f"{now.subject.attachment.ifname}: {text}", at, member)

    return tell


def _compare(
    before: WatchedBond, now: WatchedBond, at: float, *, is_reread: bool
) -> Iterator[Happening]:
    tell = _teller(now, at)
    yield from _failover(before, now, tell, is_reread=is_reread)
    for earlier, member in zip(before.members, now.members, strict=True):
        yield from _member(earlier, member, tell)
    if now.working < before.working and _is_degraded(now):
        yield tell(HappeningKind.DEGRADED, _describe_degraded(now))
    if before.working < now.working == len(now.members):
        yield tell(HappeningKind.RESTORED, f"all {now.working} members work again")


def _failover(
    before: WatchedBond, now: WatchedBond, tell: Tell, *, is_reread: bool
) -> Iterator[Happening]:
    former = next((member for member in before.members if member.name == before.last_active), None)
    active = next((member for member in now.members if member.is_active), None)
    if former is None or active is None:
        return
    then = next(member for member in now.members if member.name == former.name)
    if former.name == active.name:
        if is_reread and active.failures > former.failures:
            yield tell(
                HappeningKind.FAILOVER, f"{active} failed and is the active member again", active
            )
        return
    if then.works and then.failures == former.failures:
        why = f"{then} works: it was moved by hand, or the other one is preferred"
    else:
        why = _describe_failure(then, "has failed")
    yield tell(HappeningKind.FAILOVER, f"{active} is the active member now; {why}", then)


def _member(before: WatchedMember, now: WatchedMember, tell: Tell) -> Iterator[Happening]:
    if before.is_in_bond and not now.is_in_bond:
        words = f"{now} is not in the bond any more; look at {now.pf or now.name}: was it reset?"
        yield tell(HappeningKind.MEMBER_GONE, words, now)
    elif before.is_up and not now.is_up:
        yield tell(HappeningKind.MEMBER_DOWN, _describe_failure(now, "is down"), now)
    elif before.works and not now.works:
        words = (
            f"{now} is up and carries nothing: LACP has it outside the active aggregator; look at "
            f"the switch port of {now.pf or now.name}: is it in one LAG with the others?"
        )
        yield tell(HappeningKind.MEMBER_DOWN, words, now)
    elif now.works and not before.works:
        yield tell(HappeningKind.MEMBER_UP, f"{now} is up", now)


def _describe_failure(member: WatchedMember, state: str) -> str:
    """Say where to look: at the pod for a link that is administratively down, else at the wire."""
    if member.is_in_bond and member.is_set_down:
        return (
            f"{member} is administratively down: a process in the pod, or root of the node, has "
            f"set it down; in the pod's namespace `ip link set {member.name} up` brings it back"
        )
    return f"{member} {state}; look at {member.pf or member.name}, its cable and its switch port"


def _names(bond: WatchedBond) -> list[str]:
    return [member.name for member in bond.members]


def _is_degraded(now: WatchedBond) -> bool:
    return now.working <= FEW < len(now.members) or not now.working


def _describe_degraded(now: WatchedBond) -> str:
    lost = ", ".join(str(member) for member in now.members if not member.works)
    working = ", ".join(str(member) for member in now.members if member.works)
    if not working:
        return f"no member works, so the pod has no network here: {lost}"
    return f"only {working} is left, the next failure cuts the pod off; repair {lost}"
