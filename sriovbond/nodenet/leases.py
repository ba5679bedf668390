"""What a document changes of DHCP: where a client begins or ends, and where a lease goes."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from sriovbond.nodenet.acts import AskLease, EndLease
from sriovbond.nodenet.checks import ports_of
from sriovbond.nodenet.difference import link_difference
from sriovbond.nodenet.joined import Joined, Pair
from sriovbond.nodenet.model import Ipv4, NodeLink
from sriovbond.nodenet.normal import is_dynamic
from sriovbond.nodenet.pairs import own_mac
from sriovbond.nodenet.routing import ABSENT

FIELDS: Final = (
    "dhcp_client_id",
    "auto_dns",
    "auto_gateway",
    "auto_routes",
    "auto_route_metric",
    "auto_route_table_id",
    "dhcp_send_hostname",
    "dhcp_custom_hostname",
    "prefix_route_metric",
)
"""What a document says to the client, by the names of its keys."""
_IPV4: Final = 4


def ask(pair: Pair, joined: Joined) -> AskLease | None:
    """Return what has a client ask on an interface; None where one runs as it should."""
    target = pair.target.ipv4
    if target is None or not target.is_auto or pair.loses(_IPV4):
        return None
    now = _ipv4_now(pair)
    is_mtu_given = pair.desired is not None and pair.desired.mtu is not None
    is_running = now.is_auto and now.is_leased is not False
    if is_running and not _is_other(pair, joined) and not (is_mtu_given and now.takes_mtu):
        return None
    of = "" if now.is_leased else _former(pair, joined)
    source = joined.links.get(of or pair.name)
    return AskLease(
        pair.name,
        _whole(target, now),
        of=of,
        mac=(of and source and own_mac(source, joined.links)) or "",
        former=_leased_address(source) if source else "",
        is_new=not is_running,
        takes_mtu=not is_mtu_given and now.takes_mtu is not False,
    )


def end(pair: Pair, joined: Joined) -> EndLease | None:
    """Return what ends DHCP on an interface that has it; None where it has none, or keeps it."""
    if not _ends(pair):
        return None
    heirs = [other.name for other in joined.pairs if pair.name == _heir_of(other, joined)]
    return EndLease(pair.name, heirs[0] if heirs else "")


def of_kernel(change: Ipv4, target: Ipv4) -> Ipv4 | None:
    """Return what changes but for what is the client's; None where that is all."""
    if not target.is_auto:
        return change
    rest = replace(change, enabled=None, dhcp=None, **dict.fromkeys(FIELDS))
    return None if rest == Ipv4() else replace(rest, enabled=change.enabled)


def _leased_address(link: NodeLink) -> str:
    """Return the address that an interface has for a time, empty for none."""
    rows = (link.ipv4 and link.ipv4.address) or ()
    return next((row.ip for row in rows if row.ip and is_dynamic(row)), "")


def _heir_of(pair: Pair, joined: Joined) -> str:
    step = ask(pair, joined)
    return step.of if step else ""


def _ends(pair: Pair) -> bool:
    """Return whether DHCP of the node's own is to end; of a recorded state that is not known."""
    now, target = _ipv4_now(pair), pair.target.ipv4
    is_ending = pair.loses(_IPV4) or (target is not None and not target.is_auto)
    return now.is_auto and now.is_leased is not None and is_ending


def _ipv4_now(pair: Pair) -> Ipv4:
    return (pair.current and pair.current.ipv4) or Ipv4()


def _is_other(pair: Pair, joined: Joined) -> bool:
    """Return whether the client is to do other than it does."""
    change = link_difference(pair, joined)
    ip = change.ipv4 if change else None
    return ip is not None and any(getattr(ip, row) is not None for row in ("dhcp", *FIELDS))


def _whole(target: Ipv4, now: Ipv4) -> Ipv4:
    """Return all that the client is to know: what is not mentioned stays as it is."""
    kept = {
        row: getattr(now, row) if getattr(target, row) is None else getattr(target, row)
        for row in FIELDS
    }
    return replace(target, **kept)


def _former(pair: Pair, joined: Joined) -> str:
    """Return whose lease an interface takes over: a port's, or that of what it was a port of."""
    ending = {other.name for other in joined.pairs if _ends(other)} - {pair.name}
    for name in (*_below(pair.name, joined), *_above(pair.name, joined)):
        if name in ending:
            return name
    return ""


def _below(name: str, joined: Joined) -> Iterator[str]:
    """Yield the ports that an interface is to have, and theirs."""
    waiting = [name]
    seen: set[str] = set()
    while waiting:
        pair = joined.pair(waiting.pop(0))
        ports = ports_of(pair.target) if pair else None
        for port in sorted({*(ports or ())} - seen):
            seen.add(port)
            waiting.append(port)
            yield port


def _above(name: str, joined: Joined) -> Iterator[str]:
    """Yield what an interface is a port of now, and what that is a port of."""
    link = joined.links.get(name) or NodeLink()
    for _ in joined.links:
        owner = joined.links.get(link.controller or "")
        if owner is None:
            return
        yield owner.label
        link = owner


def is_leaving(pair: Pair) -> bool:
    """Return whether an interface that ends DHCP becomes a port, or goes: it ends before that."""
    return pair.is_bound or pair.target.state == ABSENT
