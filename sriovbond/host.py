"""This machine's paths and limits, as one value that a test can point elsewhere."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deviceinfo import KUBELET_TIMEOUT_S, Places


@dataclass(frozen=True, slots=True)
class Host:
    """Where this node keeps what the plugin reads and writes; times in seconds."""

    root: Path = Path("/")
    """Where the host's root is, for the IPAM plugins; another only in a container."""
    is_agent: bool = False
    """Whether this process serves all calls, rather than one in the cgroup of its caller."""
    places: Places = field(default_factory=Places)
    proc: Path = Path("/proc")
    modules: Path = Path("/lib/modules")
    cgroups: Path = Path("/sys/fs/cgroup")
    state: Path = Path("/var/lib/sriovbond")
    run: Path = Path("/run/sriovbond")
    logs: Path = Path("/var/log")
    kubeconfig: Path = Path("/etc/cni/net.d/sriovbond.d/sriovbond.kubeconfig")
    """Where it is, the Kubernetes API may be asked. No network names it: who writes networks would
    choose which file root reads and who is sent the token in it."""
    node_file: Path = Path("/etc/sriovbond/node.toml")
    """Where the node says what it lends of its own links. To an agent in a container it is below
    the host's root: what a pod is started with is not the node's word."""
    service_account: Path | None = None
    """Where the agent's pod has its service account, for want of a kubeconfig. Nowhere else: the
    plugin may be executed within another's pod, whose account is not ours to use."""
    lock_timeout_s: float = 20.0
    ipam_timeout_s: float = 60.0
    kubelet_timeout_s: float = KUBELET_TIMEOUT_S
    dhcp_carrier_timeout_s: float = 10.0

    @property
    def records(self) -> Path:
        """The folder with one record for each attachment that stands."""
        return _records(self.state)

    def paths_of(self, path: str) -> tuple[str, ...]:
        """Return where a path of the host may be seen: below its root first, for a container."""
        return (path,) if str(self.root) == "/" else (f"{self.root}{path}", path)

    def boot_id(self) -> str:
        """Return the kernel's id of this boot (random(4), /proc/sys/kernel/random/boot_id)."""
        return _boot_id(self.proc)


@cache
def _records(state: Path) -> Path:
    return state / "records"


@cache
def _boot_id(proc: Path) -> str:
    return (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
