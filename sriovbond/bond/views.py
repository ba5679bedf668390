"""Differences between the PFs' settings of the members that do not work together."""

from collections.abc import Iterable, Iterator

from sriovbond.bond.links import Member
from sriovbond.bond.situation import Situation


def differing_vlan(situation: Situation) -> Iterator[str]:
    """Yield the VLANs (number, priority, protocol) where they differ."""
    views = [(member, member.settings) for member in situation.members if member.settings]
    tags = {(settings.vlan, settings.qos) for _, settings in views}
    protocols = {settings.vlan_proto for _, settings in views if settings.vlan or settings.qos} - {
        None
    }
    if len(tags) > 1 or len(protocols) > 1:
        yield ", ".join(f"{member} has {settings.tagging}" for member, settings in views)


def differing_trust(situation: Situation) -> Iterator[str]:
    """Yield the trusted members if not all are."""
    words = {True: "trust on", False: "trust off"}
    yield from _differing(
        (member, words[member.settings.trust])
        for member in situation.members
        if member.settings and member.settings.trust is not None
    )


def differing_mtu(situation: Situation) -> Iterator[str]:
    """Yield the MTUs of links and of PFs if they differ and the configuration sets none."""
    if situation.is_mtu_asked:
        return
    yield from _differing((member, f"MTU {member.link.mtu}") for member in situation.members)
    yield from _differing(
        (member, f"a PF with MTU {member.pf.mtu}")
        for member in situation.members
        if member.pf and member.pf.mtu
    )


def _differing(views: Iterable[tuple[Member, str]]) -> Iterator[str]:
    values = list(views)
    if len({value for _, value in values}) > 1:
        yield ", ".join(f"{member} has {value}" for member, value in values)
