"""The checks of the rules: one function per rule, yielding its violations in a situation.

Behaviour of VFs with and without trust was measured on igb VFs (the rules' `why`).
"""

from collections.abc import Callable, Iterator
from typing import Final

from sriovbond.bond import carrying, redundancy, rules, switching, views
from sriovbond.bond.drivers import HOLDING, MAC_FILTERS
from sriovbond.bond.keys import DHCP
from sriovbond.bond.links import ARPHRD_INFINIBAND, Member, PhysicalFunction
from sriovbond.bond.options import BACKUP, DELAYS, PROBING, BondMode
from sriovbond.bond.rules import Finding, Rule
from sriovbond.bond.situation import Situation

MIN_MTU = 68  # RFC 791; ETH_MIN_MTU
MIN_IPV6_MTU = 1280  # RFC 8200; IPV6_MIN_MTU: below it the kernel disables IPv6 on the link


def judge(situation: Situation) -> tuple[Finding, ...]:
    """Return every finding of every check, in the table's order."""
    return tuple(
        rule.finding(violation) for rule, check in CHECKS for violation in check(situation)
    )


def _without_effect(situation: Situation) -> Iterator[str]:
    for setting in situation.settings.values():
        option = setting.option
        if not setting.is_default and situation.mode in option.modes - option.effective:
            yield f"{setting} does nothing in mode {situation.mode}"


def _not_in_mode(situation: Situation) -> Iterator[str]:
    for setting in dict.fromkeys((*situation.settings.values(), *situation.entry_settings)):
        option = setting.option
        if situation.mode not in option.modes:
            modes = ", ".join(sorted(option.modes))
            yield f"the kernel takes {setting} only in {modes}, the mode is {situation.mode}"


def _two_monitors(situation: Situation) -> Iterator[str]:
    miimon, arp_interval = situation.number("miimon"), situation.number("arp_interval")
    if miimon and arp_interval:
        yield f"both miimon {miimon} and arp_interval {arp_interval}"


def _no_targets(situation: Situation) -> Iterator[str]:
    targets = {"arp_ip_target", "ns_ip6_target"} & situation.settings.keys()
    interval = situation.number("arp_interval")
    if interval and situation.mode in PROBING and not targets:
        yield f"arp_interval {interval} without arp_ip_target or ns_ip6_target"


def _no_probes(situation: Situation) -> Iterator[str]:
    if situation.number("arp_interval") or situation.mode not in PROBING:
        return
    for name in ("arp_ip_target", "ns_ip6_target", "arp_all_targets", "arp_missed_max"):
        if (
            name in situation.settings
            and situation.mode in situation.settings[name].option.effective
        ):
            yield f"{name} without arp_interval"


def _validate_without_probes(situation: Situation) -> Iterator[str]:
    validate = situation.value("arp_validate", "none")
    if validate != "none" and not situation.number("arp_interval"):
        yield f"arp_validate {validate} without arp_interval"


def _uneven_delay(situation: Situation) -> Iterator[str]:
    miimon = situation.number("miimon")
    for name in DELAYS:
        delay = situation.number(name)
        if name in situation.settings and not miimon:
            yield f"{name} {delay} without miimon"
        elif delay % (miimon or 1):
            yield f"{name} {delay} is no multiple of miimon {miimon}"


def _unmonitored(situation: Situation) -> Iterator[str]:
    if not situation.number("miimon") and not situation.number("arp_interval"):
        yield "miimon 0 and no arp_interval: the members' links are not monitored"


def _mac_with_active(situation: Situation) -> Iterator[str]:
    if (
        situation.mac
        and situation.mode is BondMode.ACTIVE_BACKUP
        and situation.fail_over_mac == "active"
    ):
        why = "fail_over_mac active changes it at a failover"
        yield f"the MAC {situation.mac} is asked for, and {why}"


