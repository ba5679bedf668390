"""Maps devlink's ports to functions, and collects each function's facts. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deviceinfo import Bus, Device, DeviceId
from sriovbond.nic.facts import Devlink, Ethtool, Function, Port

_PHYSICAL, _VIRTUAL, _OF_VF = "physical", "virtual", "pcivf"


@dataclass(frozen=True, slots=True)
class Known:
    """A device with its facts in sysfs, and its interface; either may be missing."""

    name: str
    device: Device | None = None
    interface: str = ""

    @property
    def driver(self) -> str:
        """The driver's name, empty when sysfs has none."""
        return (self.device and self.device.driver) or ""

    @property
    def handle(self) -> str:
        """The handle of the device's devlink instance, which may not exist; empty: no device."""
        return _handle(self.device.id) if self.device else ""

    @property
    def pf_handle(self) -> str:
        """The same of its PF; a simulated VF has that of the PF."""
        return _handle(self.device.pf) if self.device and self.device.pf else ""

    @property
    def is_port_of_pf(self) -> bool:
        """Whether it has no instance of its own."""
        return self.handle == self.pf_handle


def _handle(device: DeviceId) -> str:
    """Return the instance's handle: all ports of a simulated device share one."""
    address = device.address.partition("/")[0] if device.bus == Bus.NETDEVSIM else device.address
    return f"{device.bus}/{address}"


def to_function(
    known: Known, devlinks: Mapping[str, Devlink], ethtool: Ethtool | None = None
) -> Function:
    """Return the function's facts; `devlinks` by handle."""
    own = devlinks.get(known.handle, Devlink())
    return Function(
        device=known.name,
        interface=known.interface,
        driver=known.driver,
        ethtool=ethtool,
        port=find_port(known, devlinks),
        representors=_find_representors(known, devlinks),
        eswitch="" if known.is_port_of_pf else own.eswitch,
        reporters=() if known.is_port_of_pf else own.reporters,
        problems=() if known.is_port_of_pf and own.ports else own.problems,
    )


def find_port(known: Known, devlinks: Mapping[str, Devlink]) -> Port | None:
    """Return the function's own port."""
    ports = devlinks.get(known.handle, Devlink()).ports
    if known.is_port_of_pf:
        return next(_ports_of_vf(known, ports), None)
    facing = [port for port in ports if port.flavour in (_PHYSICAL, _VIRTUAL)]
    by_name = [port for port in facing if port.netdev == known.interface]
    return next(iter(by_name or facing), None)


def find_netdev(pf: Known, devlinks: Mapping[str, Devlink], netdevs: Sequence[str]) -> str:
    """Return a PF's own netdev: that of its physical port, else the only one in sysfs."""
    port = find_port(pf, devlinks)
    return (port.netdev if port else "") or (netdevs[0] if len(netdevs) == 1 else "")


def _find_representors(known: Known, devlinks: Mapping[str, Devlink]) -> tuple[str, ...]:
    """Return the netdevs of the PF's ports that face the VF; a simulated VF is such a port."""
    if known.is_port_of_pf:
        return ()
    ports = devlinks.get(known.pf_handle, Devlink()).ports
    return tuple(port.netdev for port in _ports_of_vf(known, ports) if port.netdev)


def _ports_of_vf(known: Known, ports: Iterable[Port]) -> Iterator[Port]:
    number = known.device.vf_number if known.device else None
    for port in ports:
        if number is not None and port.flavour == _OF_VF and port.vf_number == number:
            yield port
