"""Routes, and the rules that choose a table: added, replaced and removed."""

import errno
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Any, Final

from pyroute2.netlink.rtnl.fibmsg import fibmsg

from sriovbond.errors import KernelError
from sriovbond.kernel import attributes, carried, links, messages
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.messages import (
    IFA_F_NOPREFIXROUTE,
    IFA_FLAGS,
    IFA_RT_PRIORITY,
    IFLA_MASTER,
    RTA_DST,
    RTA_GATEWAY,
    RTA_METRICS,
    RTA_MULTIPATH,
    RTA_OIF,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTAX_ADVMSS,
    AddressMessage,
    RouteMessage,
)
from sriovbond.kernel.netlink import NetlinkRequest
from sriovbond.nodenet.connected import OWN_METRICS
from sriovbond.nodenet.routes import is_same_rule, may_be_own, metric_of
from sriovbond.nodenet.routing import MAIN_TABLE, NodeRoute, RouteRule
from sriovbond.nodenet.values import family_of
from sriovbond.nodenet.writer import plain
from sriovbond.reshape import addressing
from sriovbond.reshape.site import Site
from sriovbond.survey import answers
from sriovbond.survey import paths as present_paths

# include/uapi/linux/rtnetlink.h and fib_rules.h
_RTAX_CWND: Final = 7
_RTPROT_STATIC: Final = 4
_SCOPE_UNIVERSE, _SCOPE_LINK, _SCOPE_NOWHERE = 0, 253, 255
_UNICAST: Final = 1
_DEAD_ENDS: Final = {"blackhole": 6, "unreachable": 7, "prohibit": 8}
_TO_TABLE: Final = 1
_FIB_RULE_INVERT: Final = 0x2
_FRA_PRIORITY: Final = 6
_RULE_BYTES: Final = 12  # of fib_rule_hdr: family, lengths, TOS, table, two unused, action, flags
_TABLE_PLACE, _ACTION_PLACE = 4, 7
_FLAGS: Final = struct.Struct("=I")
_FAMILIES: Final = {4: socket.AF_INET, 6: socket.AF_INET6}


def add_route(
    site: Site, route: NodeRoute, ways: Sequence[NodeRoute] = (), *, is_replacing: bool
) -> None:
    """Add a route, or put it in the place of the one with its network and metric.

    `ways` are all of one that has several. Raises KernelError.
    """
    flags = nl.NLM_F_CREATE | (nl.NLM_F_REPLACE if is_replacing else nl.NLM_F_EXCL)
    doing = f"add the route {_words(route)}"
    body = _body(site, route, ways)
    addressing.await_source(site, route.source)
    try:
        site.netlink.send(NetlinkRequest(nl.RTM_NEWROUTE, doing, body, flags))
    except KernelError as error:
        if error.errno != errno.EEXIST or ways or not _is_own_there(site, route):
            raise


def is_in_place(row: RouteMessage, route: NodeRoute) -> bool:
    """Return whether a route of the kernel has a route's network, table and metric."""
    network = ip_network(route.destination or "")
    place = (row.number(RTA_TABLE) or row.table, row.number(RTA_PRIORITY) or 0)
    return (
        row.address(RTA_DST) == str(network.network_address)
        and row.prefix == network.prefixlen
        and place == (route.table_id or MAIN_TABLE, metric_of(route))
    )


def _is_own_there(site: Site, route: NodeRoute) -> bool:
    """Return whether the kernel has made the route itself meanwhile, as of a lease's address."""
    link = site.find(route.next_hop_interface or "")
    if link is None or not may_be_own(route):
        return False
    return any(
        carried.is_own(row)
        and row.address(RTA_GATEWAY) is None
        and is_in_place(row, route)
        and route.source in (None, row.address(RTA_PREFSRC))
        for row in carried.unicast_routes(site.netlink, over=[link.index])
    )


def remove_route(site: Site, route: NodeRoute, ways: Sequence[NodeRoute] = ()) -> None:
    """Remove a route; one that is gone already, or whose link is, is none. Raises KernelError.

    Of one with several ways the others, which are `ways`, stay. Where it had the place of the
    kernel's own to the network of an address, that is made again: the kernel makes it only once.
    """
    if ways:
        add_route(site, ways[0], ways, is_replacing=True)
        return
    name = route.next_hop_interface
    if name and site.find(name) is None:
        return
    doing = f"remove the route {_words(route)}"
    if route.weight:  # of several ways the kernel compares the first alone (fib_nh_match())
        route = replace(route, next_hop_interface=None, next_hop_address=None)
    with nl.passing_over(errno.ESRCH):
        body = _body(site, route, is_new=False)
        site.netlink.send(NetlinkRequest(nl.RTM_DELROUTE, doing, body))
    _put_own_back(site, route)


