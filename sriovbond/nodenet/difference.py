"""The two documents of two states: what is missing, and what reverts it."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sriovbond.nodenet import routes, uppers
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.comparing import differ, restore
from sriovbond.nodenet.joined import Joined, Pair, stays
from sriovbond.nodenet.lacking import without_ports
from sriovbond.nodenet.model import (
    TYPES,
    BondOptions,
    Ethernet,
    Ipv4,
    Ipv6,
    NetState,
    NodeLink,
    SrIov,
)
from sriovbond.nodenet.normal import normal_ipv4, normal_ipv6
from sriovbond.nodenet.routing import ABSENT, HostName, NodeDns, NodeRoute, Resolver, RouteRule

_NO_RESOLVER: Final = Resolver()


def difference(joined: Joined) -> NetState:
    """Return the document with what is missing of the desired state."""
    links = [_identified(link_difference(pair, joined), pair) for pair in joined.pairs]
    lacking, leaving = routes.lacking_routes(joined), _leaving_by_name(joined)
    rules = (*_rules_without(routes.leaving_rules(joined), joined), *routes.lacking_rules(joined))
    return NetState(
        hostname=joined.desired.hostname if name_difference(joined) else None,
        dns_resolver=joined.desired.dns_resolver if is_resolver_new(joined) else None,
        route_rules=routes.rules_of(rules),
        routes=routes.routes_of((*routes.absent_routes(leaving), *lacking)),
        interfaces=tuple(link for link in links if link) or None,
    )


def revert(joined: Joined) -> NetState:
    """Return the document that takes the change back, and nothing else."""
    links = _with_mtus([_former_link(pair, joined) for pair in joined.pairs], joined)
    added, gone = routes.lacking_routes(joined), routes.leaving_routes(joined)
    rules = (*_rules_without(_added_rules(joined), joined), *routes.leaving_rules(joined))
    dns = joined.current.dns_resolver or NodeDns()
    return NetState(
        hostname=joined.current.hostname if name_difference(joined) else None,
        dns_resolver=_former_resolver(dns) if is_resolver_new(joined) else None,
        route_rules=routes.rules_of(sorted(dict.fromkeys(rules), key=routes.rule_order)),
        routes=routes.routes_of((*routes.absent_routes(added), *gone)),
        interfaces=(*links, *uppers.former_states(joined)) or None,
    )


def _with_mtus(links: Iterable[NodeLink | None], joined: Joined) -> list[NodeLink]:
    """Return the links with the MTUs that the change lowers without a word.

    Ports of other types, as a virtual machine's tap, are none: a document cannot have them.
    """
    lowered = uppers.former_mtus(joined)
    known = [link for link in links if link and link.type in (None, *TYPES)]
    for link in known:
        former = lowered.pop(link.label, None)
        if former and link.state != ABSENT:
            known[known.index(link)] = replace(link, mtu=former.mtu)
    return [*known, *lowered.values()]


def link_difference(pair: Pair, joined: Joined) -> NodeLink | None:
    """Return what is missing of an interface; None for one that only follows."""
    if pair.desired is None:
        return None
    if pair.current is None:
        return None if pair.target.state == ABSENT else pair.desired
    identity = NodeLink(name=pair.name, type=pair.target.type, state=pair.target.state)
    if pair.target.state == ABSENT:
        return identity
    change = _change(pair, joined)
    if change is None and pair.target.state == pair.state_now:
        return None
    change = replace(change or NodeLink(), name=pair.name, type=identity.type)
    return replace(change, state=identity.state)


def _identified(change: NodeLink | None, pair: Pair) -> NodeLink | None:
    """Return what is missing with the MAC or PCI address that the document knows it by.

    As nmstate has it: alone, too, where the state knows the interface otherwise.
    """
    wish, now = pair.desired or NodeLink(), pair.current
    if wish.identifier in (None, "name") or now is None or pair.target.state == ABSENT:
        return change
    if change is None and wish.identifier == now.identifier:
        return None
    by_mac = wish.identifier == "mac-address"
    change = change or NodeLink(name=pair.name, type=pair.target.type, state=pair.target.state)
    return replace(
        change,
        identifier=wish.identifier,
        profile_name=wish.profile_name,
        pci_address=wish.pci_address,
        mac_address=wish.mac_address if by_mac else change.mac_address,
    )


def is_changed(pair: Pair, joined: Joined) -> bool:
    """Return whether an interface would be touched, by its own entry or by its controller's."""
    before = (pair.current and pair.current.controller) or ""
    after = pair.target.controller
    moves = after is not None and after != before
    follows = pair.desired is None and pair.target.state != pair.state_now
    return moves or follows or pair.is_to_go or link_difference(pair, joined) is not None


def name_difference(joined: Joined) -> HostName | None:
    """Return what the host is to be called and is not, None for nothing."""
    wish = joined.desired.hostname
    return None if wish is None else differ(wish, joined.current.hostname)


def is_resolver_new(joined: Joined) -> bool:
    """Return whether the resolver is to have something else than it has."""
    wish = (joined.desired.dns_resolver or NodeDns()).config
    if wish is None:
        return False
    dns = joined.current.dns_resolver or NodeDns()
    present = dns.config or _NO_RESOLVER
    if wish == _NO_RESOLVER:
        return any((present.server, present.search, present.options))
    return any(
        value is not None and value != (now or ())
        for value, now in (
            (wish.server, present.server),
            (wish.search, present.search),
            (wish.options, present.options),
        )
    )


