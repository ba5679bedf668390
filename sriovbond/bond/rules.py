"""The registry of rules: the violation, its level, its reason, its remedy, and who checks it.

One row per rule, with an id that never changes. A rule is checked elsewhere: in a situation
(`bond/checks`), or where its facts are read; the checker reports it by `Rule.finding`. A certain
refusal is never overruled; a warning becomes one under `policy: strict`.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from sriovbond.bond.drivers import HOLDING
from sriovbond.errors import Fault


class Level(StrEnum):
    """How a finding is handled; a notice is a warning that `policy: strict` does not refuse."""

    CONFIG = "configuration"
    REFUSED = "refused"
    WARNING = "warning"
    NOTICE = "notice"
    NODE = "node"


class Where(StrEnum):
    """Who checks a rule."""

    VALIDATE = "validate"
    STATUS = "STATUS"
    ADD = "ADD"
    EXPLAIN = "explain"
    HOST = "host check"
    REPAIR = "repair"
    """The agent, before it puts a VF that came back into its bond again."""


@dataclass(frozen=True, slots=True)
class Finding(Fault):
    """A violated rule."""

    level: Level = field(kw_only=True)


class Rule(NamedTuple):  # a dataclass would cost each ADD of thin mode half a millisecond
    """One row: the violation, why it does not work, and the remedy."""

    id: str
    level: Level
    where: tuple[Where, ...]
    what: str
    why: str
    remedy: str

    def finding(self, text: str, remedy: str = "", level: Level | None = None) -> Finding:
        """Return a finding with `text`; `remedy` overrides the row's in this case."""
        return Finding(text, remedy or self.remedy, self.id, level=level or self.level)


_ALWAYS: Final = (Where.VALIDATE, Where.STATUS, Where.ADD, Where.EXPLAIN)  # from stdin alone
_WITH_MTU: Final = (*_ALWAYS, Where.REPAIR)
_MEMBERS: Final = (Where.ADD, Where.EXPLAIN, Where.REPAIR)
_CHOICE: Final = (Where.ADD, Where.EXPLAIN)
_ADD: Final = (Where.ADD,)
_STATUS: Final = (Where.STATUS,)
_HOST: Final = (Where.HOST,)

# fmt: off
OPTION_NOT_IN_MODE = Rule("option-not-in-mode", Level.CONFIG, _ALWAYS, "An option is set that the bond's mode does not have.", "The kernel refuses the option in this mode.", "remove it or choose another mode")
TWO_MONITORS = Rule("two-monitors", Level.CONFIG, _ALWAYS, "miimon and arp_interval are both set.", "The kernel watches carriers or sends probes, never both.", "keep one of them")
PROBES_WITHOUT_TARGET = Rule("probes-without-target", Level.CONFIG, _ALWAYS, "arp_interval is set and no target.", "Probes without a target to answer them take every member down.", "name a host that always answers, such as the gateway")
VALIDATE_WITHOUT_PROBES = Rule("validate-without-probes", Level.CONFIG, _ALWAYS, "arp_validate is set without arp_interval.", "There are no answers to validate, and the kernel refuses it beside miimon.", "set arp_interval and its targets, or remove arp_validate")
DELAY_NO_MULTIPLE = Rule("delay-no-multiple", Level.CONFIG, _ALWAYS, "updelay, downdelay or peer_notif_delay is no multiple of miimon, or is set without it.", "The kernel would silently round the delay down, or refuse it without miimon.", "choose a multiple of miimon")
MAC_WITH_ACTIVE = Rule("mac-with-active", Level.CONFIG, _ALWAYS, "A MAC is asked for beside fail_over_mac active.", "With fail_over_mac active the bond's MAC is the active member's and changes with it.", "leave the MAC out, or ask for failOverMac none")
MTU_TOO_SMALL = Rule("mtu-too-small", Level.CONFIG, _WITH_MTU, "The MTU is below 68, or below what a member takes.", "IPv4 needs packets of 68 bytes.", "ask for a larger MTU")
ADDRESS_NEEDS_LARGER_MTU = Rule("address-needs-larger-mtu", Level.CONFIG, _ALWAYS, "An IPv6 address is asked for, and the MTU is below 1280.", "Below 1280 bytes the kernel takes IPv6 off the link and refuses the address.", "ask for an MTU of 1280 at least, or leave the IPv6 address out")
TOO_FEW_LINKS = Rule("too-few-links", Level.CONFIG, _ALWAYS, "`links` has fewer names than minMembers.", "Each name means one interface, so fewer could never be bonded than minMembers asks for.", "name more, set minMembers, or leave `links` out, which takes every VF of the pod")
MEMBER_TWICE = Rule("member-twice", Level.CONFIG, _ALWAYS, "Two entries of `links` mean the same interface.", "A bond over one link has no redundancy.", "name each link once")
QUEUE_ID_TWICE = Rule("queue-id-twice", Level.CONFIG, _ALWAYS, "Two entries of `links` have the same queue_id.", "The kernel gives a transmit queue to one member only (bond_option_queue_id_set).", "give each member its own queue_id")

