"""The entrance: the state of a node, all of it, as a NetState."""

from contextlib import suppress
from socket import AF_INET, AF_INET6

from sriovbond import hostname
from sriovbond.errors import MachineError
from sriovbond.host import Host
from sriovbond.kernel.netns import Namespace
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.routing import HostName, NodeRoutes, RouteRules
from sriovbond.survey import answers, interfaces, leased, paths, resolver, scene
from sriovbond.survey.interfaces import Routed
from sriovbond.survey.paths import Way


def read(node: Namespace, host: Host) -> NetState:
    """Return what the kernel of `node` and the files of `host` report, at one moment each.

    Reads only. Pods' veths and routes over them are left out; interfaces whose type is not ours
    have `state: ignore`; a port that has addresses has them here. Raises KernelError.
    """
    view = scene.see(node, answers.ask(node.netlink))
    ways = paths.ways(view)
    routed = Routed(_routed(ways, AF_INET), _routed(ways, AF_INET6))
    sysfs = host.places.sysfs
    links = (interfaces.interface(row, view, routed, sysfs) for row in view.links.values())
    clients = leased.clients(host)
    links = (leased.with_client(link, clients, host) for link in links)
    return NetState(
        hostname=_name(host),
        dns_resolver=leased.without_leases(resolver.read(host.root).dns, host),
        route_rules=RouteRules(config=paths.rules(view)),
        routes=NodeRoutes(
            running=tuple(way.route for way in ways),
            config=tuple(way.route for way in ways if way.is_configured),
        ),
        interfaces=tuple(sorted(links, key=lambda link: link.label)),
    )


def _routed(ways: tuple[Way, ...], family: int) -> frozenset[int]:
    return frozenset(way.index for way in ways if way.is_configured and way.family == family)


def _name(host: Host) -> HostName:
    """Return what the host is called, without what no document can have, as `(none)`."""
    running, config = hostname.running(), None
    with suppress(MachineError):
        config = hostname.configured(host.root)
    is_sayable = not config or hostname.is_possible(config)
    return HostName(
        running if hostname.is_possible(running) else None, config if is_sayable else None
    )