def _put_own_back(site: Site, route: NodeRoute) -> None:
    rows = carried.all_addresses(site.netlink) if route.destination else ()
    by_index = {row.index: row for row in reversed(rows) if _has_own_route(row, route)}
    if not by_index:
        return
    if any(is_in_place(row, route) for row in carried.unicast_routes(site.netlink)):
        return
    for link in links.read_all(site.netlink, "list the links"):
        if link.index in by_index and link.is_up and not link.number(IFLA_MASTER):
            doing = f"put the kernel's route to {route.destination} back on {link.name}"
            body = _own_body(by_index[link.index], metric_of(route))
            flags = nl.NLM_F_CREATE | nl.NLM_F_APPEND
            site.netlink.send(NetlinkRequest(nl.RTM_NEWROUTE, doing, body, flags))


def _has_own_route(row: AddressMessage, route: NodeRoute) -> bool:
    """Return whether the kernel has made a route of an address in a route's place."""
    of_address = messages.whole(row.attributes.get(IFA_RT_PRIORITY, b""))
    metric = of_address or OWN_METRICS[family_of(row.address)]
    flags = messages.whole(row.attributes.get(IFA_FLAGS, b""))
    return (
        (route.table_id or MAIN_TABLE) == MAIN_TABLE
        and metric_of(route) == metric
        and not flags & IFA_F_NOPREFIXROUTE
        and str(_network(row)) == route.destination
    )


def _network(row: AddressMessage) -> IPv4Network | IPv6Network:
    return ip_interface(f"{row.address}/{row.prefix}").network


def _own_body(row: AddressMessage, metric: int) -> bytes:
    """Return the route as fib_add_ifaddr() and addrconf_prefix_route() make it."""
    network, is_ipv4 = _network(row), row.family == socket.AF_INET
    parts = [
        messages.word(RTA_TABLE, MAIN_TABLE),
        messages.attribute(RTA_DST, network.network_address.packed),
        messages.word(RTA_OIF, row.index),
    ]
    parts += [messages.word(RTA_PRIORITY, metric)] if metric else []
    parts += [messages.attribute(RTA_PREFSRC, row.packed)] if is_ipv4 else []
    header = {"protocol": carried.OF_KERNEL, "type": _UNICAST}
    header["scope"] = _SCOPE_LINK if is_ipv4 else _SCOPE_UNIVERSE
    return messages.route(row.family, row.prefix, *parts, **header)


def add_rule(site: Site, rule: RouteRule) -> None:
    """Add a rule. Raises KernelError.

    To the kernel a narrower one is the same: it compares what the new one gives (rule_exists()).
    """
    doing, body = f"add the rule {_words(rule)}", _rule(rule)
    try:
        flags = nl.NLM_F_CREATE | nl.NLM_F_EXCL
        site.netlink.send(NetlinkRequest(nl.RTM_NEWRULE, doing, body, flags))
    except KernelError as error:
        if error.errno != errno.EEXIST or _place(rule, _of_priority(site, rule)) is not None:
            raise
        site.netlink.send(NetlinkRequest(nl.RTM_NEWRULE, doing, body, nl.NLM_F_CREATE))


def remove_rule(site: Site, rule: RouteRule) -> None:
    """Remove a rule; one that is gone already is none. Raises KernelError.

    The kernel removes the first that has what is given (rule_find()), also a narrower one. Where
    one is before it, all of its priority are put behind it in their order, each before it is
    removed where it was: so none is ever missing.
    """
    doing, body = f"remove the rule {_words(rule)}", _rule(rule)
    rows = _of_priority(site, rule)
    place = _place(rule, rows)
    if place is None:
        return
    if not any(_is_taken_for(row, body) for row in rows[:place]):
        with nl.passing_over(errno.ENOENT):
            site.netlink.send(NetlinkRequest(nl.RTM_DELRULE, doing, body))
        return
    for number, row in enumerate(rows):
        if number != place:
            words = f"{doing}: put one of its priority behind it"
            site.netlink.send(NetlinkRequest(nl.RTM_NEWRULE, words, row, nl.NLM_F_CREATE))
        site.netlink.send(NetlinkRequest(nl.RTM_DELRULE, doing, row))


def _of_priority(site: Site, rule: RouteRule) -> list[bytes]:
    """Return the rules of a rule's family and priority in the kernel's order, as for a request."""
    place = messages.word(_FRA_PRIORITY, rule.priority or 0)[attributes.HEADER.size :]
    family = _family_of_rule(rule)
    rows = (row for row in answers.ask_rules(site.netlink) if row[0] == family)
    none = bytes(len(place))
    return [
        _without_state(row)
        for row in rows
        if attributes.by_number(row, _RULE_BYTES).get(_FRA_PRIORITY, none) == place
    ]


def _without_state(row: bytes) -> bytes:
    """Return a rule without the flags that only report, such as that an interface is missing."""
    (flags,) = _FLAGS.unpack_from(row, _RULE_BYTES - _FLAGS.size)
    kept = _FLAGS.pack(flags & _FIB_RULE_INVERT)
    return row[: _RULE_BYTES - _FLAGS.size] + kept + row[_RULE_BYTES:]


