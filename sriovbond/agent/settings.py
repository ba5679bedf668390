"""The agent's settings: from a file, and over it from the environment."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sriovbond.agent.address import Address
from sriovbond.errors import ConfigError
from sriovbond.host import Host

FILE: Final = Path("/etc/sriovbond/agent.toml")
PREFIX: Final = "SRIOVBOND_AGENT_"

Count = Annotated[int, Field(ge=1, le=4096)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Bytes = Annotated[int, Field(ge=1 << 12, le=1 << 30)]
NodeName = Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?)?$")]


def _listenable(text: str) -> str:
    return str(Address.parse(text)) if text else ""


class Settings(BaseModel):
    """What an operator may set; `socket` and `state` must be those of the shim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    socket: Path = Path("/run/sriovbond/agent.sock")
    state: Path = Host().state
    run: Path = Host().run
    workers: Count = 16
    """Requests that are served at once."""
    waiting: Count = 256
    """Requests that may wait for a worker or for another of their attachment."""
    read_timeout_s: Seconds = 5.0
    """How long a request may take to come in, and an answer to be taken."""
    retry_s: Seconds = 30.0
    """How long a queued DEL that failed waits for its next time; then twice as long each time."""
    retry_most_s: Seconds = 600.0
    """The longest that it waits."""
    stop_timeout_s: Seconds = 80.0
    """How long a stop waits for what runs; the unit's TimeoutStopSec is longer."""
    watch: bool = True
    """Whether the agent follows the bonds: events, metrics, repair, release of what is left."""
    check_interval_s: Seconds = 300.0
    """How often every bond is compared with what its ADD had made."""
    gone_after_s: Seconds = 5.0
    """How long a pod that went without a DEL waits for it, before its bond is released."""
    repair: bool = True
    """Whether a member that vanished and came back is put into its bond again."""
    repair_pf_settings: bool = False
    """Whether its PF is then told again of the VF's VLAN, trust and administrative MAC."""
    watch_buffer_bytes: Bytes = 8 << 20
    """How much the kernel may have to tell of links before it leaves out some."""
    host_root: Path = Host().root
    """Where the host's root is seen, for an agent in a container."""
    lock_timeout_s: Seconds = Host().lock_timeout_s
    ipam_timeout_s: Seconds = Host().ipam_timeout_s
    kubelet_timeout_s: Seconds = Host().kubelet_timeout_s
    dhcp_carrier_timeout_s: Seconds = Host().dhcp_carrier_timeout_s

    metrics: Annotated[str, AfterValidator(_listenable)] = "127.0.0.1:9750"
    """Where metrics and probes are told, if anywhere; who connects there may read pods' names."""
    kubernetes_events: bool = False
    """Write what happens to bonds as Events of their pods; needs the kubeconfig."""
    node_name: NodeName = ""
    """The node's name in Kubernetes, for its Events, where it is not the machine's."""

    @property
    def metrics_address(self) -> Address | None:
        """Where to tell the metrics."""
        return Address.parse(self.metrics) if self.metrics else None

    @property
    def host(self) -> Host:
        """This machine, as the settings have it."""
        return Host(
            root=self.host_root,
            state=self.state,
            run=self.run,
            lock_timeout_s=self.lock_timeout_s,
            ipam_timeout_s=self.ipam_timeout_s,
            kubelet_timeout_s=self.kubelet_timeout_s,
            dhcp_carrier_timeout_s=self.dhcp_carrier_timeout_s,
        )

    @property
    def queue(self) -> Path:
        """Where the shim keeps DELs; one name in both."""
        return self.state / "queue"


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; without `file` the usual one, which need not be there.

    Raises ConfigError that names every fault.
    """
    given = {
        name.removeprefix(PREFIX).lower(): text
        for name, text in environ.items()
        if name.startswith(PREFIX)
    }
    try:
        return Settings.model_validate({**_read(file), **given})
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}, found {one['input']!r}"
            for one in error.errors(include_url=False)
        ]
        raise ConfigError(
            f"cannot use the agent's settings in {file or FILE} and {PREFIX}*: {'; '.join(faults)}"
        ) from error


def _read(file: Path | None) -> dict[str, object]:
    path = file or FILE
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if file is None:
            return {}
        raise ConfigError(f"cannot read the agent's settings {str(path)!r}: {error}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the agent's settings {str(path)!r}: {error}") from error
