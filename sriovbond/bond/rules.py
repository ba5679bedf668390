"""What the kernel or the NIC refuses in combination: one row a rule, with a stable id.

What works on VFs with and without trust was measured on igb VFs (RULES' `why`); a sure refusal is
never overruled, a warning becomes one under `policy: strict`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sriovbond.bond import carrying, redundancy, switching, views
from sriovbond.bond.drivers import HOLDING, MAC_FILTERS
from sriovbond.bond.links import ARPHRD_INFINIBAND, Member, PhysicalFunction
from sriovbond.bond.options import BACKUP, PROBING, BondMode
from sriovbond.bond.situation import Situation
from sriovbond.errors import Fault

MIN_MTU = 68  # RFC 791; ETH_MIN_MTU
MIN_IPV6_MTU = 1280  # RFC 8200; IPV6_MIN_MTU: below it the kernel takes IPv6 off the link


class Level(StrEnum):
    """What becomes of a finding; a notice is a warning that `policy: strict` does not refuse."""

    CONFIG = "configuration"
    REFUSED = "refused"
    WARNING = "warning"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: `check` yields, for each violation, what was found."""

    id: str
    level: Level
    why: str
    remedy: str
    check: Callable[[Situation], Iterator[str]]


@dataclass(frozen=True, slots=True)
class Finding(Fault):
    """A violated rule."""

    level: Level = field(kw_only=True)


def judge(situation: Situation, rules: Sequence[Rule] | None = None) -> tuple[Finding, ...]:
    """Return every finding of every rule, in the table's order."""
    return tuple(
        Finding(found, rule.remedy, rule.id, level=rule.level)
        for rule in (RULES if rules is None else rules)
        for found in rule.check(situation)
    )


def _without_effect(seen: Situation) -> Iterator[str]:
    for setting in seen.settings.values():
        option = setting.option
        if not setting.is_default and seen.mode in option.modes - option.effective:
            yield f"{setting} does nothing in mode {seen.mode}"


def _not_in_mode(seen: Situation) -> Iterator[str]:
    for setting in dict.fromkeys((*seen.settings.values(), *seen.wanted_settings)):
        option = setting.option
        if seen.mode not in option.modes:
            modes = ", ".join(sorted(option.modes))
            yield f"the kernel takes {setting} only in {modes}, the mode is {seen.mode}"


def _two_monitors(seen: Situation) -> Iterator[str]:
    if seen.number("miimon") and seen.number("arp_interval"):
        yield f"both miimon {seen.number('miimon')} and arp_interval {seen.number('arp_interval')}"


def _no_targets(seen: Situation) -> Iterator[str]:
    targets = {"arp_ip_target", "ns_ip6_target"} & seen.settings.keys()
    if seen.number("arp_interval") and seen.mode in PROBING and not targets:
        yield f"arp_interval {seen.number('arp_interval')} without arp_ip_target or ns_ip6_target"


def _no_probes(seen: Situation) -> Iterator[str]:
    if seen.number("arp_interval") or seen.mode not in PROBING:
        return
    for name in ("arp_ip_target", "ns_ip6_target", "arp_all_targets", "arp_missed_max"):
        if name in seen.settings and seen.mode in seen.settings[name].option.effective:
            yield f"{name} without arp_interval"


def _validate_without_probes(seen: Situation) -> Iterator[str]:
    asked = seen.value("arp_validate", "none")
    if asked != "none" and not seen.number("arp_interval"):
        yield f"arp_validate {asked} without arp_interval"


def _uneven_delay(seen: Situation) -> Iterator[str]:
    miimon = seen.number("miimon")
    for name in ("updelay", "downdelay", "peer_notif_delay"):
        delay = seen.number(name)
        if name in seen.settings and not miimon:
            yield f"{name} {delay} without miimon"
        elif delay % (miimon or 1):
            yield f"{name} {delay} is no multiple of miimon {miimon}"


def _unmonitored(seen: Situation) -> Iterator[str]:
    if not seen.number("miimon") and not seen.number("arp_interval"):
        yield "miimon 0 and no arp_interval: nobody watches the members' links"


def _mac_with_active(seen: Situation) -> Iterator[str]:
    if seen.mac and seen.mode is BondMode.ACTIVE_BACKUP and seen.fail_over_mac == "active":
        yield f"the MAC {seen.mac} is asked for, and fail_over_mac active changes it at a failover"


