"""What there is to choose from: links, and devices of the pod that no link stands for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from sriovbond.bond import rules
from sriovbond.bond.links import Allocation, Link, Member, PhysicalFunction
from sriovbond.bond.rules import Rule
from sriovbond.bond.selector import LinkSelector

_SOCKETS = ("vhost-user", "memif")


@dataclass(frozen=True, slots=True)
class Unlinked:
    """A device given to this pod that no link in the pod stands for.

    `is_gone`: it is on no bus of this node. `kind` is device-info's type; `vdpa` names the vDPA
    device made on it; `ifname` is the name that it was asked for with. A socket (vhost-user,
    memif) has no address.
    """

    device: str = ""
    driver: str = ""
    is_userspace: bool = False
    is_gone: bool = False
    kind: str = "pci"
    vdpa: str = ""
    ifname: str = ""
    pf: PhysicalFunction | None = None
    allocation: Allocation = field(default_factory=Allocation)

    def __str__(self) -> str:
        return f"{self.title} {self.state}"

    @property
    def title(self) -> str:
        """Which device it is: 0000:01:10.0 (resource rig.io/pf0)."""
        return f"{self.device or self.kind}{self._describe_allocation()}"

    @property
    def state(self) -> str:
        """What is with it, and who says so: is bound to vfio-pci, as kubelet says."""
        return f"{self._describe_presence()}{self._name_sources()}"

    @property
    def rule(self) -> Rule:
        """The rule that it breaks."""
        if self.vdpa or self.kind == "vdpa":
            return rules.VDPA_DEVICE
        if self.kind in _SOCKETS:
            return rules.SOCKET_DEVICE
        if self.is_userspace:
            return rules.USERSPACE_DRIVER
        return rules.NOT_IN_POD if self.driver or self.is_gone else rules.NO_DRIVER

    def _describe_allocation(self) -> str:
        allocation = self.allocation
        known = (
            ("container", allocation.container),
            ("resource", allocation.resource),
            ("network", allocation.network),
            ("asked for as", self.ifname),
        )
        words = ", ".join(f"{what} {value}" for what, value in known if value)
        return f" ({words})" if words else ""

    def _describe_presence(self) -> str:
        states = {
            rules.VDPA_DEVICE: f"is used as {self.vdpa or 'vDPA'} by {self.driver or 'no driver'}",
            rules.SOCKET_DEVICE: "is a socket between processes",
            rules.NO_DRIVER: "is bound to no driver",
            rules.NOT_IN_POD: f"has no interface in the pod ({self.driver or 'no such device'})",
        }
        return states.get(self.rule, f"is bound to {self.driver}")

    def _name_sources(self) -> str:
        *other_sources, last = self.allocation.sources or ("",)
        if not other_sources:
            return f", as {last} says" if last else ""
        return f", as {', '.join(other_sources)} and {last} say"


@dataclass(frozen=True, slots=True)
class Seen:
    """The links of pod and host, and the pod's devices that no link stands for.

    Each link has with it what its bus, its PF and whoever allocated it say. `later` are the
    networks with a device that Multus adds after the bond, `upon` those that stand on it,
    `auto_bonds` those bonds of the pod whose configuration leaves the choice to us, `with_ipam` the
    networks that ask for addresses.
    """

    pod: Sequence[Member]
    host: Sequence[Member]
    unlinked: Sequence[Unlinked]
    pod_name: str = ""
    later: tuple[str, ...] = ()
    upon: tuple[str, ...] = ()
    auto_bonds: tuple[str, ...] = ()
    with_ipam: frozenset[str] = frozenset()

    @property
    def whose(self) -> str:
        """The pod, in words."""
        return f"the pod {self.pod_name}" if self.pod_name else "the pod"

    @property
    def after_bond(self) -> str:
        """The hint on a wrong order of the pod's networks, empty where it is right."""
        if not self.later:
            return ""
        return f"; the pod lists {', '.join(self.later)} after the bond: list the bond last"


def may_mean(links: Sequence[LinkSelector], link: Link) -> bool:
    """Say whether an entry could mean the link, by its names alone."""
    return any(not selector.is_exact or selector.name in link.names for selector in links)


def matches(link: LinkSelector, candidate: Member | Unlinked) -> bool:
    """Say whether an entry of `links` means it: all that the entry names must hold."""
    allocation = candidate.allocation
    pf = (candidate.pf.name or "", candidate.pf.device) if candidate.pf else ()
    offered = {
        "name": candidate.link.names if isinstance(candidate, Member) else (candidate.ifname,),
        "network": (allocation.network, allocation.network.rpartition("/")[2]),
        "resource": (allocation.resource,),
        "pci": (candidate.device, candidate.device.removeprefix("0000:")),
        "pf": (*pf, *(address.removeprefix("0000:") for address in pf)),
    }
    return all(
        any(_is_alike(value, pattern) for value in offered[key] if value)
        for key, pattern in link.wanted.items()
    )


def _is_alike(value: str, pattern: str) -> bool:
    """Compare as a shell does; addresses are told in small letters and may be asked in capitals."""
    is_address = ":" in value
    return value == pattern or fnmatchcase(value, pattern.lower() if is_address else pattern)