VF_MAC_HELD_BY_PF = Rule("vf-mac-held-by-pf", Level.REFUSED, _MEMBERS, "A VF would have to take another MAC, and its PF does not let it.", f"Without trust a VF of these drivers keeps its administrative MAC: {', '.join(HOLDING)} (hns3 with trust, too). The kernel fails to change it (EADDRNOTAVAIL); under follow the traffic stops at the failover.", "use active-backup with failOverMac active (the default) and no `mac`, or give the VF trust on, or give all members the same MAC")
DUPLICATE_MAC = Rule("duplicate-mac", Level.REFUSED, _MEMBERS, "Two members of a balance-tlb or balance-alb bond have one MAC.", "balance-tlb and balance-alb tell members apart by their MACs.", "give each VF a MAC of its own")
IPOIB_MODE = Rule("ipoib-mode", Level.REFUSED, _MEMBERS, "A member is an IPoIB interface, and the mode is not active-backup.", "The kernel bonds IPoIB interfaces in active-backup only (bond_enslave).", "use active-backup")
IPOIB_MAC = Rule("ipoib-mac", Level.REFUSED, _MEMBERS, "A member is an IPoIB interface, and failOverMac is not active.", "An IPoIB interface cannot change its hardware address.", "use failOverMac active")
MIXED_LINK_TYPES = Rule("mixed-link-types", Level.REFUSED, _MEMBERS, "The members are of different link types.", "The kernel bonds links of one type only.", "choose members of one type")
MEMBER_IN_USE = Rule("member-in-use", Level.REFUSED, _MEMBERS, "A member is in a bond or bridge already, or carries a VLAN, macvlan or the like.", "A link can be in one bond only, and what is on top of it would lose its traffic.", "choose another link or free this one")
MEMBER_CARRIES_ADDRESSES = Rule("member-carries-addresses", Level.REFUSED, _MEMBERS, "A member carries addresses or routes, and memberAddresses is refuse.", "Addresses on members take traffic away from the bond (memberAddresses: refuse).", "remove the IPAM of the member's network, or use memberAddresses flush")
MTU_ABOVE_DEVICE = Rule("mtu-above-device", Level.REFUSED, _MEMBERS, "The bond's MTU would be above what a member or its PF takes.", "Larger frames are dropped without a word by the PF.", "raise the PF's MTU, or set `mtu` to what all take")
REDUNDANCY_REQUIRED = Rule("redundancy-required", Level.REFUSED, _CHOICE, "The members share a PF or a NIC, and redundancy is require.", "Members on one PF, or on one NIC with redundancyLevel nic, fail together (redundancy: require).", "give the pod VFs of two PFs (redundancyLevel nic: of two NICs), or ask for redundancy prefer")

