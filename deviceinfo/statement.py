"""A source's reading of a pod: statements on devices, claims of other pods, problems."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from deviceinfo.device import DeviceId


class Source(StrEnum):
    """The sources, named for people; earlier ones have priority over later ones."""

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
    """The type of a device (`type` of the NPWG device-info specification 1.1)."""

    PCI = "pci"
    VDPA = "vdpa"
    VHOST_USER = "vhost-user"
    MEMIF = "memif"


class PodRef(NamedTuple):
    """The identity of a pod in Kubernetes; empty where unknown. A tuple, as records keep it."""

    namespace: str = ""
    name: str = ""
    uid: str = ""

    @property
    def full_name(self) -> str:
        """namespace/name; empty when either is unknown."""
        return f"{self.namespace}/{self.name}" if self.namespace and self.name else ""

    def __str__(self) -> str:
        return self.full_name or self.name or self.uid or "without a name"


UNKNOWN_POD: Final = PodRef()


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A pod's sandbox; empty fields are unknown.

    `netns` is the path of its network namespace, as the runtime passed it.
    """

    pod: PodRef = UNKNOWN_POD
    container_id: str = ""
    netns: str = ""

    @property
    def names(self) -> dict[str, str]:
        """All its known names."""
        return {**self.pod._asdict(), "container_id": self.container_id, "netns": self.netns}

    def __str__(self) -> str:
        return str(self.pod) if any(self.pod) else self.container_id or self.netns


@dataclass(frozen=True, slots=True)
class Statement:
    """One source's facts about one device of the pod; None where the source does not know.

    `device` is None when a source knows a network or an interface but not its device.
    """

    source: Source
    device: DeviceId | None = None
    resource: str | None = None
    """The extended resource of its allocation (`rig.io/pf0`), or the claim of DRA."""
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
    """The MAC that the PF was configured to enforce on the VF."""
    details: str | None = None
    """Further facts, for people: a socket's path, a mode."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Another pod that has the device, by a source: `namespace/name`, or a UID."""

    source: Source
    device: DeviceId
    pod: str


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """One network of the pod, in the order in which Multus adds them; the default one is first.

    `interface` is empty when the pod requested no name and Multus chooses one; `plugin` is the type
    of the first one; `config` is the configuration of a plugin or of a list, as parsed JSON.
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
    """One source's reading. `problems` are texts; `is_absent`: the source does not exist here.

    `is_ambiguous`: several pods of this name exist and could not be distinguished.
    """

    source: Source
    statements: tuple[Statement, ...] = ()
    claims: tuple[Claim, ...] = ()
    networks: tuple[NetworkRequest, ...] = ()
    problems: tuple[str, ...] = ()
    is_absent: bool = False
    is_ambiguous: bool = False


Ask = Callable[[PodRef], Reading]
"""A source of facts outside this library: one needing netlink or the API."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The pods that kubelet has, as namespace/name; `problem` says why they are unknown.

    `sees_processes`: kubelet's process is visible from here, and so are those of the pods.
    """

    names: frozenset[str] = frozenset()
    problem: str = ""
    sees_processes: bool = False
