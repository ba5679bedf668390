"""The agent's settings: read from a file, overridden by the environment."""

import difflib
import os
import re
import socket
import tomllib
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from sriovbond.agent.report.address import Address
from sriovbond.bond.kinds import Number, absolute, in_words
from sriovbond.errors import ConfigError
from sriovbond.host import Host

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

FILE: Final = Path("/etc/sriovbond/agent.toml")
PREFIX: Final = "SRIOVBOND_AGENT_"
_MOST_S: Final = 3600
_NODE_NAME: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,126}[a-z0-9])?)?")
# kubelet sets this in pods for a Service; for one named sriovbond-agent, with our prefix.
_SERVICE: Final = "SERVICE_HOST"
_OF_SERVICE: Final = re.compile(
    rf"(.+?_)({_SERVICE}|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_WANTED: Final = {
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected a text",
}
"""Texts for pydantic's error types."""


def _seconds(setting: object) -> float:
    with suppress(ValueError):
        seconds = float(str(setting))
        if 0 < seconds <= _MOST_S:
            return seconds
    raise ValueError(f"expected a number above 0, and at most {_MOST_S}")


def _absolute_if_any(setting: object) -> object:
    return None if setting == "" else absolute(setting)


def _listenable(text: str) -> str:
    return str(Address.parse(text)) if text else ""


def _node_name(text: str) -> str:
    if _NODE_NAME.fullmatch(text):
        return text
    raise ValueError(
        "expected a node's name: small letters, digits, '-' and '.', the first and the last a "
        "letter or digit, at most 128 in all"
    )


Count = Annotated[int, BeforeValidator(Number(1, 4096).parse)]
Bytes = Annotated[int, BeforeValidator(Number(1 << 12, 1 << 30).parse)]
Seconds = Annotated[float, BeforeValidator(_seconds)]
AbsolutePath = Annotated[Path, BeforeValidator(absolute)]
NodeName = Annotated[str, AfterValidator(_node_name)]


