"""THE TABLE: one row for each option of the kernel's bonding driver.

Sources: Documentation/networking/bonding.rst, drivers/net/bonding/bond_options.c (modes, ranges,
defaults), include/uapi/linux/if_link.h (numbers). A kernel test sets every row in every mode.
"""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from sriovbond.bond.kinds import (
    INT_MAX,
    Addresses,
    Choice,
    Mac,
    MemberReference,
    Number,
    OptionValue,
    ValueKind,
    switch,
)


class BondMode(StrEnum):
    """The bonding modes, by the kernel's names."""

    BALANCE_RR = "balance-rr"
    ACTIVE_BACKUP = "active-backup"
    BALANCE_XOR = "balance-xor"
    BROADCAST = "broadcast"
    LACP = "802.3ad"
    BALANCE_TLB = "balance-tlb"
    BALANCE_ALB = "balance-alb"


MODE_NUMBERS = {mode.value: number for number, mode in enumerate(BondMode)}

ALL = frozenset(BondMode)
ONE_ACTIVE = frozenset({BondMode.ACTIVE_BACKUP, BondMode.BALANCE_TLB, BondMode.BALANCE_ALB})
LACP = frozenset({BondMode.LACP})
ADAPTIVE = frozenset({BondMode.BALANCE_TLB, BondMode.BALANCE_ALB})
BACKUP = frozenset({BondMode.ACTIVE_BACKUP})
ANNOUNCING = BACKUP | LACP  # in 802.3ad beside broadcast_neighbor (ad_cond_set_peer_notif())
ROUND_ROBIN = frozenset({BondMode.BALANCE_RR})
HASHING = frozenset({BondMode.BALANCE_XOR, BondMode.LACP, BondMode.BALANCE_TLB})
SWITCHING = ONE_ACTIVE | ROUND_ROBIN  # bond_change_active_slave(): IGMP moves with the traffic
INACTIVE = ONE_ACTIVE | LACP  # the modes that call bond_set_slave_inactive_flags()
PROBING = ALL - LACP - ADAPTIVE  # bond_mode_uses_arp() in bonding.h
DELAYS = ("updelay", "downdelay", "peer_notif_delay")
"""What the kernel keeps as multiples of miimon, and takes only beside it."""


@dataclass(frozen=True, slots=True)
class Option:
    """One bonding option.

    `name` is the kernel's and our JSON key; `number` its IFLA_BOND_*; `modes` those in which the
    kernel accepts it, `effective` those in which it has an effect; `since` the first kernel.
    """

    name: str
    number: int
    kind: ValueKind
    modes: frozenset[BondMode]
    effective: frozenset[BondMode]
    since: str
    default: str
    about: str
    aliases: tuple[str, ...] = ()

    def decode(self, payloads: Mapping[int, bytes]) -> OptionValue | None:
        """Return the option's value in the kernel's attributes; None if missing or malformed."""
        if self.number not in payloads:
            return None
        try:
            return self.kind.decode(payloads[self.number])
        except (ValueError, struct.error):
            return None


_VALIDATE = ("none", "active", "backup", "all", "filter", "filter_active", "filter_backup")
_HASHES = ("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac")


def _choice(*names: str, width: int = 1) -> Choice:
    return Choice({name: number for number, name in enumerate(names)}, width=width)


_SELECTIONS = ("stable", "bandwidth", "count", "actor_port_prio")
_INTERVAL = Number(0, INT_MAX)
_FAIL_OVER_MAC = Choice({"none": 0, "active": 1, "follow": 2}, ours=("auto",))
_MODE = Choice(MODE_NUMBERS, aliases={"lacp": "802.3ad"})

