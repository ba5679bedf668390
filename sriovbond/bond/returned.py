"""A VF that came back: what its PF says of it now, beside what it said at ADD."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from sriovbond.bond.links import NO_MAC, Member, VfSettings

# What a PF's driver has spoof checking on after a reset, by the driver of its VFs. In Linux 7.3
# igb_vf_configure, __ixgbe_enable_sriov, i40e_alloc_vfs and ice_initialize_vf_entry set it; what
# mlx5, mlx4, bnxt_en and netdevsim keep of a VF begins as zeros.
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
    """Return `now` with what ADD saw wherever the PF shows what its driver's reset leaves.

    What differs from both is somebody's later change, and stays; link state and MAC always stay.
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
    """Yield what the VF had at ADD and has not now, so that it cannot stand in for what it was.

    More than it had (trust, no spoof check, a higher rate) is no lack.
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


def as_it_is(member: Member, now: Member) -> Member:
    """Return the member with what is seen of it now, and what was asked for it at ADD.

    SR-IOV CNI's cache tells of an administrative MAC that a reset may have taken from the PF.
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
