"""The entrance: carries out one step of a plan."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from sriovbond.kernel import messages
from sriovbond.kernel.messages import IFLA_MASTER
from sriovbond.nodenet.acts import (
    AddPort,
    AddRoute,
    AddRule,
    AskLease,
    Change,
    ConfigurePort,
    EndLease,
    Make,
    ReleasePort,
    Remove,
    RemoveRoute,
    RemoveRule,
    SetHostName,
    SetIp,
    SetResolver,
    SetState,
    Step,
)
from sriovbond.nodenet.model import BOND, VRF, BondPort
from sriovbond.reshape import addressing, bonds, bridges, leasing, making, naming, paths, resolver
from sriovbond.reshape.keeping import kept, kept_uppers
from sriovbond.reshape.site import Site


def carry_out(site: Site, step: Step) -> None:
    """Carry out a step; what it asks for and is there already is not sent again.

    Raises KernelError with what the kernel refused, MachineError for sysctls and files.
    """
    _ACTS[type(step)](site, step)


def _set_state(site: Site, step: SetState) -> None:
    link = site.link(step.name)
    if link.is_up != step.is_up:
        (site.set_up if step.is_up else site.set_down)(link)


def _release_port(site: Site, step: ReleasePort) -> None:
    """Take a port out; a bond closes it, and it is up again where something on it was."""
    link = site.find(step.port)
    if link is None or not link.number(IFLA_MASTER):
        return
    with kept_uppers(site, step.port) as uppers:
        bonds.release_port(site, step.port)
        now = site.link(step.port)
        if link.is_up and not now.is_up and any(row.is_up for row in uppers):
            site.set_up(now)


def _add_port(site: Site, step: AddPort) -> None:
    if step.kind == BOND:
        bonds.add_port(site, step.owner, step.port, step.after)
    elif step.kind == VRF:
        _add_to_vrf(site, step)
    else:
        bridges.add_port(site, step.owner, step.port)


def _add_to_vrf(site: Site, step: AddPort) -> None:
    """Put a port into a VRF: it keeps its addresses, but the kernel takes it down meanwhile."""
    vrf, link = site.link(step.owner), site.link(step.port)
    if link.number(IFLA_MASTER) != vrf.index:
        with kept(site, step.port):
            words = f"put {step.port} into {step.owner}"
            site.change(link, words, messages.word(IFLA_MASTER, vrf.index))


def _configure_port(site: Site, step: ConfigurePort) -> None:
    if isinstance(step.port, BondPort):
        bonds.configure_port(site, step.owner, step.port)
    else:
        bridges.configure_port(site, step.owner, step.port)


_ACTS: Final[Mapping[type, Callable[[Site, Any], None]]] = {
    Make: lambda site, step: making.make(site, step.link, step.mac_of),
    Change: lambda site, step: making.change(site, step.change, step.current),
    SetState: _set_state,
    ReleasePort: _release_port,
    AddPort: _add_port,
    ConfigurePort: _configure_port,
    SetIp: lambda site, step: addressing.set_ip(site, step.name, step.change, step.target),
    AskLease: leasing.ask,
    EndLease: leasing.end,
    AddRoute: lambda site, step: paths.add_route(
        site, step.route, step.ways, is_replacing=step.former is not None
    ),
    RemoveRoute: lambda site, step: paths.remove_route(site, step.route, step.ways),
    AddRule: lambda site, step: paths.add_rule(site, step.rule),
    RemoveRule: lambda site, step: paths.remove_rule(site, step.rule),
    SetResolver: lambda site, step: resolver.change(site.host, step.resolver),
    SetHostName: lambda site, step: naming.name(site.root, step.change),
    Remove: lambda site, step: making.remove(site, step.current),
}