# fmt: off
OPTIONS: tuple[Option, ...] = (
    Option("mode",              1, _MODE,                            ALL,         ALL,         "2.4",  "active-backup", "How the members share the work; `lacp` means 802.3ad."),
    Option("miimon",            3, _INTERVAL,                        ALL,         ALL,         "2.4",  "100",           "Milliseconds between looks at each member's carrier; 0 never looks. Our default is 0 with arp_interval."),
    Option("updelay",           4, _INTERVAL,                        ALL,         ALL,         "2.4",  "0",             "Milliseconds that a carrier must last before the member is used; a multiple of miimon."),
    Option("downdelay",         5, _INTERVAL,                        ALL,         ALL,         "2.4",  "0",             "Milliseconds that a carrier must be gone before the member is left; a multiple of miimon."),
    Option("peer_notif_delay", 28, Number(0, 300_000),               ALL,         ANNOUNCING,  "5.3",  "0",             "Milliseconds between two announcements after a failover; a multiple of miimon. In 802.3ad with broadcast_neighbor."),
    Option("use_carrier",       6, switch(),                         ALL,         ALL,         "2.6",  "on",            "Ask the driver's carrier rather than MII registers; kernels since 6.18 know only on."),
    Option("arp_interval",      7, _INTERVAL,                        PROBING,     PROBING,     "2.4",  "0",             "Milliseconds between ARP or NS probes; in place of miimon."),
    Option("arp_ip_target",     8, Addresses(IPv4Address),           ALL,         PROBING,     "2.4",  "",              "IPv4 addresses that answer the probes."),
    Option("ns_ip6_target",    31, Addresses(IPv6Address),           ALL,         PROBING,     "5.18", "",              "IPv6 addresses that answer the probes."),
    Option("arp_validate",      9, _choice(*_VALIDATE, width=4),     PROBING,     PROBING,     "2.6",  "none",          "Whose probe traffic must be an answer to count."),
    Option("arp_all_targets",  10, _choice("any", "all", width=4),   ALL,         BACKUP,      "3.11", "any",           "Whether one target or all must answer; with arp_validate."),
    Option("arp_missed_max",   30, Number(1, 255, width=1),          PROBING,     PROBING,     "5.17", "2",             "Probes that may go unanswered before a member counts as down."),
    Option("primary",          11, MemberReference(),                ONE_ACTIVE,  ONE_ACTIVE,  "2.4",  "",              "The member to prefer, by interface name, altname or PCI address."),
    Option("primary_reselect", 12, _choice("always", "better", "failure"), ALL,   ONE_ACTIVE,  "2.6",  "always",        "When a primary that came back takes over again."),
    Option("fail_over_mac",    13, _FAIL_OVER_MAC,                  ALL,         BACKUP,      "2.6",  "auto",          "Whether members share one MAC, the bond takes the active one's, or the bond's MAC moves to the active member. `auto` is active in active-backup."),
    Option("xmit_hash_policy", 14, _choice(*_HASHES),                ALL,         HASHING,     "2.6",  "layer2",        "What of a packet chooses its member; vlan+srcmac since Linux 5.12."),
    Option("resend_igmp",      15, Number(0, 255),                   ALL,         SWITCHING,    "2.6",  "1",             "IGMP reports sent after a failover."),
    Option("num_grat_arp",     16, Number(0, 255, width=1),          ALL,         ANNOUNCING,  "2.6",  "15",             "Gratuitous ARPs and unsolicited NAs sent after a failover. Our default in active-backup is 15, over 1.5 s: the kernel's 1 is lost where the carrier comes after the bond. In 802.3ad with broadcast_neighbor.", ("num_unsol_na",)),
    Option("all_slaves_active", 17, switch(),                        ALL,         INACTIVE,    "2.6",  "off",           "Whether frames that arrive on inactive members are kept."),
    Option("min_links",        18, _INTERVAL,                        ALL,         LACP,        "2.6",  "0",             "Active members that the bond needs for its carrier."),
    Option("lp_interval",      19, Number(1, INT_MAX),               ALL,         ADAPTIVE,    "3.13", "1",             "Seconds between two learning packets."),
    Option("packets_per_slave", 20, Number(0, 65535),                ROUND_ROBIN, ROUND_ROBIN, "3.14", "1",             "Packets sent through a member before the next one; 0 is random."),
    Option("lacp_rate",        21, _choice("slow", "fast"),          LACP,        LACP,        "2.6",  "slow",          "How often the partner shall send LACPDUs: 30 s or 1 s."),
    Option("lacp_active",      29, switch(),                         LACP,        LACP,        "5.15", "on",            "Whether LACPDUs are sent without being asked."),
    Option("lacp_strict",      34, switch(),                         LACP,        LACP,        "7.1",  "off",           "Whether the bond has a carrier only while min_links members collect and distribute, rather than falling back to one of a partner without LACP; also in Linux 6.18.40."),
    Option("ad_select",        22, _choice(*_SELECTIONS),           ALL,         LACP,        "2.6",  "stable",        "Which aggregator is used; actor_port_prio since Linux 6.18."),
    Option("ad_actor_sys_prio", 24, Number(1, 65535, width=2),       LACP,        LACP,        "4.2",  "65535",         "The system's LACP priority."),
    Option("ad_user_port_key", 25, Number(0, 1023, width=2),         LACP,        LACP,        "4.2",  "0",             "The upper ten bits of the port key."),
    Option("ad_actor_system",  26, Mac(),                            LACP,        LACP,        "4.2",  "",              "The MAC in LACPDUs; absent: the bond's."),
    Option("tlb_dynamic_lb",   27, switch(),                         ADAPTIVE,    ADAPTIVE,    "3.17", "on",            "Whether flows move between members by load."),
    Option("coupled_control",  32, switch(),                         LACP,        LACP,        "6.9",  "on",            "Whether collecting and distributing are switched as one."),
    Option("broadcast_neighbor", 33, switch(),                       LACP,        LACP,        "6.17", "off",           "Whether ARP and ND go out of every member."),
)

MEMBER_OPTIONS: tuple[Option, ...] = (
    Option("queue_id",          5, Number(0, 65535, width=2),        ALL,         ALL,         "2.6",  "0",             "In an entry of `links`: the transmit queue that tc may choose this member by."),
    Option("actor_port_prio",  10, Number(1, 65535, width=2),        LACP,        LACP,        "6.18", "255",           "In an entry of `links`: the port's LACP priority; with ad_select actor_port_prio the aggregator with the highest sum is used."),
    Option("prio",              9, Number(-INT_MAX - 1, INT_MAX),    ONE_ACTIVE,  ONE_ACTIVE,  "6.0",  "0",             "In an entry of `links`: the higher one is taken when the primary is missing.", ("priority",)),
)
# fmt: on


def normal_key(key: str) -> str:
    """Return `key` without case, dash and underscore: failOverMac is fail_over_mac.

    Go's JSON, and so bond-cni, ignores case.
    """
    return key.replace("_", "").replace("-", "").lower()


def by_key(options: Iterable[Option]) -> dict[str, Option]:
    """Return the rows by their normal keys, aliases among them."""
    return {normal_key(key): option for option in options for key in (option.name, *option.aliases)}


def option(name: str) -> Option:
    """Return the row of that kernel name. Raises KeyError."""
    return _BY_NAME[name]


_BY_NAME = {row.name: row for row in (*OPTIONS, *MEMBER_OPTIONS)}


@dataclass(frozen=True, slots=True)
class Setting:
    """An option with its requested value."""

    name: str
    value: OptionValue
    is_default: bool = False

    @property
    def option(self) -> Option:
        """The row."""
        return option(self.name)

    def __str__(self) -> str:
        value = ",".join(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.name} {value}"