OPTION_WITHOUT_EFFECT = Rule("option-without-effect", Level.WARNING, _ALWAYS, "An option is set that does nothing in this mode.", "The kernel keeps the value but does not use it in this mode.", "remove it or choose another mode")
TARGETS_WITHOUT_PROBES = Rule("targets-without-probes", Level.WARNING, _ALWAYS, "Targets, or what is to be made of their answers, are set without arp_interval.", "Without arp_interval no probe is sent.", "set arp_interval, or remove it")
NO_LINK_MONITORING = Rule("no-link-monitoring", Level.WARNING, (*_ALWAYS, Where.HOST), "miimon is 0, and there is no arp_interval.", "A member whose link is dead stays in use.", "set miimon to 100, or arp_interval with targets")
VF_MAC_UNCLEAR = Rule("vf-mac-unclear", Level.WARNING, _MEMBERS, "A VF would have to take another MAC, and its PF may not let it.", "Some drivers (igb, ixgbe) keep a VF's own request where others keep the administrative MAC, some do not report trust, and of others (mlx5_core lets a VF take any MAC) it is not known that they refuse.", "use active-backup with failOverMac active, or give the VF trust on")
VF_MAC_SPOOFED = Rule("vf-mac-spoofed", Level.WARNING, _MEMBERS, "A VF without trust and with spoof checking would have to take another MAC.", "Some drivers (i40e) drop what an untrusted VF sends from another MAC while spoof checking is on.", "use active-backup with failOverMac active, or give the VF trust on")
LACP_OVER_VF = Rule("lacp-over-vf", Level.WARNING, _CHOICE, "The mode is 802.3ad, and a member is a VF.", "A switch port has one LACP partner, and the PF's embedded switch keeps LACPDUs from VFs.", "use active-backup, or bond the PFs on the host (VF LAG)")
FOLLOW_OVER_VF = Rule("follow-over-vf", Level.WARNING, _CHOICE, "failOverMac is follow, and a member is a VF.", "MACs are swapped at each failover, which a VF without trust may be refused.", "use failOverMac active")
VF_LINK_STATE_FORCED = Rule("vf-link-state-forced", Level.WARNING, _MEMBERS, "A VF's link state is enable or disable rather than auto.", "A carrier that does not follow the wire hides a failure from miimon.", "set the VF's link state to auto, or use arp_interval with targets")
PF_NOT_VISIBLE = Rule("pf-not-visible", Level.WARNING, _MEMBERS, "What a VF's PF says of it cannot be read.", "Inside a VM the PF stays with the hypervisor; on a node it may be bound to vfio, or moved away.", "make sure where the PF is that the VF may do what the bond needs")
NODE_ROUTE_ON_MEMBER = Rule("node-route-on-member", Level.WARNING, _MEMBERS, "An interface of the host is to be a member, and a default route of the node leads over it.", "Moving the interface into the pod takes the node off that route.", "choose an interface that the node does not need")
NO_REDUNDANCY = Rule("no-redundancy", Level.WARNING, _CHOICE, "The members share a PF or a NIC, or there is one only.", "Members on one PF, or on one NIC with redundancyLevel nic, fail together.", "give the pod VFs of two PFs (redundancyLevel nic: of two NICs), or write redundancy off where that is meant")
REDUNDANCY_UNPROVED = Rule("redundancy-unproved", Level.WARNING, _CHOICE, "redundancy is require, and a member's PF is not known.", "Inside a VM, and of links without a device, the PF is unknown (redundancy: require).", "make sure where the PFs are that there are two, or ask for redundancy prefer")
SWITCH_LAG_NEEDED = Rule("switch-lag-needed", Level.WARNING, _MEMBERS, "The mode needs a LAG of the switch over the members' PFs, and none is seen.", "balance-rr, balance-xor and broadcast send one MAC from all members: without a LAG the switch learns it at one port, then at another.", "group these switch ports (a static LAG, or LACP with the PFs in a bond of the host) and say `switchLag: true` where the host sees none, or use active-backup")
SWITCH_LAG_UNWANTED = Rule("switch-lag-unwanted", Level.WARNING, _ALWAYS, "switchLag is true, and the mode must not have a LAG.", "active-backup, balance-tlb and balance-alb need each MAC at its own switch port.", "take the ports out of the LAG and `switchLag` out of the configuration, or use balance-xor")
ONE_MAC_TWICE = Rule("one-mac-twice", Level.WARNING, _MEMBERS, "VFs of one PF would have the same MAC.", "The PF's embedded switch delivers a MAC to one VF only, whichever took it last.", "give the pod VFs of two PFs, or use active-backup with failOverMac active and VFs with MACs of their own")
VF_DISABLED_BY_RELAY = Rule("vf-disabled-by-relay", Level.WARNING, _MEMBERS, "A VF has link state disable, and its PF is in a bond of the host that runs LACP.", "PF Status Relay disables a PF's VFs while LACP with its switch is down, and gives them back (auto). Under policy strict, and alone, it is error 11: LACP may come.", "look at the switch and at the PF's LACP; leave the VF's link state to the relay")
FEW_MAC_FILTERS = Rule("few-mac-filters", Level.WARNING, _ADD, "Many networks, or a macvlan, are to be on top of a bond over untrusted VFs of i40e or ice.", "An untrusted VF may listen to 18 MACs, groups' among them, on i40e and ice; what is beyond them is not received, without an error.", "give the VFs trust on, or put fewer networks on the bond")
PF_IN_HOST_LAG = Rule("pf-in-host-lag", Level.WARNING, _MEMBERS, "A member's PF is in a LAG of the host that does not suit the mode.", "The switch spreads the flows of a VF's MAC over the ports of the LAG, and the VF gets only those that come to its own PF.", "take the PF out of the LAG, or give each PF a LAG of its own, or use the NIC's VF LAG (switchdev)")
MEMBERS_DIFFER_VLAN = Rule("members-differ-vlan", Level.WARNING, _MEMBERS, "The PFs put the members into different VLANs.", "Members in different VLANs reach different networks, so a failover changes the network.", "have the members' networks ask for one VLAN (vlan, vlanQoS, vlanProto)")
MEMBERS_DIFFER_TRUST = Rule("members-differ-trust", Level.WARNING, _MEMBERS, "Some members are trusted, others are not.", "What a trusted VF may do (other MACs, promiscuous mode) stops at the failover to one without trust.", "give all members trust on, or all trust off")
MEMBERS_DIFFER_MTU = Rule("members-differ-mtu", Level.WARNING, _CHOICE, "Members or their PFs have different MTUs, and the configuration has none.", "The bond takes the smallest MTU of its members; different ones are mostly an oversight.", "give PFs and VFs one MTU, or set `mtu`")
PF_WITHOUT_CARRIER = Rule("pf-without-carrier", Level.WARNING, _MEMBERS, "A member's PF has no carrier.", "A VF's carrier follows its PF's. Under policy strict, and alone, it is error 11: a carrier may come.", "look at the PF's cable and switch port")
MEMBER_ADDRESS_TAKEN_OFF = Rule("member-address-taken-off", Level.WARNING, _MEMBERS, "A member that `links` does not name has an address, which the bond takes off.", "Without `links` a VF that has an address by its own network's IPAM is bonded only where too few others are there; its address goes.", "remove the IPAM of the VF's network, or select the members with `links`")
HOST_LINKS_ASKED_FOR = Rule("host-links-asked-for", Level.NOTICE, _ALWAYS, "linksInContainer is false.", "The node decides which of its interfaces a pod may take (node.toml), and bond-cni means to do away with the key.", "bond VFs that the pod's other networks bring, or have node.toml lend the interfaces")
BOND_BEFORE_MEMBERS = Rule("bond-before-members", Level.WARNING, _ADD, "The pod lists networks with a device after the bond.", "Multus adds networks in the order of the pod's annotation, so the VFs of later ones are not there yet.", "list the bond after the VFs' networks")
UNKNOWN_KEY = Rule("unknown-key", Level.WARNING, _ALWAYS, "The configuration has a key that is not known here.", "It changes nothing here: a misspelt option stays at its default. Beside an IPAM plugin that is not known here, policy strict does not refuse it.", "remove it if it was meant for this plugin")
CNI_VERSION_MISSING = Rule("cni-version-missing", Level.WARNING, _ALWAYS, "The configuration has no cniVersion.", "Without cniVersion results are those of 0.1.0: no interface and no MAC, so network-status has neither.", 'write "cniVersion": "1.0.0", or 0.4.0 for Multus 3')
IPAM_WITHOUT_TYPE = Rule("ipam-without-type", Level.WARNING, _ALWAYS, "`ipam` has keys, or the pod asks for addresses (`ips`), and there is no type.", "Without a type no IPAM plugin is executed, whatever else `ipam` says: the pod gets no address.", "name the plugin in ipam.type, or leave `ipam` out")
BONDS_OF_BOTH_KINDS = Rule("bonds-of-both-kinds", Level.WARNING, (Where.EXPLAIN,), "Two bonds share a PF, and only one has a mode that needs a LAG of the switch.", "A switch port is in the LAG for every VF behind it: balance-rr, balance-xor and broadcast need that, the other modes must not have it. `explain` shows bonds that share a PF; an ADD does not read the records of all others.", "put them on different PFs, or give them modes of one kind")
DHCP_WITH_ACTIVE = Rule("dhcp-with-active", Level.NOTICE, _ALWAYS, "IPAM is dhcp, and failOverMac is active: the bond's MAC changes at a failover.", "After a failover the dhcp plugin asks to renew the lease with the MAC that the bond had, and hears no answer. It asks anew with the new MAC and its own client id when 85 % of the lease are over. A server that goes by the MAC gives another address then, which the pod does not have; without an answer the plugin sets the bond down when the lease ends.", "have a DHCP server that goes by the client id, with leases of half an hour or more, or use failOverMac none with VFs that have trust on")
MEMBER_USED_PAST_KERNEL = Rule("member-used-past-kernel", Level.NOTICE, _CHOICE, "A member was given with an RDMA or vhost device.", "What uses a member by the RDMA or vhost device that device-info names does not see the bond, and stays on its VF at a failover.", "give the bond VFs of a resource without it, or select its members with `links`")

