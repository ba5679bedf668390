"""Routes of all tables but the local one, and the rules that choose a table."""

import errno
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from socket import AF_INET
from typing import Any, Final

from pyroute2.netlink.rtnl.fibmsg import fibmsg

from sriovbond.errors import KernelError
from sriovbond.kernel import carried
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.attributes import by_number
from sriovbond.kernel.messages import (
    RTA_DST,
    RTA_METRICS,
    RTA_PREFSRC,
    RTA_PRIORITY,
    RTA_TABLE,
    RTAX_ADVMSS,
    RouteMessage,
    whole,
)
from sriovbond.nodenet.model import TYPES
from sriovbond.nodenet.routing import NodeRoute, RouteRule
from sriovbond.survey.fitting import Attributes, fit
from sriovbond.survey.scene import Scene, type_of

# include/uapi/linux/rtnetlink.h
_RTA_VIA, _RTA_ENCAP, _RTAX_CWND = 18, 22, 7
_LOCAL_TABLE: Final = 255
_UNICAST: Final = 1
_DEAD_ENDS: Final = {6: "blackhole", 7: "unreachable", 8: "prohibit"}
_CONFIGURED: Final = frozenset({3, 4})
"""RTPROT_BOOT, RTPROT_STATIC: set by a person or a configuration."""
_SHOWN: Final = frozenset({*_CONFIGURED, 9, 16, 17, 18, 42})
"""Those, RTPROT_RA, DHCP, MROUTED, KEEPALIVED and BABEL: what nmstate shows."""

# include/uapi/linux/fib_rules.h
_RULE_BYTES: Final = 12
_TO_TABLE: Final = 1
_INVERT: Final = 0x2
_RTPROT_KERNEL: Final = 2
_NOTHING: Final = 2**32 - 1
_SAYABLE: Final = frozenset({1, 2, 3, 6, 10, 14, 15, 16, 21})
"""FRA_* that a document can have: others make it another rule."""


@dataclass(frozen=True, slots=True)
class Way:
    """A route, or one of the ways of a route over several links; `index` is its link's, or 0."""

    route: NodeRoute
    family: int
    index: int
    is_configured: bool


def ways(scene: Scene) -> tuple[Way, ...]:
    """Return the routes of the node; not those over links that the document does not have.

    A route is configured where a person or a configuration set it, and the link is ours.
    """
    return tuple(way for message in scene.answers.routes for way in _ways(message, scene))


def _ways(message: RouteMessage, scene: Scene) -> Iterator[Way]:
    if (message.number(RTA_TABLE) or message.table) == _LOCAL_TABLE:
        return
    is_configured = message.protocol in _CONFIGURED
    if message.type in _DEAD_ENDS:
        row = _route(message, route_type=_DEAD_ENDS[message.type])
        yield Way(row, message.family, 0, is_configured)
    is_sayable = not {_RTA_VIA, _RTA_ENCAP} & message.attributes.keys()
    for hop in carried.next_hops(message) if message.type == _UNICAST and is_sayable else ():
        link = scene.links.get(hop.index)
        if link is None:
            continue
        row = _route(
            message,
            next_hop_interface=link.name,
            next_hop_address=hop.gateway,
            weight=(hop.weight or None) if message.family == AF_INET else None,
        )
        is_ours = type_of(link) in TYPES
        yield Way(row, message.family, hop.index, is_configured and is_ours)


def _route(message: RouteMessage, **way: object) -> NodeRoute:
    any_address = "0.0.0.0" if message.family == AF_INET else "::"  # noqa: S104 - no bind
    metrics = by_number(message.attributes.get(RTA_METRICS, b""))
    route = fit(
        NodeRoute,
        destination=f"{message.address(RTA_DST) or any_address}/{message.prefix}",
        metric=message.number(RTA_PRIORITY),
        table_id=message.number(RTA_TABLE) or message.table,
        source=message.address(RTA_PREFSRC),
        cwnd=whole(metrics.get(_RTAX_CWND, b"")) or None,
        advmss=whole(metrics.get(RTAX_ADVMSS, b"")) or None,
        **way,
    )
    return replace(route, is_hidden=message.protocol not in _SHOWN)


def rules(scene: Scene) -> tuple[RouteRule, ...]:
    """Return the rules that a document can have; the kernel's own are none of them."""
    return tuple(filter(None, map(read_rule, scene.answers.rules)))


def read_rule(body: bytes) -> RouteRule | None:
    """Return a rule, None for one that no document can have. Raises KernelError."""
    message = fibmsg(nl.HEADER.pack(nl.HEADER.size + len(body), nl.RTM_NEWRULE, 0, 0, 0) + body)
    try:
        message.decode()
    except struct.error as error:
        text = "cannot read the routing rules: the kernel's answer is cut short"
        raise KernelError(text, errno.EBADMSG) from error
    values = dict(message["attrs"])
    return _rule(message, values) if _is_sayable(message, body, values) else None


def _is_sayable(message: Any, body: bytes, values: Attributes) -> bool:  # noqa: ANN401 - untyped
    """Return whether a document's rule can mean this one."""
    numbers = {
        number
        for number, payload in by_number(body, _RULE_BYTES).items()
        if not (number not in _SAYABLE and whole(payload) in (0, _NOTHING))
    }
    is_action_known = message["action"] in {_TO_TABLE, *_DEAD_ENDS}
    is_marked = values.get("FRA_FWMARK") or "FRA_FWMASK" not in values
    is_plain = not message["tos"] and not message["flags"] & _INVERT
    is_kernels = values.get("FRA_PROTOCOL") == _RTPROT_KERNEL
    return bool(
        numbers <= _SAYABLE and is_action_known and is_marked and is_plain and not is_kernels
    )


def _rule(message: Any, values: Attributes) -> RouteRule:  # noqa: ANN401 - untyped
    suppress = values.get("FRA_SUPPRESS_PREFIXLEN")
    goes_to_table = message["action"] == _TO_TABLE
    return fit(
        RouteRule,
        family="ipv4" if message["family"] == AF_INET else "ipv6",
        ip_from=_network(values.get("FRA_SRC"), message["src_len"]),
        ip_to=_network(values.get("FRA_DST"), message["dst_len"]),
        priority=values.get("FRA_PRIORITY", 0),
        route_table=(values.get("FRA_TABLE") or message["table"]) if goes_to_table else None,
        fwmark=values.get("FRA_FWMARK"),
        fwmask=values.get("FRA_FWMASK"),
        action=_DEAD_ENDS.get(message["action"]),
        iif=values.get("FRA_IIFNAME"),
        suppress_prefix_length=None if suppress == _NOTHING else suppress,
    )


def _network(address: str | None, prefix: int) -> str | None:
    return f"{address}/{prefix}" if address else None