def _change(pair: Pair, joined: Joined) -> NodeLink | None:
    """Return what differs but for name, type and state; ports that others made are kept."""
    target = replace(pair.target, name=None, type=None, state=None)
    current = pair.current or NodeLink()
    if pair.desired and pair.desired.controller is None:
        target = replace(target, controller=None)
    return differ(target, _without_kept_ports(current, target, joined))


def _without_kept_ports(current: NodeLink, target: NodeLink, joined: Joined) -> NodeLink:
    """Return it without the ports that stay though a list does not have them."""
    listed = ports_of(target)
    if listed is None:
        return current
    kept = {
        port
        for port in set(ports_of(current) or ()) - {*listed}
        if stays(current, port, joined.links)
    }
    return without_ports(current, kept) if kept else current


def _former_link(pair: Pair, joined: Joined) -> NodeLink | None:
    if pair.current is None:
        if pair.target.state == ABSENT or pair.desired is None:
            return None
        return NodeLink(name=pair.name, type=pair.target.type, state=ABSENT)
    if pair.target.state != pair.state_now:
        former = replace(pair.current, state=pair.state_now)
        former = _with_no_description(former, pair.target, pair.current)
        return former if pair.target.state == ABSENT else _without_new(former, pair)
    if pair.desired and _change(pair, joined) is None and not _moves(pair):
        return None
    former = restore(pair.target, pair.current)
    return _with_what_was_lost(pair, former)


def _moves(pair: Pair) -> bool:
    """Return whether its controller changes."""
    before = pair.current.controller if pair.current else None
    return (pair.target.controller or "") != (before or "") and pair.target.controller is not None


def _with_what_was_lost(pair: Pair, former: NodeLink) -> NodeLink:
    """Return it with what the change takes away without a word: addresses, VFs, a description."""
    current, target = pair.current or NodeLink(), pair.target
    former = replace(former, name=current.name, type=current.type, state=pair.state_now)
    is_bound = pair.is_bound and not current.controller
    if is_bound or _drops_addresses(target.ipv4, current.ipv4):
        former = replace(former, ipv4=current.ipv4)
    if is_bound or _drops_addresses(target.ipv6, current.ipv6):
        former = replace(former, ipv6=current.ipv6)
    former = _with_no_description(former, target, current)
    former = replace(
        former,
        ipv4=former.ipv4 and normal_ipv4(former.ipv4),
        ipv6=former.ipv6 and normal_ipv6(former.ipv6),
    )
    return _with_no_vfs(former, target, current)


def _without_new(former: NodeLink, pair: Pair) -> NodeLink:
    """Return it without the altnames and the bond's options that the change brings."""
    current = pair.current or NodeLink()
    back = restore(pair.target, current)
    names = tuple(alt for alt in back.alt_names or () if alt.state == ABSENT)
    bond = former.link_aggregation
    if bond and back.link_aggregation:
        rows = (*back.link_aggregation.settings, *bond.settings)
        settings = {row.name: row for row in rows}
        kept = BondOptions(tuple(settings[name] for name in sorted(settings)))
        bond = replace(bond, options=kept if settings else bond.options)
    alt_names = (*(former.alt_names or ()), *names) or None
    return replace(former, alt_names=alt_names, link_aggregation=bond)


def _with_no_description(former: NodeLink, target: NodeLink, current: NodeLink) -> NodeLink:
    is_new = target.state != ABSENT and target.description and current.description is None
    return replace(former, description="") if is_new else former


def _drops_addresses(target: Ipv4 | Ipv6 | None, current: Ipv4 | Ipv6 | None) -> bool:
    """Return whether addresses go unmentioned: for DHCP or SLAAC, or with their family."""
    if target is None or current is None:
        return False
    return (target.is_auto and not current.is_auto) or target.enabled is False


def _with_no_vfs(former: NodeLink, target: NodeLink, current: NodeLink) -> NodeLink:
    if _total_vfs(target) and _total_vfs(current) is None:
        ethernet = former.ethernet or Ethernet()
        return replace(former, ethernet=replace(ethernet, sr_iov=SrIov(total_vfs=0)))
    return former


def _total_vfs(link: NodeLink) -> int | None:
    return link.ethernet.sr_iov.total_vfs if link.ethernet and link.ethernet.sr_iov else None


def _leaving_by_name(joined: Joined) -> tuple[NodeRoute, ...]:
    """Return the routes that are to go and would not go by themselves."""
    return tuple(
        row for row in routes.leaving_routes(joined) if not routes.goes_by_itself(row, joined)
    )


def _rules_without(gone: tuple[RouteRule, ...], joined: Joined) -> tuple[RouteRule, ...]:
    """Return what takes these rules away, and no narrower ones with them."""
    kept = routes.narrower_rules(gone, routes.rules_in(joined.current))
    return (*routes.absent_rules(gone), *kept)


def _added_rules(joined: Joined) -> tuple[RouteRule, ...]:
    """Return the new rules as the document has them: the priority of one that has none is ours.

    Where another rule would be meant, too, it is given.
    """
    lacking = routes.lacking_rules(joined)
    present = routes.rules_in(joined.current)
    added = []
    for wish in (row for row in routes.rules_in(joined.desired) if row.state != ABSENT):
        new = [row for row in lacking if routes.matches(wish, row)]
        is_alone = not any(routes.matches(wish, row) for row in present)
        added += [wish] if new and is_alone else new
    return tuple(dict.fromkeys(added))


def _former_resolver(dns: NodeDns) -> NodeDns:
    return dns if dns.config is not None else replace(dns, config=_NO_RESOLVER)