class Settings(BaseModel):
    """The operator's settings; `socket` and `state` must be those of the shim."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    socket: AbsolutePath = Path("/run/sriovbond/agent.sock")
    """Where the agent listens: only for a shim that was compiled with another path."""
    state: AbsolutePath = Host().state
    """The folder of records and queue: likewise."""
    run: AbsolutePath = Host().run
    """The folder of locks: likewise."""
    workers: Count = 16
    """Requests that are served at once; a quarter more are served of DELs."""
    waiting: Count = 256
    """Requests of a network that may wait for a worker. A namespace may have twice as many, all
    together four times; above that all but a DEL is error 11. Likewise as many DELs may wait
    (others are queued), calls that wait for another one of their attachment, and calls that wait
    for IPAM, of each network.
    """
    read_timeout_s: Seconds = 5.0
    """How long receiving a request, and sending an answer, may take."""
    ipam_wait_s: Seconds = 75.0
    """How long a request waits for IPAM while other calls of its network occupy all its lanes; then
    it is error 11. A DEL, which waits 30 s at most, is done without.
    """
    retry_s: Seconds = 30.0
    """Pause before a failed DEL of the queue is retried; doubled each time."""
    retry_most_s: Seconds = 600.0
    """The longest such pause."""
    stop_timeout_s: Seconds = 80.0
    """How long a stop waits for running calls; the unit's TimeoutStopSec is longer."""
    watch: bool = True
    """Whether the agent watches the bonds: events, metrics, repair, release of what is left."""
    check_interval_s: Seconds = 300.0
    """How often every bond is compared with its record."""
    gone_after_s: Seconds = 5.0
    """How long the agent waits for a DEL before it releases the bond of an ended pod."""
    repair: bool = True
    """Whether a member that vanished and came back is put into its bond again."""
    rest_s: Seconds = 30.0
    """How long the device of such a member must be quiet before that, so that whatever reset its PF
    has finished.
    """
    repair_pf_settings: bool = True
    """Whether the VF's VLAN, trust, spoof check and rates are set at its PF again, where a reset
    has cleared them.
    """
    sriov_operator_namespace: NodeName = "sriov-network-operator"
    """The namespace of the SR-IOV operator's state of the node: while the operator is at work, no
    member is put back. It is read where API access is configured; empty: never.
    """
    watch_buffer_bytes: Bytes = 8 << 20
    """Buffer for the kernel's link events in bytes; when it overruns, events are lost and all links
    are read again.
    """
    host_root: AbsolutePath = Host().root
    """The mount point of the host's root, for an agent in a container: IPAM plugins are looked for
    and executed there.
    """
    lock_timeout_s: Seconds = Host().lock_timeout_s
    """How long a call waits for another one of the same attachment."""
    ipam_timeout_s: Seconds = Host().ipam_timeout_s
    """How long an IPAM plugin may run."""
    kubelet_timeout_s: Seconds = Host().kubelet_timeout_s
    """Time limit of queries to kubelet."""
    dhcp_carrier_timeout_s: Seconds = Host().dhcp_carrier_timeout_s
    """How long dhcp waits for a carrier."""

    metrics: Annotated[str, AfterValidator(_listenable)] = "127.0.0.1:9750"
    """Where metrics are served: IP:PORT, unix:/PATH, or nothing; they have the pods' names."""
    probes: Annotated[str, AfterValidator(_listenable)] = "127.0.0.1:9751"
    """Where kubelet's probes are answered, independent of `metrics`: IP:PORT, unix:/PATH, or
    nothing.
    """
    kubernetes_events: bool = False
    """Whether the bonds' happenings are written as Events of their pods; needs a kubeconfig or a
    service account.
    """
    service_account: Annotated[Path | None, BeforeValidator(_absolute_if_any)] = None
    """The folder with token and ca.crt of the agent's own pod, used without a kubeconfig."""
    node_name: NodeName = ""
    """The node's name in Kubernetes, for its Events, if it differs from the machine's."""

    @property
    def metrics_address(self) -> Address | None:
        """The address of the metrics."""
        return Address.parse(self.metrics) if self.metrics else None

    @property
    def probes_address(self) -> Address | None:
        """The address of the probes."""
        return Address.parse(self.probes) if self.probes else None

    @property
    def ipam_calls(self) -> int:
        """The number of IPAM plugins that may run at once; a network may run half of them."""
        return max(1, self.workers // 2)

    @property
    def node(self) -> str:
        """The node's name in Kubernetes, "" when unknown."""
        return self.node_name or socket.gethostname()

    @property
    def share(self) -> int:
        """The number of bonds that the queue, and again the watch, may process at once."""
        return max(1, self.workers // 4)

    @property
    def host(self) -> Host:
        """The machine as the settings describe it."""
        return Host(
            root=self.host_root,
            is_agent=True,
            node_file=self.host_root / Host().node_file.relative_to("/"),
            state=self.state,
            run=self.run,
            service_account=self.service_account,
            lock_timeout_s=self.lock_timeout_s,
            ipam_timeout_s=self.ipam_timeout_s,
            kubelet_timeout_s=self.kubelet_timeout_s,
            dhcp_carrier_timeout_s=self.dhcp_carrier_timeout_s,
        )

    @property
    def queue(self) -> Path:
        """The folder in which the shim keeps DELs; the shim has the same name built in."""
        return self.state / "queue"


def load(file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; without `file` the default one, which may be missing.

    Raises ConfigError that names every fault.
    """
    variables = {
        name.removeprefix(PREFIX).lower(): text
        for name, text in environ.items()
        if name.startswith(PREFIX) and not _is_of_service(name, environ)
    }
    try:
        return Settings.model_validate({**_read(file), **variables})
    except ValidationError as error:
        faults = "; ".join(
            _fault_words(fault, variables, file or FILE)
            for fault in error.errors(include_url=False)
        )
        raise ConfigError(f"cannot use the agent's settings: {faults}") from error


def _is_of_service(name: str, environ: Mapping[str, str]) -> bool:
    """Return whether kubelet set the variable for a Service, whose address is then set too."""
    match = _OF_SERVICE.fullmatch(name)
    return match is not None and f"{match[1]}{_SERVICE}" in environ


def _fault_words(fault: "ErrorDetails", variables: Collection[str], file: Path) -> str:
    """Return a text with the variable, or the setting and its file, and its fault."""
    name = str(fault["loc"][0])
    is_variable = name in variables
    where = f"{PREFIX}{name.upper()}" if is_variable else f"{name} in {file}"
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(name, Settings.model_fields, n=1)
        meant = [f"{PREFIX}{field.upper()}" if is_variable else field for field in close]
        return (
            f"{where}: no such setting{''.join(f'; did you mean {setting}?' for setting in meant)}"
        )
    return f"{where}: {in_words(fault, _WANTED.get(fault['type'], ''))}"


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