TOO_FEW_MEMBERS = Rule("too-few-members", Level.REFUSED, _CHOICE, "Fewer links can be bonded than minMembers asks for; the message lists each link and why it was not taken.", "Over fewer links there is no failover.", "ask for a VF on each of two PFs in networks that the pod lists before the bond, or set minMembers to 1")
USERSPACE_DRIVER = Rule("userspace-driver", Level.REFUSED, _CHOICE, "A VF given to this pod is bound to vfio-pci or uio.", "The kernel has no interface of it.", "bond it in the guest or in DPDK, or bind it to its kernel driver, or select the others with `links`")
VDPA_DEVICE = Rule("vdpa-device", Level.REFUSED, _CHOICE, "A VF given to this pod is used as a vDPA device.", "The kernel has no interface of it.", "bond it in the guest, or remove the vDPA device, or select the others with `links`")
SOCKET_DEVICE = Rule("socket-device", Level.REFUSED, _CHOICE, "`links` asks for a vhost-user or memif network.", "It is a socket between processes, and the kernel has no interface of it.", "bond it in the guest or in DPDK, or select the others with `links`")
NO_DRIVER = Rule("no-driver", Level.REFUSED, _CHOICE, "A VF given to this pod is bound to no driver.", "The kernel has no interface of it.", "bind it to its kernel driver, or select the others with `links`")
NOT_IN_POD = Rule("not-in-pod", Level.REFUSED, _CHOICE, "kubelet gave the pod a VF whose interface is not in it, and `links` asks for it or the others are too few.", "Only an interface of the pod can be bonded there.", "ask for a network with that resource, and list it before the bond's")
VF_OF_ANOTHER_POD = Rule("vf-of-another-pod", Level.REFUSED, _CHOICE, "A VF is in this pod that kubelet gave to another one only.", "Two pods would send from one VF.", "look who put it here, and delete that pod or this one")
NO_SUCH_LINK = Rule("no-such-link", Level.REFUSED, _CHOICE, "An entry of `links` matches nothing that can be bonded; the message lists what was seen.", "A member that was asked for would be missing in the bond. Of names alone it is error 7.", "correct the entry, or list its network before the bond's")
AUTO_TWICE = Rule("auto-twice", Level.REFUSED, _CHOICE, "Two bonds of one pod have no `links`.", "Both would take all of the pod's VFs.", "select with `links` in each: by name, network, resource, pci or pf")
NAME_TAKEN = Rule("name-taken", Level.REFUSED, (Where.VALIDATE, Where.ADD), "The pod has an interface of that name already, or one with that altname, or an earlier plugin of the list made it.", "Two interfaces of a pod cannot have one name.", "delete it, take the altname off, or ask for another name; in a list, give the bond a network of its own")
HOST_LINKS_NOT_ALLOWED = Rule("host-links-not-allowed", Level.REFUSED, _CHOICE, "An interface of the host is asked for that the node does not lend.", "The node uses it, a device plugin has it, or /etc/sriovbond/node.toml does not name it.", "bond VFs of the pod, or write what the message says into that file of the node")
OPTION_NOT_TAKEN = Rule("option-not-taken", Level.REFUSED, _ADD, "The kernel did not keep an option that was set.", "This kernel does not know the option and would have dropped it without a word.", "leave it out or use a newer kernel")

