"""This machine's paths and limits, as one value that tests can replace."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from deviceinfo import KUBELET_TIMEOUT_S, Places


@dataclass(frozen=True, slots=True)
class Host:
    """The paths on this node that the plugin reads and writes; times in seconds."""

    root: Path = Path("/")
    """The host's root, for the IPAM plugins; different only in a container."""
    is_agent: bool = False
    """Whether this process serves all calls, rather than one in its caller's cgroup."""
    places: Places = field(default_factory=Places)
    proc: Path = Path("/proc")
    modules: Path = Path("/lib/modules")
    cgroups: Path = Path("/sys/fs/cgroup")
    state: Path = Path("/var/lib/sriovbond")
    run: Path = Path("/run/sriovbond")
    logs: Path = Path("/var/log")
    kubeconfig: Path = Path("/etc/cni/net.d/sriovbond.d/sriovbond.kubeconfig")
    """If it exists, the Kubernetes API may be called. Not a key of networks: their author could
    choose a file for root to read and the server that gets the token in it.
    """
    node_file: Path = Path("/etc/sriovbond/node.toml")
    """The node's list of lent links. For an agent in a container it is below the host's root, since
    the container's own files are not the node's.
    """
    service_account: Path | None = None
    """The agent's own service account, used without a kubeconfig. Only for the agent: the plugin
    may be executed within another pod, whose account is not ours to use.
    """
    lock_timeout_s: float = 20.0
    ipam_timeout_s: float = 60.0
    kubelet_timeout_s: float = KUBELET_TIMEOUT_S
    dhcp_carrier_timeout_s: float = 10.0

    @property
    def records(self) -> Path:
        """The folder with one record for each attachment."""
        return _records(self.state)

    def paths_of(self, path: str) -> tuple[str, ...]:
        """Return where a path of the host may be found: below its root first, for a container."""
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
