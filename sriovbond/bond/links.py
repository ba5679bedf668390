"""What was seen of links: snapshots, never changed; take a new one instead."""

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
# domain:bus:device of a PCI function; the simulated device of a port (deviceinfo.DeviceId)
_NIC = re.compile(r"([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2})\.[0-7]|(netdevsim[0-9]+)/.+")


class Place(StrEnum):
    """The network namespace that a link stood in when it was seen."""

    POD = "pod"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Carried:
    """An address or a route on a link: `text` for people, `message` (hex) to put it back.

    The message is the body of the kernel's own RTM_NEWADDR or RTM_NEWROUTE.
    """

    text: str
    message: str

    @property
    def is_assigned(self) -> bool:
        """True for a global address that somebody gave for good, not a router's (ifaddrmsg)."""
        flags, scope = bytes.fromhex(self.message[4:6]), bytes.fromhex(self.message[6:8])
        return bool(flags and flags[0] & _IFA_F_PERMANENT) and scope == _RT_SCOPE_UNIVERSE


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One of a link's own: net.`family`.conf.NAME.`key`."""

    family: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class VfSettings:
    """What a PF says of one of its VFs (IFLA_VF_INFO); None where the driver does not say.

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
        """The VLAN in words: what the PF puts on the VF's frames."""
        if not (self.vlan or self.qos):
            return "no VLAN"
        words = f"VLAN {self.vlan}, qos {self.qos}"
        return f"{words}, {self.vlan_proto}" if self.vlan_proto else words

    @property
    def rates(self) -> str:
        """The limits of what the VF may send, in words; empty where the driver does not say."""
        if self.max_tx_rate is None:
            return ""
        return f"rates from {self.min_tx_rate or 0} to {self.max_tx_rate or 'any'} Mbit/s"


@dataclass(frozen=True, slots=True)
class Master:
    """The bond, team, bridge or Open vSwitch that links are in; `mode` is a bond's."""

    name: str
    kind: str
    mode: str = ""
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """One network link (IFLA_*); `device` is the address of its device as deviceinfo spells it.

    `uppers` are the names of links on top of it (VLAN, macvlan); `master` the index of its bond or
    bridge, 0 for none, and `within` what that is; `has_representors` is told of a PF in switchdev
    mode; `sysctls` are those that a move to another namespace would lose; `altnames` its further
    names (ip link property add), by which it can be asked for too.
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
        """Its name, then its altnames; no two links of a namespace have one in common."""
        return self.name, *self.altnames


@dataclass(frozen=True, slots=True)
class PhysicalFunction:
    """The PF of a VF; `name` is None where no netdev of it is visible (inside a VM).

    `master` is what it is in on the host; `has_representors` tells switchdev mode.
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
    """How the pod was given a device, as far as anybody told; `sources` are who told it.

    `resource` is the extended resource (`rig.io/pf0`), `network` the NetworkAttachmentDefinition
    (`namespace/name`), `others` the pods that somebody says have the device, in words;
    `is_foreign` tells that kubelet gave it to those only.
    """

    resource: str = ""
    network: str = ""
    container: str = ""
    sources: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    is_foreign: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A link that could be in the bond, with what its bus, its PF and its mover say of it.

    `administrative_mac` is one that SR-IOV CNI had the PF set; None where that is not known.
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
        """Tell which one is meant: net1 (VF 0 of pf0, 0000:01:10.0)."""
        details = [f"VF {self.vf_number} of {self.pf.name or self.pf.device}"] if self.pf else []
        details += [self.device] if self.device else []
        return f"{self.name} ({', '.join(details)})" if details else self.name

    @property
    def pf_address(self) -> str:
        """The address of its PF, its own where it is one, empty where nobody knows."""
        if self.pf or self.is_vf:
            return self.pf.device if self.pf else ""
        return self.device if nic_of(self.device) else ""

    @property
    def holds_own_mac(self) -> bool:
        """True where the PF is known to hold the VF to a MAC and will not let it take another.

        An entry equal to the netdev's MAC proves nothing: igb and ixgbe keep the VF's own request
        in that field.
        """
        if self.settings is None:
            return False
        is_minded = self.settings.trust is False or self.driver in REGARDLESS_OF_TRUST
        return is_minded and self._is_set_by_pf

    @property
    def lasting_macs(self) -> frozenset[str]:
        """The MACs that it may have in a bond that leaves it its own.

        An administrative one that was set on a bound VF is taken over when the VF is brought up.
        """
        is_held = self.holds_own_mac or self.may_hold_own_mac
        pf_mac = {self.settings.mac} if self.settings and is_held else set()
        return frozenset({self.link.mac, *pf_mac} - {NO_MAC})

    @property
    def may_hold_own_mac(self) -> bool:
        """True where the PF's entry could be an administrative one that holds, but need not be."""
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
        """Put in words what the PF says of this VF."""
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
