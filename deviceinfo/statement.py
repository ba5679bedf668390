"""What a source answers about a pod: statements on devices, claims of other pods, and problems."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from deviceinfo.device import DeviceId


class Source(StrEnum):
    """Who said something, in words for people; the first ones are trusted before the later."""

    KUBELET = "kubelet"
    CHECKPOINT = "kubelet's checkpoint"
    SRIOV_CNI = "SR-IOV CNI's cache"
    DEVICE_INFO = "device-info"
    MULTUS = "Multus"
    RESULTS = "libcni's results"
    API = "Kubernetes API"
    SYSFS = "sysfs"
    NAMESPACE = "the pod's namespace"


class DeviceKind(StrEnum):
    """What a device is to its user (`type` of the NPWG device-info specification 1.1)."""

    PCI = "pci"
    VDPA = "vdpa"
    VHOST_USER = "vhost-user"
    MEMIF = "memif"


class PodRef(NamedTuple):
    """Who a pod is in Kubernetes; empty where it is not known. A tuple, as records keep it."""

    namespace: str = ""
    name: str = ""
    uid: str = ""

    @property
    def full_name(self) -> str:
        """The name as people write it, namespace/name; empty where either is not known."""
        return f"{self.namespace}/{self.name}" if self.namespace and self.name else ""

    def __str__(self) -> str:
        return self.full_name or self.name or self.uid or "without a name"


UNKNOWN_POD: Final = PodRef()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A pod's sandbox, by all that is known of it; empty where it is not known.

    `netns` is the path of its network namespace, as the runtime gave it.
    """

    pod: PodRef = UNKNOWN_POD
    container_id: str = ""
    netns: str = ""

    @property
    def names(self) -> dict[str, str]:
        """All that it is known by."""
        return {**self.pod._asdict(), "container_id": self.container_id, "netns": self.netns}

    def __str__(self) -> str:
        return str(self.pod) if any(self.pod) else self.container_id or self.netns


@dataclass(frozen=True, slots=True)
class Statement:
    """What one source says of one device of the pod; None where it does not say.

    `device` is None where a source knows of a network or an interface but not by which device.
    """

    source: Source
    device: DeviceId | None = None
    resource: str | None = None
    """The extended resource that it was allocated by (`rig.io/pf0`), or the claim of DRA."""
    container: str | None = None
    network: str | None = None
    """The NetworkAttachmentDefinition, `namespace/name`."""
    interface: str | None = None
    """Its name in the pod."""
    kind: DeviceKind | None = None
    pf: DeviceId | None = None
    driver: str | None = None
    numa_node: int | None = None
    rdma: str | None = None
    mac: str | None = None
    administrative_mac: str | None = None
    """One that the PF was told to hold the VF to."""
    details: str | None = None
    """What else it says, for people: a socket's path, a mode."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Another pod that a source says has the device: `namespace/name`, or a UID."""

    source: Source
    device: DeviceId
    pod: str


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """One network of the pod, in the order in which Multus adds them; the default one is first.

    `interface` is empty where the pod asked for no name and Multus gives one; `plugin` is the type
    of the first one; `config` is the configuration of a plugin or of a list, as JSON gives it.
    """

    network: str
    interface: str
    plugin: str
    resource: str | None
    device: DeviceId | None
    config: dict[str, object]

    @property
    def plugins(self) -> tuple[dict[str, object], ...]:
        """The configuration of each of its plugins."""
        plugins = self.config.get("plugins")
        if not isinstance(plugins, list):
            return (self.config,)
        return tuple(plugin for plugin in plugins if isinstance(plugin, dict))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one source answered. `problems` are in words; `is_absent`: it does not exist here.

    `is_ambiguous` says that several pods of this name answered and none could be told apart.
    """

    source: Source
    statements: tuple[Statement, ...] = ()
    claims: tuple[Claim, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    problems: tuple[str, ...] = ()
    is_absent: bool = False
    is_ambiguous: bool = False


Ask = Callable[[PodRef], Reading]
"""A source of facts that the library does not make itself: one needing netlink or the API."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The pods that kubelet has, as namespace/name; `problem` says why nothing is known of them.

    `sees_processes` tells that kubelet's own process is seen from here: then so are the pods'.
    """

    names: frozenset[str] = frozenset()
    problem: str = ""
    sees_processes: bool = False
