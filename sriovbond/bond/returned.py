"""A VF that came back: its PF's current settings, compared with those at ADD."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sriovbond.bond.links import NO_MAC, Member, VfSettings

# Whether a PF's driver enables spoof checking at a reset, by the driver of its VFs. In Linux 7.3
# igb_vf_configure, __ixgbe_enable_sriov, i40e_alloc_vfs and ice_initialize_vf_entry enable it; what
# mlx5, mlx4, bnxt_en and netdevsim store about a VF begins as zeros.
_SPOOF_CHECK_AFTER_RESET: Final[Mapping[str, bool]] = {
    "igbvf": True,
    "ixgbevf": True,
    "iavf": True,
    "i40evf": True,
    "mlx5_core": False,
    "mlx4_core": False,
    "bnxt_en": False,
    "netdevsim": False,
}


def to_write(before: VfSettings, now: VfSettings, driver: str) -> VfSettings:
    """Return `now` with ADD's values wherever the PF has the values of its driver's reset.

    A value that differs from both is a later change, and kept; link state and MAC are always kept.
    """
    repaired = now
    if before.tagging != now.tagging and not (now.vlan or now.qos):
        repaired = replace(repaired, vlan=before.vlan, qos=before.qos, vlan_proto=before.vlan_proto)
    if before.trust and now.trust is False:
        repaired = replace(repaired, trust=True)
    after_reset = _SPOOF_CHECK_AFTER_RESET.get(driver)
    if None not in (before.spoofchk, after_reset) and now.spoofchk is after_reset:
        repaired = replace(repaired, spoofchk=before.spoofchk)
    if before.rates and not (now.min_tx_rate or now.max_tx_rate):
        repaired = replace(repaired, min_tx_rate=before.min_tx_rate, max_tx_rate=before.max_tx_rate)
    return repaired


def lacking(before: VfSettings, now: VfSettings | None) -> Iterator[str]:
    """Yield the settings that the VF had at ADD and that are missing now: it cannot replace itself.

    More privileges (trust, no spoof check) are not reported; other rates are, higher ones too.
    """
    if now is None:
        yield "settings that the PF does not report"
        return
    if before.tagging != now.tagging:
        yield f"{now.tagging} where ADD found {before.tagging}"
    if before.trust and not now.trust:
        yield "trust off where ADD found trust on"
    if before.spoofchk is False and now.spoofchk:
        yield "spoofchk on where ADD found spoofchk off"
    if before.rates and before.rates != now.rates:
        yield f"{now.rates or 'no rates'} where ADD found {before.rates}"


def choose_mac(
    members: Sequence[Member], member: Member, now: str, in_use: Collection[str]
) -> str | None:
    """Return the MAC of a member in a bond where each has its own; None if others have them all.

    Its current one, else one of the plan's. That of another member counts as its own where ADD took
    both with it.
    """
    others = {planned.link.mac for planned in members if planned is not member}
    shared = {member.link.mac} & others
    # with `follow`, the bond's former MAC may be another member's by now
    own = (now, member.link.mac, *(planned.link.mac for planned in members))
    free = (mac for mac in own if mac != NO_MAC and (mac in shared or mac not in in_use))
    return next(free, None)


def as_it_is(member: Member, now: Member) -> Member:
    """Return the member in its current state, with the settings requested at ADD.

    SR-IOV CNI's cache has the administrative MAC, which a reset may have removed from the PF.
    """
    entry = now.settings.mac if now.settings else NO_MAC
    administrative_mac = now.administrative_mac if now.administrative_mac == entry else None
    return replace(
        member,
        link=replace(now.link, name=member.name),
        driver=now.driver,
        pf=now.pf,
        settings=now.settings,
        administrative_mac=administrative_mac,
    )