def _place(rule: RouteRule, rows: Sequence[bytes]) -> int | None:
    """Return which of them a rule is, None for none."""
    present = map(present_paths.read_rule, rows)
    places = (n for n, row in enumerate(present) if row and is_same_rule(rule, row))
    return next(places, None)


def _is_taken_for(row: bytes, request: bytes) -> bool:
    """Return whether a rule has all that a request gives; what it leaves out may be anything."""
    given, values = (attributes.by_number(body, _RULE_BYTES) for body in (request, row))
    heads = zip(request[1:_TABLE_PLACE], row[1:_TABLE_PLACE], strict=True)  # lengths and TOS
    is_action_same = request[_ACTION_PLACE] == row[_ACTION_PLACE]
    return (
        is_action_same
        and all(wish in (0, value) for wish, value in heads)
        and all(
            not any(value) or values.get(number, b"").rstrip(b"\0") == value.rstrip(b"\0")
            for number, value in given.items()
        )
    )


def _body(
    site: Site, route: NodeRoute, ways: Sequence[NodeRoute] = (), *, is_new: bool = True
) -> bytes:
    network = ip_network(route.destination or "0.0.0.0/0")
    parts = [messages.word(RTA_TABLE, route.table_id or MAIN_TABLE)]
    if network.prefixlen:
        parts.append(messages.attribute(RTA_DST, network.network_address.packed))
    parts += _several(site, route, ways) if len(ways) > 1 else _way(site, route)
    metrics = [(RTAX_ADVMSS, route.advmss), (_RTAX_CWND, route.cwnd)]
    if packed := b"".join(messages.word(number, value) for number, value in metrics if value):
        parts.append(messages.attribute(RTA_METRICS, packed))
    header = {"type": _DEAD_ENDS.get(route.route_type or "", _UNICAST)}
    header["scope"] = _scope(route) if is_new else _SCOPE_NOWHERE
    if is_new:
        header["protocol"] = _RTPROT_STATIC
    return messages.route(_FAMILIES[network.version], network.prefixlen, *parts, **header)


def _several(site: Site, route: NodeRoute, ways: Sequence[NodeRoute]) -> Iterator[bytes]:
    """Yield what a route over several ways has, each with its share of the flows."""
    hops = b""
    for way in ways:
        gateway = way.next_hop_address
        further = messages.attribute(RTA_GATEWAY, ip_address(gateway).packed) if gateway else b""
        index = site.link(way.next_hop_interface or "").index
        size = messages.NEXT_HOP.size + len(further)
        hops += messages.NEXT_HOP.pack(size, 0, (way.weight or 1) - 1, index) + further
    place = replace(route, next_hop_interface=None, next_hop_address=None)
    yield from (messages.attribute(RTA_MULTIPATH, hops), *_way(site, place))


def _way(site: Site, route: NodeRoute) -> Iterator[bytes]:
    if route.metric is not None and route.metric > 0:
        yield messages.word(RTA_PRIORITY, route.metric)
    if route.next_hop_interface and not route.route_type:
        yield messages.word(RTA_OIF, site.link(route.next_hop_interface).index)
    if route.next_hop_address:
        yield messages.attribute(RTA_GATEWAY, ip_address(route.next_hop_address).packed)
    if route.source:
        yield messages.attribute(RTA_PREFSRC, ip_address(route.source).packed)


def _scope(route: NodeRoute) -> int:
    is_on_link = not route.next_hop_address and not route.route_type
    is_ipv4 = family_of(route.destination or "") == 4  # noqa: PLR2004 - IPv4
    return _SCOPE_LINK if is_on_link and is_ipv4 else _SCOPE_UNIVERSE


def _family_of_rule(rule: RouteRule) -> int:
    return socket.AF_INET6 if rule.family == "ipv6" else socket.AF_INET


def _rule(rule: RouteRule) -> bytes:
    message: Any = fibmsg()
    message["family"] = _family_of_rule(rule)
    message["action"] = _DEAD_ENDS.get(rule.action or "", _TO_TABLE)
    rows = [
        ("FRA_PRIORITY", rule.priority),
        ("FRA_TABLE", None if rule.action else rule.route_table or MAIN_TABLE),
        ("FRA_FWMARK", rule.fwmark),
        ("FRA_FWMASK", rule.fwmask),
        ("FRA_IIFNAME", rule.iif),
        ("FRA_SUPPRESS_PREFIXLEN", rule.suppress_prefix_length),
    ]
    for name, text, length in (
        ("FRA_SRC", rule.ip_from, "src_len"),
        ("FRA_DST", rule.ip_to, "dst_len"),
    ):
        if text:
            network = ip_network(text)
            message[length] = network.prefixlen
            rows.append((name, str(network.network_address)))
    message["attrs"] = [(name, value) for name, value in rows if value is not None]
    message.encode()
    return bytes(message.data)[nl.HEADER.size :]


def _words(row: NodeRoute | RouteRule) -> str:
    values = {key: value for key, value in plain(row).items() if key != "state"}
    return ", ".join(f"{key} {value}" for key, value in values.items())
