"""Snapshots of links, immutable: take a new one instead of changing it."""

import re
from dataclasses import dataclass
from enum import StrEnum

from sriovbond.bond.drivers import REGARDLESS_OF_TRUST

ARPHRD_ETHER = 1  # include/uapi/linux/if_arp.h
ARPHRD_INFINIBAND = 32
NO_MAC = "00:00:00:00:00:00"
NAME_MAX, ALTNAME_MAX = 15, 127  # include/uapi/linux/if.h: IFNAMSIZ and ALTIFNAMSIZ, without NUL

# include/uapi/linux/if_addr.h and rtnetlink.h
_IFA_F_PERMANENT, _RT_SCOPE_UNIVERSE = 0x80, b"\0"
_AF_INET6, _RTPROT_RA = b"\x0a", b"\x09"
# domain:bus:device of a PCI function; the simulated device of a port (deviceinfo.DeviceId)
_NIC = re.compile(r"([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2})\.[0-7]|(netdevsim[0-9]+)/.+")


class Place(StrEnum):
    """The network namespace of a link at the time of its snapshot."""

    POD = "pod"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Carried:
    """An address or a route on a link: `text` for people, `message` (hex) to restore it.

    The message is the body of the kernel's own RTM_NEWADDR or RTM_NEWROUTE.
    """

    text: str
    message: str

    @property
    def is_assigned(self) -> bool:
        """Whether it is a permanent global address, not one from a router (ifaddrmsg)."""
        flags, scope = bytes.fromhex(self.message[4:6]), bytes.fromhex(self.message[6:8])
        return bool(flags and flags[0] & _IFA_F_PERMANENT) and scope == _RT_SCOPE_UNIVERSE

    @property
    def is_address_of_router(self) -> bool:
        """Whether it is an address by router advertisement, whose time is limited (ifaddrmsg)."""
        body = bytes.fromhex(self.message[:8])
        return body[:1] == _AF_INET6 and not body[2] & _IFA_F_PERMANENT

    @property
    def is_route_of_router(self) -> bool:
        """Whether it is a route by router advertisement (rtmsg)."""
        body = bytes.fromhex(self.message[:12])
        return body[:1] == _AF_INET6 and body[5:] == _RTPROT_RA


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One of a link's own: net.`family`.conf.NAME.`key`."""

    family: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class VfSettings:
    """A PF's settings of one of its VFs (IFLA_VF_INFO); None if the driver does not report it.

    Rates are in Mbit/s, 0 for no limit.
    """

    number: int
    mac: str
    trust: bool | None = None
    spoofchk: bool | None = None
    link_state: str | None = None
    vlan: int = 0
    qos: int = 0
    vlan_proto: str | None = None
    min_tx_rate: int | None = None
    max_tx_rate: int | None = None

    @property
    def tagging(self) -> str:
        """The VLAN tag that the PF adds to the VF's frames, as text."""
        if not (self.vlan or self.qos):
            return "no VLAN"
        words = f"VLAN {self.vlan}, qos {self.qos}"
        return f"{words}, {self.vlan_proto}" if self.vlan_proto else words

    @property
    def rates(self) -> str:
        """The VF's rate limits as text; empty if the driver does not report them."""
        if self.max_tx_rate is None:
            return ""
        return f"rates from {self.min_tx_rate or 0} to {self.max_tx_rate or 'any'} Mbit/s"


@dataclass(frozen=True, slots=True)
class Master:
    """A master of links: bond, team, bridge or Open vSwitch; `mode` is a bond's."""

    name: str
    kind: str
    mode: str = ""
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One network link (IFLA_*); `device` is the address of its device as deviceinfo spells it.

    `uppers` are the names of links on top of it (VLAN, macvlan); `master` the index of its bond or
    bridge, 0 for none, and `within` that master; `has_representors`: it is a PF in switchdev mode;
    `sysctls` are those that a move to another namespace resets; `altnames` its further names (ip
    link property add), by which it can be requested too.
    """

    index: int
    name: str
    mac: str
    mtu: int
    is_up: bool = False
    has_carrier: bool = False
    type: int = ARPHRD_ETHER
    kind: str = ""
    master: int = 0
    within: Master | None = None
    min_mtu: int = 0
    max_mtu: int = 0
    device: str = ""
    alias: str = ""
    uppers: tuple[str, ...] = ()
    has_default_route: bool = False
    has_representors: bool = False
    addresses: tuple[Carried, ...] = ()
    routes: tuple[Carried, ...] = ()
    vfs: tuple[VfSettings, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    altnames: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then its altnames, unique in the namespace."""
        return self.name, *self.altnames