RUNS_AS_ROOT = Rule("runs-as-root", Level.NODE, _STATUS, "The plugin does not run as root.", "Only root may enter namespaces and make bonds.", "have the runtime run it as root")
BONDING_DRIVER = Rule("bonding-driver", Level.NODE, (Where.STATUS, Where.ADD), "The kernel has no bonding driver, loaded or to be loaded.", "The kernel makes the bond. At ADD it is error 103.", "install the kernel's modules package")
STATE_FOLDER = Rule("state-folder", Level.NODE, _STATUS, "The folder of the records cannot be written, or its disk is full.", "An ADD writes a record before it changes anything.", "make it writable, or make room on its disk")
MEMORY_LIMIT = Rule("memory-limit", Level.NODE, _STATUS, "Thin mode: the caller's cgroup is limited to less than 64 MiB.", "In thin mode the caller pays for the memory of an ADD, and the kernel would kill one of them.", "use thick mode, or give the caller (Multus) more memory")

PORT_CARRIES_ADDRESSES = Rule("port-carries-addresses", Level.WARNING, _HOST, "A port of the node's bond or bridge has addresses or routes of its own.", "What goes by them does not go through the bond or bridge: it fails over to nothing, and answers may come in elsewhere.", "give the addresses and routes to the bond or bridge, and take them off the port")
PORT_NOT_ENSLAVED = Rule("port-not-enslaved", Level.WARNING, _HOST, "A document names a port that is not in its bond or bridge, or is missing.", "The bond has fewer ways than its document says, so a failover may find none.", "look at the port's cable, name and driver, then apply the document")
LACP_PARTNER_MISSING = Rule("lacp-partner-missing", Level.WARNING, _HOST, "An 802.3ad bond has no LACP partner.", "Without a partner each port is alone, and only one of them carries traffic.", "have the switch run LACP on these ports, in one group; with lacp_active off the switch has to begin")
LACP_AGGREGATORS_DIFFER = Rule("lacp-aggregators-differ", Level.WARNING, _HOST, "Ports of an 802.3ad bond are in different aggregators.", "Only the ports of the active aggregator carry traffic; the others wait.", "put these switch ports into one LACP group, of one switch or one multi-chassis LAG, with one speed and duplex")
LACP_CHURNED = Rule("lacp-churned", Level.WARNING, _HOST, "LACP has not come to an end on a port: its actor or partner is churned.", "The two ends do not agree which ports go together (IEEE 802.1AX, churn detection), so the port carries nothing.", "compare the LACP group, key and mode at both ends of the port")
SLOW_FAILOVER = Rule("slow-failover", Level.WARNING, _HOST, "A bond would notice a failure after more than a second: miimon, downdelay, ARP probes, or lacp_rate slow.", "Traffic is lost until a failure is noticed. With lacp_rate slow the partner counts as there for 90 s where its port keeps the carrier.", "set miimon to 100 without a long downdelay, or arp_interval times arp_missed_max to a second, and lacp_rate to fast")
NETWORK_ADDRESS = Rule("network-address", Level.WARNING, _HOST, "An interface has, or is to have, the address of its network itself, or of its broadcast.", "No host can have it: the kernel takes it, and others do not answer it.", "give the interface an address of a host of that network")
BOND_MAC_OF_NO_PORT = Rule("bond-mac-of-no-port", Level.WARNING, _HOST, "A bond's MAC is none of its ports', and no document has it.", "udev (MACAddressPolicy=persistent) gives a bond that is made without a MAC one from its name and machine-id: a DHCP server takes the node for another one.", "write `mac-address` into the bond's document, or MACAddressPolicy=none for it into a .link file of udev")
# fmt: on

RULES: Final = tuple(row for row in list(globals().values()) if isinstance(row, Rule))
"""All rules, in the order above."""
PASSING: Final = frozenset({PF_WITHOUT_CARRIER.id, VF_DISABLED_BY_RELAY.id})
"""Warnings of temporary conditions: under `policy: strict`, and alone, to be retried."""