def _dhcp_with_active(situation: Situation) -> Iterator[str]:
    is_changing = situation.mode in BACKUP and situation.fail_over_mac == "active"
    if situation.ipam_type == DHCP and is_changing:
        yield "ipam.type is dhcp, and fail_over_mac active changes the bond's MAC at a failover"


def _check_held_mac(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        is_refused = member.holds_own_mac and member.driver in HOLDING
        if is_refused and _foreign_mac(situation, member):
            wish = _wish(situation, member)
            yield f"{wish}, and its PF holds it to its own: {member.view_of_pf()}"


def _unclear_mac(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        is_refused = member.holds_own_mac and member.driver in HOLDING
        is_doubtful = member.holds_own_mac or member.may_hold_own_mac
        if is_doubtful and not is_refused and _foreign_mac(situation, member):
            wish = _wish(situation, member)
            yield f"{wish}, and its PF may hold it to its own: {member.view_of_pf()}"


def _foreign_mac(situation: Situation, member: Member) -> str | None:
    """Return the MAC that the member would have to take, if it is another than its own."""
    shared = situation.shared_mac
    if shared is None or shared != member.link.mac:
        return shared
    if situation.mode not in BACKUP or situation.fail_over_mac != "follow":
        return None
    # at a failover the former active member takes the MAC of the new one
    macs = (other.link.mac for other in situation.members)
    return next((mac for mac in macs if mac != shared), None)


def _wish(situation: Situation, member: Member) -> str:
    how = f"mode {situation.mode}"
    how += f" with fail_over_mac {situation.fail_over_mac}" if situation.mode in BACKUP else ""
    return f"in {how} the VF {member.name} must take the MAC {_foreign_mac(situation, member)}"


def _spoofed_mac(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        settings = member.settings
        clear = not member.holds_own_mac and not member.may_hold_own_mac
        checked = settings and settings.spoofchk and not settings.trust
        if checked and clear and _foreign_mac(situation, member):
            yield f"{_wish(situation, member)}, and is not trusted: {member.view_of_pf()}"


def _duplicate_macs(situation: Situation) -> Iterator[str]:
    if situation.mode not in {BondMode.BALANCE_TLB, BondMode.BALANCE_ALB}:
        return
    for place, member in enumerate(situation.members):
        for other in situation.members[:place]:
            if other.link.mac == member.link.mac:
                yield f"{other} and {member} both have the MAC {member.link.mac}"


def _infiniband_mode(situation: Situation) -> Iterator[str]:
    for member in _infiniband(situation):
        if situation.mode is not BondMode.ACTIVE_BACKUP:
            yield f"{member} is an IPoIB interface, the mode is {situation.mode}"


def _infiniband_mac(situation: Situation) -> Iterator[str]:
    if situation.mode in BACKUP and situation.fail_over_mac != "active":
        for member in _infiniband(situation):
            yield f"{member} is an IPoIB interface, fail_over_mac is {situation.fail_over_mac}"


def _infiniband(situation: Situation) -> list[Member]:
    return [member for member in situation.members if member.link.type == ARPHRD_INFINIBAND]


def _mixed_types(situation: Situation) -> Iterator[str]:
    types = {member.link.type for member in situation.members}
    if len(types) > 1:
        per_member = ", ".join(f"{member} type {member.link.type}" for member in situation.members)
        yield f"the members are of different link types (ARPHRD): {per_member}"


def _in_use(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        if member.link.master:
            yield f"{member} is already in a bond or bridge (master index {member.link.master})"
        if member.link.uppers:
            yield f"{member} carries {', '.join(member.link.uppers)}"


def _mtu_too_large(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        limit, whose = member.link.max_mtu, f"{member} takes at most"
        if member.pf and member.pf.mtu and (not limit or member.pf.mtu < limit):
            limit, whose = member.pf.mtu, f"{member} is on {member.pf.name}, whose MTU is"
        if situation.mtu and limit and situation.mtu > limit:
            yield f"the bond's MTU would be {situation.mtu}, and {whose} {limit}"


def _mtu_too_small(situation: Situation) -> Iterator[str]:
    if situation.mtu and situation.mtu < MIN_MTU:
        yield f"an MTU of {situation.mtu} is asked for, and the least is {MIN_MTU}"
        return
    for member in situation.members:
        if situation.mtu and situation.mtu < member.link.min_mtu:
            least = member.link.min_mtu
            yield f"an MTU of {situation.mtu} is asked for, and {member} takes {least}"


def _mtu_below_ipv6(situation: Situation) -> Iterator[str]:
    if situation.ipv6 and situation.mtu and MIN_MTU <= situation.mtu < MIN_IPV6_MTU:
        mtu_words = f"the MTU would be {situation.mtu}, and {situation.ipv6} is asked for"
        yield f"{mtu_words}; IPv6 needs {MIN_IPV6_MTU}"


def _too_few_links(situation: Situation) -> Iterator[str]:
    if situation.most_members is not None and situation.most_members < situation.min_members:
        yield f"`links` names {situation.most_members} and minMembers is {situation.min_members}"


def _lacp_over_vf(situation: Situation) -> Iterator[str]:
    if situation.mode is BondMode.LACP:
        for member in situation.members:
            if member.is_vf:
                yield f"mode 802.3ad over {member}"


def _follow_over_vf(situation: Situation) -> Iterator[str]:
    if situation.mode in BACKUP and situation.fail_over_mac == "follow":
        for member in situation.members:
            if member.is_vf:
                yield f"fail_over_mac follow over {member}"


def _forced_link_state(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        state = member.settings.link_state if member.settings else None
        if state == "enable" and situation.number("miimon"):
            yield f"{member} has link state enable: it keeps its carrier when the PF loses its own"
        if state == "disable" and not switching.is_relayed(member):
            yield f"{member} has link state disable: it never has a carrier"


def _no_visible_pf(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        if member.is_vf and member.settings is None:
            yield f"{member}: {_hidden(member.pf)}, so trust, spoofchk and its MAC cannot be read"


def _hidden(pf: PhysicalFunction | None) -> str:
    if pf is None:
        return "no PF is seen"
    return f"{pf.name} does not report it" if pf.name else f"its PF {pf.device} has no netdev here"


def _pf_without_carrier(situation: Situation) -> Iterator[str]:
    for member in situation.members:
        if member.pf and member.pf.name and not member.pf.has_carrier:
            yield f"{member}: {member.pf.name} has no carrier"


def _member_twice(situation: Situation) -> Iterator[str]:
    for name in sorted({name for name in situation.entries if situation.entries.count(name) > 1}):
        yield f"links ask for {name} {situation.entries.count(name)} times"
    for later, earlier in situation.left_nothing:
        if situation.entries[later] != situation.entries[earlier]:
            yield (
                f"links.{later} asks for {situation.entries[later]}, all of which links.{earlier}, "
                f"{situation.entries[earlier]}, takes before it"
            )
    names = [member.name for member in situation.members]  # which two different altnames may name
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"links ask for {name!r} {names.count(name)} times, by different names"


def _queue_twice(situation: Situation) -> Iterator[str]:
    queues = [
        setting.value
        for setting in situation.entry_settings
        if setting.name == "queue_id" and setting.value
    ]
    for queue in dict.fromkeys(queues):
        if queues.count(queue) > 1:
            yield f"queue_id {queue} is asked for {queues.count(queue)} members"


def _check_listed_after(situation: Situation) -> Iterator[str]:
    if situation.later and not situation.entries:
        later = ", ".join(situation.later)
        yield f"the pod lists {later} after the bond, which cannot take their VFs"


def _few_mac_filters(situation: Situation) -> Iterator[str]:
    is_macvlan = any("macvlan" in words for words in situation.upon)
    for member in situation.members:
        most = MAC_FILTERS.get(member.driver)
        is_untrusted = member.settings is not None and member.settings.trust is False
        # each has at least one MAC or multicast group beyond the bond's own
        if most and is_untrusted and (is_macvlan or len(situation.upon) > most // 3):
            limit = f"{member} ({member.driver}, trust off) takes {most} MACs"
            yield f"{limit}, and on top of it are {', '.join(situation.upon)}"


CHECKS: Final[tuple[tuple[Rule, Callable[[Situation], Iterator[str]]], ...]] = (
    (rules.OPTION_NOT_IN_MODE, _not_in_mode),
    (rules.TWO_MONITORS, _two_monitors),
    (rules.PROBES_WITHOUT_TARGET, _no_targets),
    (rules.VALIDATE_WITHOUT_PROBES, _validate_without_probes),
    (rules.DELAY_NO_MULTIPLE, _uneven_delay),
    (rules.MAC_WITH_ACTIVE, _mac_with_active),
    (rules.MTU_TOO_SMALL, _mtu_too_small),
    (rules.ADDRESS_NEEDS_LARGER_MTU, _mtu_below_ipv6),
    (rules.TOO_FEW_LINKS, _too_few_links),
    (rules.MEMBER_TWICE, _member_twice),
    (rules.QUEUE_ID_TWICE, _queue_twice),
    (rules.VF_MAC_HELD_BY_PF, _check_held_mac),
    (rules.DUPLICATE_MAC, _duplicate_macs),
    (rules.IPOIB_MODE, _infiniband_mode),
    (rules.IPOIB_MAC, _infiniband_mac),
    (rules.MIXED_LINK_TYPES, _mixed_types),
    (rules.MEMBER_IN_USE, _in_use),
    (rules.MEMBER_CARRIES_ADDRESSES, carrying.find_refused_addresses),
    (rules.MTU_ABOVE_DEVICE, _mtu_too_large),
    (rules.REDUNDANCY_REQUIRED, redundancy.required_and_missing),
    (rules.OPTION_WITHOUT_EFFECT, _without_effect),
    (rules.TARGETS_WITHOUT_PROBES, _no_probes),
    (rules.NO_LINK_MONITORING, _unmonitored),
    (rules.VF_MAC_UNCLEAR, _unclear_mac),
    (rules.VF_MAC_SPOOFED, _spoofed_mac),
    (rules.LACP_OVER_VF, _lacp_over_vf),
    (rules.FOLLOW_OVER_VF, _follow_over_vf),
    (rules.VF_LINK_STATE_FORCED, _forced_link_state),
    (rules.PF_NOT_VISIBLE, _no_visible_pf),
    (rules.NODE_ROUTE_ON_MEMBER, carrying.node_route),
    (rules.NO_REDUNDANCY, redundancy.preferred_and_missing),
    (rules.REDUNDANCY_UNPROVED, redundancy.required_and_unproven),
    (rules.SWITCH_LAG_NEEDED, switching.needed_lag),
    (rules.SWITCH_LAG_UNWANTED, switching.unwanted_lag),
    (rules.ONE_MAC_TWICE, switching.one_mac_twice),
    (rules.VF_DISABLED_BY_RELAY, switching.disabled_by_relay),
    (rules.FEW_MAC_FILTERS, _few_mac_filters),
    (rules.PF_IN_HOST_LAG, switching.host_lag),
    (rules.MEMBERS_DIFFER_VLAN, views.differing_vlan),
    (rules.MEMBERS_DIFFER_TRUST, views.differing_trust),
    (rules.MEMBERS_DIFFER_MTU, views.differing_mtu),
    (rules.PF_WITHOUT_CARRIER, _pf_without_carrier),
    (rules.MEMBER_ADDRESS_TAKEN_OFF, carrying.find_flushed_addresses),
    (rules.HOST_LINKS_ASKED_FOR, carrying.host_asked),
    (rules.BOND_BEFORE_MEMBERS, _check_listed_after),
    (rules.DHCP_WITH_ACTIVE, _dhcp_with_active),
)
"""In the order in which findings are reported."""