@dataclass(frozen=True, slots=True)
class PhysicalFunction:
    """The PF of a VF; `name` is None if no netdev of it is visible (inside a VM).

    `master` is its master on the host; `has_representors`: it is in switchdev mode.
    """

    device: str
    name: str | None = None
    mtu: int = 0
    has_carrier: bool = False
    master: Master | None = None
    has_representors: bool = False
    numa_node: int | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """A device's allocation to the pod, as far as known; `sources` are the sources that list it.

    `resource` is the extended resource (`rig.io/pf0`), `network` the NetworkAttachmentDefinition
    (`namespace/name`), `other_pods` those that also claim the device, as texts; `is_foreign`:
    kubelet allocated it to those only.
    """

    resource: str = ""
    network: str = ""
    container: str = ""
    sources: tuple[str, ...] = ()
    other_pods: tuple[str, ...] = ()
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A candidate link, with the facts of its bus, its PF and its mover.

    `administrative_mac` is one that SR-IOV CNI had the PF set; None if unknown.
    """

    link: Link
    place: Place
    driver: str = ""
    is_vf: bool = False
    pf: PhysicalFunction | None = None
    vf_number: int | None = None
    settings: VfSettings | None = None
    administrative_mac: str | None = None
    allocation: Allocation = Allocation()
    prio: int | None = None
    queue_id: int | None = None
    actor_port_prio: int | None = None

    @property
    def name(self) -> str:
        """The interface's name."""
        return self.link.name

    @property
    def device(self) -> str:
        """The address of its device, empty for links without one."""
        return self.link.device

    def __str__(self) -> str:
        """Return its name and device: net1 (VF 0 of pf0, 0000:01:10.0)."""
        details = [f"VF {self.vf_number} of {self.pf.name or self.pf.device}"] if self.pf else []
        details += [self.device] if self.device else []
        return f"{self.name} ({', '.join(details)})" if details else self.name

    @property
    def pf_address(self) -> str:
        """The address of its PF, or its own if it is one; empty if unknown."""
        if self.pf or self.is_vf:
            return self.pf.device if self.pf else ""
        return self.device if nic_of(self.device) else ""

    @property
    def holds_own_mac(self) -> bool:
        """Whether the PF is known to hold the VF to a MAC and to refuse another.

        An entry equal to the netdev's MAC proves nothing: igb and ixgbe store the VF's own request
        in that field.
        """
        if self.settings is None:
            return False
        is_minded = self.settings.trust is False or self.driver in REGARDLESS_OF_TRUST
        return is_minded and self._is_set_by_pf

    @property
    def lasting_macs(self) -> frozenset[str]:
        """The MACs that it may have in a bond that lets it keep its own.

        An administrative one that was set on a bound VF takes effect when the VF is brought up.
        """
        is_held = self.holds_own_mac or self.may_hold_own_mac
        pf_mac = {self.settings.mac} if self.settings and is_held else set()
        return frozenset({self.link.mac, *pf_mac} - {NO_MAC})

    @property
    def may_hold_own_mac(self) -> bool:
        """Whether the PF's entry may be an administrative MAC that it enforces."""
        if self.settings is None or self.settings.trust or self.holds_own_mac:
            return False
        return self.settings.mac == self.link.mac or self._is_set_by_pf

    @property
    def _is_set_by_pf(self) -> bool:
        return self.administrative_mac is not None or self._entry_differs

    @property
    def _entry_differs(self) -> bool:
        entry = self.settings.mac if self.settings else NO_MAC
        return entry not in (NO_MAC, self.link.mac)

    def view_of_pf(self) -> str:
        """Return the PF's settings of this VF as text."""
        if self.settings is None:
            return f"{self}: no PF is visible"
        states = {True: "on", False: "off", None: "not reported"}
        settings = self.settings
        words = f"{self}: trust {states[settings.trust]}, spoofchk {states[settings.spoofchk]}"
        words += f", MAC {self.link.mac}, the PF's entry {settings.mac}"
        if self.administrative_mac:
            words += f", administrative MAC {self.administrative_mac} (SR-IOV CNI's cache)"
        words += f", {settings.tagging}, link state {settings.link_state or 'not reported'}"
        if self.pf and self.pf.name:
            carrier = "carrier" if self.pf.has_carrier else "no carrier"
            words += f"; {self.pf.name} has MTU {self.pf.mtu} and {carrier}"
        return words


def nic_of(address: str) -> str:
    """Return the NIC of a PF: its PCI slot, or the simulated device; empty for other addresses."""
    match = _NIC.fullmatch(address)
    return (match[1] or match[2]) if match else ""
