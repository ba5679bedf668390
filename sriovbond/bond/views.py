"""The PFs' views of the members, side by side: what does not go together, or not with a bond."""

from collections.abc import Iterable, Iterator

from sriovbond.bond.links import Member
from sriovbond.bond.options import BondMode
from sriovbond.bond.situation import Situation

# Those for which the switch must group its ports (Documentation/networking/bonding.rst); under
# the others it sends a MAC's frames to the port where it has learned that MAC, which is the VF's.
_OVER_A_SWITCH_LAG = frozenset(
    {BondMode.BALANCE_RR, BondMode.BALANCE_XOR, BondMode.BROADCAST, BondMode.LACP}
)


def host_lag(seen: Situation) -> Iterator[str]:
    """Yield each member whose PF the host has put into a LAG with others.

    Not where VFs have representors: their traffic goes the host's way then, or the NIC has a LAG
    for its VFs. Seen as k8snetworkplumbingwg/bond-cni issue 22.
    """
    for member in seen.members:
        master = member.pf.master if member.pf and not member.pf.has_representors else None
        if member.pf and master and master.mode in _OVER_A_SWITCH_LAG and len(master.ports) > 1:
            others = ", ".join(port for port in master.ports if port != member.pf.name)
            lag = f"the host's {master.name} (mode {master.mode}) with {others}"
            yield f"{member}: {member.pf.name} is in {lag}"


def differing_vlan(seen: Situation) -> Iterator[str]:
    """Yield the VLANs (number, priority, protocol) where they differ."""
    told = [(member, member.settings) for member in seen.members if member.settings]
    tags = {(one.vlan, one.qos) for _, one in told}
    protocols = {one.vlan_proto for _, one in told if one.vlan or one.qos} - {None}
    if len(tags) > 1 or len(protocols) > 1:
        yield ", ".join(f"{member} has {one.tagging}" for member, one in told)


def differing_trust(seen: Situation) -> Iterator[str]:
    """Yield who is trusted where not all are."""
    words = {True: "trust on", False: "trust off"}
    yield from _differing(
        (member, words[member.settings.trust])
        for member in seen.members
        if member.settings and member.settings.trust is not None
    )


def differing_mtu(seen: Situation) -> Iterator[str]:
    """Yield the MTUs of links and of PFs where they differ and the configuration has no word."""
    if seen.is_mtu_asked:
        return
    yield from _differing((member, f"MTU {member.link.mtu}") for member in seen.members)
    yield from _differing(
        (member, f"a PF with MTU {member.pf.mtu}")
        for member in seen.members
        if member.pf and member.pf.mtu
    )


def _differing(told: Iterable[tuple[Member, str]]) -> Iterator[str]:
    values = list(told)
    if len({value for _, value in values}) > 1:
        yield ", ".join(f"{member} has {value}" for member, value in values)
