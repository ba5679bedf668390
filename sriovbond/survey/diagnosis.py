"""What is wrong with the node's own bonds and bridges, or would be with a document applied."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from sriovbond.bond import rules
from sriovbond.bond.options import BondMode
from sriovbond.bond.rules import Finding
from sriovbond.nodenet.bondoptions import kernel_default, merged
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.model import VRF, BondOptions, LinkAggregation, NetState, NodeLink
from sriovbond.nodenet.routing import ABSENT, NodeRoutes
from sriovbond.nodenet.values import network_fault
from sriovbond.survey.lacp import Lacp

_SLOW_MS: Final = 1000
_LEFT_OUT: Final = frozenset({ABSENT, "ignore"})


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: the state of the node, LACP on its bonds, and a document, or None."""

    state: NetState
    lacp: Mapping[str, Lacp]
    wish: NetState | None = None

    @property
    def links(self) -> dict[str, NodeLink]:
        """The interfaces of the node by name."""
        return {link.label: link for link in self.state.interfaces or ()}

    @property
    def wishes(self) -> dict[str, NodeLink]:
        """The interfaces of the document that are to be there, by name."""
        links = (self.wish.interfaces if self.wish else None) or ()
        return {link.label: link for link in links if link.state not in _LEFT_OUT}


def examine(patient: Patient) -> tuple[Finding, ...]:
    """Return what is found, in the order of the rules; a document's names are those of the node."""
    return (
        *_monitors(patient),
        *_ports_with_addresses(patient),
        *_ports_missing(patient),
        *_lacp(patient.lacp),
        *_network_addresses(patient),
        *_macs(patient),
    )


def _monitors(patient: Patient) -> Iterator[Finding]:
    """Yield the bonds that notice a failure late or never, by a document's options where given."""
    for name, bond in _bonds(patient).items():
        value = _Values(bond)
        miimon, interval = value.number("miimon"), value.number("arp_interval")
        if not miimon and not interval:
            yield rules.NO_LINK_MONITORING.finding(f"{name}: miimon is 0, and no arp_interval")
            continue
        delay = miimon + value.number("downdelay")
        probes = interval * value.number("arp_missed_max")
        if delay > _SLOW_MS or probes > _SLOW_MS:
            text = f"miimon and downdelay take {delay} ms" if miimon else f"probes take {probes} ms"
            yield rules.SLOW_FAILOVER.finding(f"{name}: {text} to notice a failure")
        if bond.mode == BondMode.LACP and value.of("lacp_rate") == "slow":
            yield rules.SLOW_FAILOVER.finding(f"{name}: lacp_rate is slow")


@dataclass(frozen=True, slots=True)
class _Values:
    """A bond's options, the kernel's defaults where they are not mentioned."""

    bond: LinkAggregation

    def of(self, name: str) -> object:
        value = (self.bond.options or BondOptions()).value(name)
        return kernel_default(name, self.bond.mode) if value is None else value

    def number(self, name: str) -> int:
        value = self.of(name)
        return value if isinstance(value, int) else 0


def _bonds(patient: Patient) -> dict[str, LinkAggregation]:
    """Return the bonds of the node as they are, and would be where a document has them."""
    bonds = {name: row.link_aggregation for name, row in patient.links.items()}
    wishes = {
        name: merged(bonds.get(name), row.link_aggregation)
        for name, row in patient.wishes.items()
        if row.link_aggregation
    }
    return {name: bond for name, bond in {**bonds, **wishes}.items() if bond}


def _ports_with_addresses(patient: Patient) -> Iterator[Finding]:
    links = patient.links
    routes = (patient.state.routes or NodeRoutes()).config or ()
    routed = {route.next_hop_interface or "" for route in routes}
    for name, link in links.items():
        owner = links.get(link.controller or "")
        if owner is None or owner.type == VRF:
            continue
        addresses = [
            f"{row.ip}/{row.prefix_length}"
            for ip in (link.ipv4, link.ipv6)
            for row in (ip.address if ip and ip.enabled else None) or ()
            if not ip_interface(row.ip or "::").is_link_local
        ]
        carried = [*addresses, *(["routes"] if name in routed else [])]
        if carried:
            text = f"{name}, a port of {owner.label}, has {', '.join(carried)}"
            yield rules.PORT_CARRIES_ADDRESSES.finding(text)


def _ports_missing(patient: Patient) -> Iterator[Finding]:
    links = patient.links
    for name, wish in patient.wishes.items():
        for port in ports_of(wish) or ():
            link = links.get(port)
            if link is None or link.controller != name:
                why = "is missing on this node" if link is None else "is not in it"
                yield rules.PORT_NOT_ENSLAVED.finding(f"{name}: its port {port} {why}")


def _lacp(lacp: Mapping[str, Lacp]) -> Iterator[Finding]:
    for name, bond in lacp.items():
        if bond.ports and not bond.has_partner:
            yield rules.LACP_PARTNER_MISSING.finding(f"{name}: no LACP partner answers")
        if len({port.aggregator for port in bond.ports}) > 1:
            listed = ", ".join(f"{port.name} in {port.aggregator}" for port in bond.ports)
            text = f"{name}: aggregator {bond.aggregator} is active, and {listed}"
            yield rules.LACP_AGGREGATORS_DIFFER.finding(text)
        for port in bond.ports:
            if port.churned:
                ends = " and ".join(port.churned)
                yield rules.LACP_CHURNED.finding(f"{name}: the {ends} of {port.name} is churned")


def _network_addresses(patient: Patient) -> Iterator[Finding]:
    """Yield the addresses that no host can have, of the node and of the document, each once."""
    links = [*patient.links.values(), *patient.wishes.values()]
    named = dict.fromkeys((link.label, text) for link in links for text in _addresses(link))
    for name, text in named:
        if fault := network_fault(text):
            yield rules.NETWORK_ADDRESS.finding(f"{name}: {text} is {fault}")


def _addresses(link: NodeLink) -> Iterable[str]:
    for row in link.addresses:
        if row.ip and row.prefix_length is not None:
            yield f"{row.ip}/{row.prefix_length}"


def _macs(patient: Patient) -> Iterator[Finding]:
    """Yield the bonds whose MAC is of no port; fail_over_mac active takes the active port's."""
    links, wishes = patient.links, patient.wishes
    for name, link in links.items():
        bond = link.link_aggregation
        if bond is None or not bond.port or _Values(bond).of("fail_over_mac") == "active":
            continue
        macs = {links[port].permanent_mac_address for port in bond.port if port in links}
        wish = wishes.get(name, NodeLink()).mac_address
        if None not in macs and link.mac_address not in {*macs, wish}:
            text = f"{name}: its MAC {link.mac_address} is none of its ports'"
            yield rules.BOND_MAC_OF_NO_PORT.finding(text)
