"""The facts of ethtool and devlink as values; unavailable ones are a problem's text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ethtool:
    """A netdev's speed and link modes, by the kernel's names; None if not reported."""

    speed_mbps: int | None = None
    duplex: str | None = None
    autonegotiation: bool | None = None
    supported: tuple[str, ...] = ()
    advertised: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Port:
    """A devlink port. `netdev` is empty when its netdev is in another namespace, or missing."""

    index: int
    flavour: str
    netdev: str = ""
    pf_number: int | None = None
    vf_number: int | None = None


@dataclass(frozen=True, slots=True)
class Reporter:
    """A health reporter: `state` is healthy or error; `port` is set for a port's own reporter."""

    name: str
    state: str
    errors: int = 0
    recoveries: int = 0
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Devlink:
    """The facts of a devlink instance, and a problem for each failed query."""

    handle: str = ""
    eswitch: str = ""
    ports: tuple[Port, ...] = ()
    reporters: tuple[Reporter, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Function:
    """A PF, VF or sub-function and its facts; `representors` are its netdevs on the host."""

    device: str
    interface: str = ""
    driver: str = ""
    ethtool: Ethtool | None = None
    port: Port | None = None
    representors: tuple[str, ...] = ()
    eswitch: str = ""
    reporters: tuple[Reporter, ...] = ()
    problems: tuple[str, ...] = ()
