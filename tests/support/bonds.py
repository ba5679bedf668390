"""Bonding options set on real bonds: values to prove each row of the table by."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sriovbond.bond.kinds import OptionValue
from sriovbond.bond.links import Link
from sriovbond.bond.options import BondMode, Option, Setting, option
from sriovbond.bond.plan import BondPlan
from sriovbond.bond.states import BondState, MemberState
from sriovbond.kernel import bonding, links, netns
from sriovbond.kernel.bonding import Handle
from sriovbond.kernel.netlink import Netlink
from tests.support.pods import Pod


@dataclass(frozen=True, slots=True)
class Value:
    """A value to set; kernels from `since` on, and before `until`, accept it."""

    value: OptionValue
    since: str = "0"
    until: str = "999"


def version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


VALIDATE = ("active", "backup", "all", "filter", "filter_active", "filter_backup")
HASHES = ("layer3+4", "layer2+3", "encap2+3", "encap3+4")
# fmt: off
VALUES: dict[str, tuple[Value, ...]] = {
    "miimon":             (Value(50), Value(200)),
    "updelay":            (Value(200), Value(400)),
    "downdelay":          (Value(200), Value(400)),
    "peer_notif_delay":   (Value(200), Value(400)),
    "use_carrier":        (Value("on"), Value("off", until="6.18")),
    "arp_interval":       (Value(250), Value(1000)),
    "arp_ip_target":      (Value(("192.0.2.1",)), Value(("192.0.2.1", "192.0.2.2"))),
    "ns_ip6_target":      (Value(("2001:db8::1",)), Value(("2001:db8::1", "2001:db8::2"))),
    "arp_validate":       tuple(map(Value, VALIDATE)),
    "arp_all_targets":    (Value("all"),),
    "arp_missed_max":     (Value(1), Value(9)),
    "primary_reselect":   (Value("better"), Value("failure")),
    "fail_over_mac":      (Value("active"), Value("follow")),
    "xmit_hash_policy":   (*map(Value, HASHES), Value("vlan+srcmac", since="5.12")),
    "resend_igmp":        (Value(0), Value(9)),
    "num_grat_arp":       (Value(0), Value(9)),
    "all_slaves_active":  (Value("on"),),
    "min_links":          (Value(1), Value(9)),
    "lp_interval":        (Value(2), Value(9)),
    "packets_per_slave":  (Value(0), Value(9)),
    "lacp_rate":          (Value("fast"),),
    "lacp_active":        (Value("off"),),
    "lacp_strict":        (Value("on"),),
    "ad_select":          (
        Value("bandwidth"), Value("count"), Value("actor_port_prio", since="6.18"),
    ),
    "ad_actor_sys_prio":  (Value(1), Value(1000)),
    "ad_user_port_key":   (Value(1), Value(1023)),
    "ad_actor_system":    (Value("02:00:00:00:00:77"),),
    "tlb_dynamic_lb":     (Value("off"),),
    "coupled_control":    (Value("off"),),
    "broadcast_neighbor": (Value("on"),),
}
# fmt: on
MIIMON_MS = 1  # a delay that is no multiple of it would be rounded
PROBING = {name for name in VALUES if name.startswith(("arp_", "ns_"))}  # never beside miimon
PROBES: dict[str, OptionValue] = {"arp_interval": 250, "arp_ip_target": ("192.0.2.1",)}
NEEDED: dict[str, dict[str, OptionValue]] = {
    **{name: {"miimon": MIIMON_MS} for name in ("updelay", "downdelay", "peer_notif_delay")},
    **dict.fromkeys(PROBING, PROBES),
}
RUNNING = version(os.uname().release)


def is_known(one: Value) -> bool:
    """Return whether this kernel accepts the value."""
    return version(one.since) <= RUNNING < version(one.until)


@dataclass(frozen=True, slots=True)
class Bench:
    """A namespace in which bonds are created and deleted, one at a time."""

    netlink: Netlink

    def make(self, mode: BondMode, **asked: OptionValue) -> BondState:
        """Create a bond as ADD does, without the rules' checks, and delete it."""
        settings = tuple(Setting(name, value) for name, value in {"mode": mode, **asked}.items())
        try:
            bonding.create(self.netlink, BondPlan("bond0", settings, (), 1500))
            made = bonding.observe(self.netlink, "bond0")
            assert made is not None
            return made
        finally:
            self.remove()

    def set(self, row: Option, mode: BondMode, value: OptionValue) -> OptionValue | None:
        """Set one option with its prerequisites in this mode; return the value read back."""
        needed = NEEDED.get(row.name, {})
        taken = {name: one for name, one in needed.items() if mode in option(name).modes}
        return self.make(mode, **{**taken, row.name: value}).settings.get(row.name)

    def remove(self) -> None:
        found = links.find(self.netlink, "bond0")
        if found:
            bonding.delete(self.netlink, found)


@contextmanager
def member_of_a_bond(pod: Pod, mode: BondMode) -> Iterator[tuple[Netlink, Handle, Link]]:
    """Create a bond in the pod for a while; yield a socket there, the bond, and a link for it."""
    with netns.opened(pod.path) as inside:
        link = links.find(inside.netlink, "net1")
        assert link is not None
        links.set_down(inside.netlink, link)
        plan = BondPlan("bond0", (Setting("mode", mode),), (), 1500)
        try:
            yield inside.netlink, bonding.create(inside.netlink, plan), link
        finally:
            Bench(inside.netlink).remove()


def members_of(netlink: Netlink) -> tuple[MemberState, ...]:
    found = bonding.observe(netlink, "bond0")
    assert found is not None
    return found.members