def _held_mac(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        is_refused = member.holds_own_mac and member.driver in HOLDING
        if is_refused and _foreign_mac(seen, member):
            yield f"{_wish(seen, member)}, and its PF holds it to its own: {member.view_of_pf()}"


def _unclear_mac(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        is_refused = member.holds_own_mac and member.driver in HOLDING
        is_doubtful = member.holds_own_mac or member.may_hold_own_mac
        if is_doubtful and not is_refused and _foreign_mac(seen, member):
            yield f"{_wish(seen, member)}, and its PF may hold it to its own: {member.view_of_pf()}"


def _foreign_mac(seen: Situation, member: Member) -> str | None:
    """Return the MAC that the member must take and that is not its own, if there is one."""
    shared = seen.shared_mac
    if shared is None or shared != member.link.mac:
        return shared
    if seen.mode not in BACKUP or seen.fail_over_mac != "follow":
        return None
    # at a failover the member that was active takes the MAC of the one that now is
    others = (other.link.mac for other in seen.members)
    return next((mac for mac in others if mac != shared), None)


def _wish(seen: Situation, member: Member) -> str:
    how = f"mode {seen.mode}"
    how += f" with fail_over_mac {seen.fail_over_mac}" if seen.mode in BACKUP else ""
    return f"in {how} the VF {member.name} must take the MAC {_foreign_mac(seen, member)}"


def _spoofed_mac(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        found = member.settings
        clear = not member.holds_own_mac and not member.may_hold_own_mac
        checked = found and found.spoofchk and not found.trust
        if checked and clear and _foreign_mac(seen, member):
            yield f"{_wish(seen, member)}, and is not trusted: {member.view_of_pf()}"


def _duplicate_macs(seen: Situation) -> Iterator[str]:
    if seen.mode not in {BondMode.BALANCE_TLB, BondMode.BALANCE_ALB}:
        return
    for place, member in enumerate(seen.members):
        for other in seen.members[:place]:
            if other.link.mac == member.link.mac:
                yield f"{other} and {member} both have the MAC {member.link.mac}"


def _infiniband_mode(seen: Situation) -> Iterator[str]:
    for member in _infiniband(seen):
        if seen.mode is not BondMode.ACTIVE_BACKUP:
            yield f"{member} is an IPoIB interface, the mode is {seen.mode}"


def _infiniband_mac(seen: Situation) -> Iterator[str]:
    if seen.mode in BACKUP and seen.fail_over_mac != "active":
        for member in _infiniband(seen):
            yield f"{member} is an IPoIB interface, fail_over_mac is {seen.fail_over_mac}"


def _infiniband(seen: Situation) -> list[Member]:
    return [member for member in seen.members if member.link.type == ARPHRD_INFINIBAND]


def _mixed_types(seen: Situation) -> Iterator[str]:
    types = {member.link.type for member in seen.members}
    if len(types) > 1:
        told = ", ".join(f"{member} type {member.link.type}" for member in seen.members)
        yield f"the members are of different link types (ARPHRD): {told}"


def _in_use(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        if member.link.master:
            yield f"{member} is already in a bond or bridge (master index {member.link.master})"
        if member.link.uppers:
            yield f"{member} carries {', '.join(member.link.uppers)}"


def _mtu_too_large(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        limit, whose = member.link.max_mtu, f"{member} takes at most"
        if member.pf and member.pf.mtu and (not limit or member.pf.mtu < limit):
            limit, whose = member.pf.mtu, f"{member} is on {member.pf.name}, whose MTU is"
        if seen.mtu and limit and seen.mtu > limit:
            yield f"the bond's MTU would be {seen.mtu}, and {whose} {limit}"


def _mtu_too_small(seen: Situation) -> Iterator[str]:
    if seen.mtu and seen.mtu < MIN_MTU:
        yield f"an MTU of {seen.mtu} is asked for, and the least is {MIN_MTU}"
        return
    for member in seen.members:
        if seen.mtu and seen.mtu < member.link.min_mtu:
            yield f"an MTU of {seen.mtu} is asked for, and {member} takes {member.link.min_mtu}"


def _mtu_below_ipv6(seen: Situation) -> Iterator[str]:
    if seen.ipv6 and seen.mtu and MIN_MTU <= seen.mtu < MIN_IPV6_MTU:
        yield f"the MTU would be {seen.mtu}, and {seen.ipv6} is asked for; IPv6 needs {MIN_IPV6_MTU}"


def _too_few_links(seen: Situation) -> Iterator[str]:
    if seen.most_members is not None and seen.most_members < seen.min_members:
        yield f"`links` names {seen.most_members} and minMembers is {seen.min_members}"


def _lacp_over_vf(seen: Situation) -> Iterator[str]:
    if seen.mode is BondMode.LACP:
        for member in seen.members:
            if member.is_vf:
                yield f"mode 802.3ad over {member}"


def _follow_over_vf(seen: Situation) -> Iterator[str]:
    if seen.mode in BACKUP and seen.fail_over_mac == "follow":
        for member in seen.members:
            if member.is_vf:
                yield f"fail_over_mac follow over {member}"


def _forced_link_state(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        state = member.settings.link_state if member.settings else None
        if state == "enable" and seen.number("miimon"):
            yield f"{member} has link state enable: it keeps its carrier when the PF loses its own"
        if state == "disable" and not switching.is_relayed(member):
            yield f"{member} has link state disable: it never has a carrier"


def _no_visible_pf(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        if member.is_vf and member.settings is None:
            yield f"{member}: {_hidden(member.pf)}, so trust, spoofchk and its MAC cannot be read"


def _hidden(pf: PhysicalFunction | None) -> str:
    if pf is None:
        return "no PF is seen"
    return f"{pf.name} tells nothing of it" if pf.name else f"its PF {pf.device} has no netdev here"


def _pf_without_carrier(seen: Situation) -> Iterator[str]:
    for member in seen.members:
        if member.pf and member.pf.name and not member.pf.has_carrier:
            yield f"{member}: {member.pf.name} has no carrier"


def _member_twice(seen: Situation) -> Iterator[str]:
    for name in sorted({name for name in seen.wanted if seen.wanted.count(name) > 1}):
        yield f"links ask for {name} {seen.wanted.count(name)} times"
    for later, earlier in seen.left_nothing:
        if seen.wanted[later] != seen.wanted[earlier]:
            yield (
                f"links.{later} asks for {seen.wanted[later]}, all of which links.{earlier}, "
                f"{seen.wanted[earlier]}, takes before it"
            )
    names = [member.name for member in seen.members]  # which two different altnames may mean
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"links ask for {name!r} {names.count(name)} times, by different names"


def _queue_twice(seen: Situation) -> Iterator[str]:
    queues = [one.value for one in seen.wanted_settings if one.name == "queue_id" and one.value]
    for queue in dict.fromkeys(queues):
        if queues.count(queue) > 1:
            yield f"queue_id {queue} is asked for {queues.count(queue)} members"


def _listed_after(seen: Situation) -> Iterator[str]:
    if seen.later and not seen.wanted:
        yield f"the pod lists {', '.join(seen.later)} after the bond, which cannot take their VFs"


def _few_mac_filters(seen: Situation) -> Iterator[str]:
    is_macvlan = any("macvlan" in words for words in seen.upon)
    for member in seen.members:
        most = MAC_FILTERS.get(member.driver)
        is_untrusted = member.settings is not None and member.settings.trust is False
        # each has one MAC or group at least that the bond itself has not
        if most and is_untrusted and (is_macvlan or len(seen.upon) > most // 3):
            stands = ", ".join(seen.upon)
            yield f"{member} ({member.driver}, trust off) takes {most} MACs, and on it stand {stands}"


def _elsewhere(_: Situation) -> Iterator[str]:
    yield from ()


# fmt: off
RULES: tuple[Rule, ...] = (
    Rule("option-not-in-mode", Level.CONFIG, "The kernel refuses the option in this mode.", "remove it or choose another mode", _not_in_mode),
    Rule("two-monitors", Level.CONFIG, "The kernel watches carriers or sends probes, never both.", "keep one of them", _two_monitors),
    Rule("probes-without-target", Level.CONFIG, "Probes that nobody is asked to answer take every member down.", "name a host that always answers, such as the gateway", _no_targets),
    Rule("validate-without-probes", Level.CONFIG, "There are no answers to validate, and the kernel refuses it beside miimon.", "set arp_interval and its targets, or remove arp_validate", _validate_without_probes),
    Rule("delay-no-multiple", Level.CONFIG, "The kernel would silently round the delay down, or refuse it without miimon.", "choose a multiple of miimon", _uneven_delay),
    Rule("mac-with-active", Level.CONFIG, "With fail_over_mac active the bond's MAC is the active member's and changes with it.", "leave the MAC out, or ask for failOverMac none", _mac_with_active),
    Rule("mtu-too-small", Level.CONFIG, "IPv4 needs packets of 68 bytes.", "ask for a larger MTU", _mtu_too_small),
    Rule("address-needs-larger-mtu", Level.CONFIG, "Below 1280 bytes the kernel takes IPv6 off the link and refuses the address.", "ask for an MTU of 1280 at least, or leave the IPv6 address out", _mtu_below_ipv6),
    Rule("too-few-links", Level.CONFIG, "Each name means one interface, so fewer could never be bonded than minMembers asks for.", "name more, set minMembers, or leave `links` out, which takes every VF of the pod", _too_few_links),
    Rule("member-twice", Level.CONFIG, "A bond over one link has no redundancy.", "name each link once", _member_twice),
    Rule("queue-id-twice", Level.CONFIG, "The kernel gives a transmit queue to one member only (bond_option_queue_id_set).", "give each member its own queue_id", _queue_twice),
    Rule("vf-mac-held-by-pf", Level.REFUSED, f"Without trust a VF of these drivers keeps its administrative MAC: {', '.join(HOLDING)} (hns3 with trust, too). The kernel fails to change it (EADDRNOTAVAIL); under follow the traffic stops at the failover.", "use active-backup with failOverMac active (the default) and no `mac`, or give the VF trust on, or give all members the same MAC", _held_mac),
    Rule("duplicate-mac", Level.REFUSED, "balance-tlb and balance-alb tell members apart by their MACs.", "give each VF a MAC of its own", _duplicate_macs),
    Rule("ipoib-mode", Level.REFUSED, "The kernel bonds IPoIB interfaces in active-backup only (bond_enslave).", "use active-backup", _infiniband_mode),
    Rule("ipoib-mac", Level.REFUSED, "An IPoIB interface cannot change its hardware address.", "use failOverMac active", _infiniband_mac),
    Rule("mixed-link-types", Level.REFUSED, "The kernel bonds links of one type only.", "choose members of one type", _mixed_types),
    Rule("member-in-use", Level.REFUSED, "A link can be in one bond only, and what stands on it would lose its traffic.", "choose another link or free this one", _in_use),
    Rule("member-carries-addresses", Level.REFUSED, "Addresses on members take traffic away from the bond (memberAddresses: refuse).", "remove the IPAM of the member's network, or use memberAddresses flush", carrying.refused_addresses),
    Rule("mtu-above-device", Level.REFUSED, "Larger frames are dropped without a word by the PF.", "raise the PF's MTU, or set `mtu` to what all take", _mtu_too_large),
    Rule("redundancy-required", Level.REFUSED, "Members on one PF, or on one NIC with redundancyLevel nic, fail together (redundancy: require).", "give the pod VFs of two PFs (redundancyLevel nic: of two NICs), or ask for redundancy prefer", redundancy.required_and_lacking),
    Rule("option-without-effect", Level.WARNING, "The kernel keeps the value but does not use it in this mode.", "remove it or choose another mode", _without_effect),
    Rule("targets-without-probes", Level.WARNING, "Without arp_interval no probe is sent.", "set arp_interval, or remove it", _no_probes),
    Rule("no-link-monitoring", Level.WARNING, "A member whose link is dead stays in use.", "set miimon to 100, or arp_interval with targets", _unmonitored),
    Rule("vf-mac-unclear", Level.WARNING, "Some drivers (igb, ixgbe) keep a VF's own request where others keep the administrative MAC, some do not tell trust, and of others (mlx5_core lets a VF take any MAC) it is not known that they refuse.", "use failOverMac active, or give the VF trust on", _unclear_mac),
    Rule("vf-mac-spoofed", Level.WARNING, "Some drivers (i40e) drop what an untrusted VF sends from another MAC while spoof checking is on.", "use failOverMac active, or give the VF trust on", _spoofed_mac),
    Rule(switching.LACP_OVER_VF, Level.WARNING, "A switch port has one LACP partner, and the PF's embedded switch keeps LACPDUs from VFs.", "use active-backup, or bond the PFs on the host (VF LAG)", _lacp_over_vf),
    Rule("follow-over-vf", Level.WARNING, "MACs are swapped at each failover, which a VF without trust may be refused.", "use failOverMac active", _follow_over_vf),
    Rule("vf-link-state-forced", Level.WARNING, "A carrier that does not follow the wire hides a failure from miimon.", "set the VF's link state to auto, or use arp_interval with targets", _forced_link_state),
    Rule("pf-not-visible", Level.WARNING, "Inside a VM the PF stays with the hypervisor; on a node it may be bound to vfio, or moved away.", "make sure where the PF is that the VF may do what the bond needs", _no_visible_pf),
    Rule("node-route-on-member", Level.WARNING, "Moving the interface into the pod takes the node off that route.", "choose an interface that the node does not need", carrying.node_route),
    Rule("no-redundancy", Level.WARNING, "Members on one PF, or on one NIC with redundancyLevel nic, fail together.", "give the pod VFs of two PFs (redundancyLevel nic: of two NICs), or write redundancy off where that is meant", redundancy.preferred_and_lacking),
    Rule("redundancy-unproved", Level.WARNING, "Inside a VM, and of links without a device, nobody tells the PF (redundancy: require).", "make sure where the PFs are that there are two, or ask for redundancy prefer", redundancy.required_and_unproved),
    Rule(switching.NEEDED, Level.WARNING, "balance-rr, balance-xor and broadcast send one MAC from all members: without a LAG the switch learns it at one port, then at another.", "group these switch ports (a static LAG, or LACP with the PFs in a bond of the host) and say `switchLag: true` where the host sees none, or use active-backup", switching.needed_lag),
    Rule(switching.UNWANTED, Level.WARNING, "active-backup, balance-tlb and balance-alb need each MAC at its own switch port.", "take the ports out of the LAG and `switchLag` out of the configuration, or use balance-xor", switching.unwanted_lag),
    Rule("one-mac-twice", Level.WARNING, "The PF's embedded switch delivers a MAC to one VF only, whichever took it last.", "give the pod VFs of two PFs, or use active-backup with failOverMac active and VFs with MACs of their own", switching.one_mac_twice),
    Rule("vf-disabled-by-relay", Level.WARNING, "PF Status Relay disables a PF's VFs while LACP with its switch is down, and gives them back (auto). Under policy strict, and alone, it is error 11: LACP may come.", "look at the switch and at the PF's LACP; leave the VF's link state to the relay", switching.disabled_by_relay),
    Rule("few-mac-filters", Level.WARNING, "An untrusted VF may listen to 18 MACs, groups' among them, on i40e and ice; what is beyond them stays deaf without a word.", "give the VFs trust on, or put fewer networks on the bond", _few_mac_filters),
    Rule(switching.IN_HOST_LAG, Level.WARNING, "The switch spreads the flows of a VF's MAC over the ports of the LAG, and the VF gets only those that come to its own PF.", "take the PF out of the LAG, or give each PF a LAG of its own, or use the NIC's VF LAG (switchdev)", switching.host_lag),
    Rule("members-differ-vlan", Level.WARNING, "Members in different VLANs reach different networks, so a failover changes the network.", "have the members' networks ask for one VLAN (vlan, vlanQoS, vlanProto)", views.differing_vlan),
    Rule("members-differ-trust", Level.WARNING, "What a trusted VF may do (other MACs, promiscuous mode) stops at the failover to one without trust.", "give all members trust on, or all trust off", views.differing_trust),
    Rule("members-differ-mtu", Level.WARNING, "The bond takes the smallest MTU of its members; different ones are mostly an oversight.", "give PFs and VFs one MTU, or set `mtu`", views.differing_mtu),
    Rule("pf-without-carrier", Level.WARNING, "A VF's carrier follows its PF's. Under policy strict, and alone, it is error 11: a carrier may come.", "look at the PF's cable and switch port", _pf_without_carrier),
    Rule("member-address-taken-off", Level.WARNING, "Without `links` a VF that has an address by its own network's IPAM is bonded only where too few others are there; its address goes.", "remove the IPAM of the VF's network, or select the members with `links`", carrying.flushed_addresses),
    Rule("host-links-asked-for", Level.NOTICE, "The node decides which of its interfaces a pod may take (node.toml), and bond-cni means to do away with the key.", "bond VFs that the pod's other networks bring, or see to it that the node lends the interfaces", carrying.host_asked),
    Rule("bond-before-members", Level.WARNING, "Multus adds networks in the order of the pod's annotation, so the VFs of later ones are not there yet.", "list the bond after the VFs' networks", _listed_after),
)
PASSING = frozenset({"pf-without-carrier", "vf-disabled-by-relay"})
"""Warnings of what may pass by itself: under `policy: strict`, and alone, to be tried again."""

FOUND_ELSEWHERE: tuple[Rule, ...] = (
    Rule("unknown-key", Level.WARNING, "The configuration has a key that nobody here reads. Beside an IPAM plugin that is not known here, policy strict does not refuse it.", "remove it if it was meant for this plugin", _elsewhere),
    Rule("cni-version-missing", Level.WARNING, "Without cniVersion results are those of 0.1.0: no interface and no MAC, so network-status lacks them.", "write cniVersion 1.0.0, or 0.4.0 for Multus 3", _elsewhere),
    Rule("ipam-without-type", Level.WARNING, "Without a type no IPAM plugin is executed, whatever else `ipam` says: the pod gets no address.", "name the plugin in ipam.type, or leave `ipam` out", _elsewhere),
    Rule(switching.MIXED, Level.WARNING, "A switch port is in the LAG for every VF behind it: balance-rr, balance-xor and broadcast need that, the other modes must not have it. `explain` tells of bonds that share a PF; an ADD does not read the records of all others.", "put them on different PFs, or give them modes of one kind", _elsewhere),
    Rule("too-few-members", Level.REFUSED, "Fewer links can be bonded than minMembers asks for; the message lists each link and why it was not taken.", "ask for a VF on each of two PFs in networks before the bond's, or set minMembers to 1", _elsewhere),
    Rule("userspace-driver", Level.REFUSED, "A VF given to this pod is bound to vfio-pci or uio, so the kernel has no interface of it.", "bond it in the guest or in DPDK, or bind it to its kernel driver", _elsewhere),
    Rule("vdpa-device", Level.REFUSED, "A VF given to this pod is used as a vDPA device, so the kernel has no interface of it.", "bond it in the guest, or remove the vDPA device", _elsewhere),
    Rule("socket-device", Level.REFUSED, "A vhost-user or memif network is a socket between processes.", "bond it in the guest or in DPDK, or select the others with `links`", _elsewhere),
    Rule("no-driver", Level.REFUSED, "A VF given to this pod is bound to no driver.", "bind it to its kernel driver", _elsewhere),
    Rule("not-in-pod", Level.REFUSED, "kubelet gave the pod a VF whose interface is not in it, and `links` asks for it or the others are too few.", "ask for a network with that resource, and list it before the bond's", _elsewhere),
    Rule("vf-of-another-pod", Level.REFUSED, "A VF stands in this pod that kubelet gave to another one only.", "look who put it here, and delete that pod or this one", _elsewhere),
    Rule("no-such-link", Level.REFUSED, "An entry of `links` matches nothing that can be bonded; the message lists what was seen. Of names alone it is error 7.", "correct the entry, or list its network before the bond's", _elsewhere),
    Rule("auto-twice", Level.REFUSED, "Two bonds of one pod would both take all of its VFs.", "select with `links` in each: by name, network, resource, pci or pf", _elsewhere),
    Rule("name-taken", Level.REFUSED, "The pod has an interface of that name already, or one with that altname, or an earlier plugin of the list made it.", "delete it, take the altname off, or ask for another name; in a list, give the bond a network of its own", _elsewhere),
    Rule("host-links-not-allowed", Level.REFUSED, "The node does not lend the interface: it uses it, a device plugin has it, or /etc/sriovbond/node.toml does not name it.", "bond VFs of the pod, or write what the message says into that file of the node", _elsewhere),
    Rule("member-used-past-kernel", Level.NOTICE, "device-info names an RDMA or vhost device of a member: what uses it does not see the bond and stays on its VF at a failover.", "give the bond VFs of a resource without it, or select its members with `links`", _elsewhere),
    Rule("option-not-taken", Level.REFUSED, "This kernel does not know the option and would have dropped it without a word.", "leave it out or use a newer kernel", _elsewhere),
)
"""Rules whose facts are not in a Situation; they are told where they are found."""
# fmt: on
