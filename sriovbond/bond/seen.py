"""The candidates for members: links, and devices of the pod without a link."""

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
    """A device allocated to this pod that has no link in the pod.

    `is_gone`: it is on no bus of this node. `kind` is device-info's type; `vdpa` names its vDPA
    device; `ifname` is its requested interface name. A socket (vhost-user, memif) has no address.
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
        """Its address and resource: 0000:01:10.0 (resource rig.io/pf0)."""
        return f"{self.device or self.kind}{self._describe_allocation()}"

    @property
    def state(self) -> str:
        """Its state and the source: is bound to vfio-pci, as kubelet says."""
        return f"{self._describe_presence()}{self._name_sources()}"

    @property
    def rule(self) -> Rule:
        """The rule that it violates."""
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
    """The links of pod and host, and the pod's devices without a link.

    Each link has the facts of its bus, its PF and its allocation. `later` are the networks with a
    device that Multus adds after the bond, `upon` those on top of it, `auto_bonds` the pod's bonds
    whose configuration leaves the choice to us, `with_ipam` the networks with IPAM.
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
        """The pod, as text."""
        return f"the pod {self.pod_name}" if self.pod_name else "the pod"

    @property
    def after_bond(self) -> str:
        """The hint at a wrong order of the pod's networks, empty if it is right."""
        if not self.later:
            return ""
        return f"; the pod lists {', '.join(self.later)} after the bond: list the bond last"


def may_mean(links: Sequence[LinkSelector], link: Link) -> bool:
    """Return whether an entry may match the link, by its names alone."""
    return any(
        selector.name in link.names
        or (not selector.is_exact and _may_be_alike(selector.name, link))
        for selector in links
    )


def _may_be_alike(pattern: str | None, link: Link) -> bool:
    return pattern is None or any(_is_alike(name, pattern) for name in link.names)


def matches(link: LinkSelector, candidate: Member | Unlinked) -> bool:
    """Return whether an entry of `links` matches it: all selectors of the entry must."""
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
    """Match as a shell does; addresses are in lower case and may be requested in upper case."""
    is_address = ":" in value
    return value == pattern or fnmatchcase(value, pattern.lower() if is_address else pattern)
