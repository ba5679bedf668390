"""Whether the node reaches what it needs: default gateways of the main table, DNS, the API."""

import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from sriovbond.cluster.limit import within
from sriovbond.errors import SriovbondError
from sriovbond.kernel import links
from sriovbond.nodenet.model import NetState
from sriovbond.nodenet.routing import MAIN_TABLE, NodeDns, NodeRoute, NodeRoutes
from sriovbond.nodenet.values import family_of, is_link_local
from sriovbond.reshape.site import Site
from sriovbond.survey.apiserver import ApiServer
from sriovbond.trial import neighbours
from sriovbond.trial.neighbours import NUD_DELAY, NUD_REACHABLE, NUD_STALE

_MOST: Final = 8
_ANSWER_S: Final = 1.0
_LOOKUP_S: Final = 6.0
"""For a name: a resolver asks its second server after 5 s."""
_PAUSE_S: Final = 0.5
_ROUNDS_BEFORE: Final = 2
_ANYWHERE: Final = ("0.0.0.0/0", "::/0")
_ECHO: Final = {4: (8, 0), 6: (128, 129)}  # RFC 792, RFC 4443: request and reply
_QUESTION: Final = b"\0\0\2\0\1"  # the root's NS records, class IN (RFC 1035)
_DNS: Final = struct.Struct("!HHHHHH")
_RECURSE: Final = 0x0100
_PORT: Final = 53
_API: Final = "API server"
_KNOWN: Final = NUD_REACHABLE | NUD_STALE | NUD_DELAY
_LEAST_IPV4: Final = 20


@dataclass(frozen=True, slots=True)
class ReachProbe:
    """Something that has to answer: a `gateway` on its link, a server of `DNS`, an `API server`."""

    kind: str
    address: str
    link: str = ""
    port: int = 0

    @property
    def group(self) -> str:
        """What it is one of: any of them is enough."""
        return f"IPv{family_of(self.address)} gateway" if self.kind == "gateway" else self.kind

    def __str__(self) -> str:
        where = f" on {self.link}" if self.link else f" port {self.port}" if self.port else ""
        return f"{self.kind} {self.address}{where}"


def choose(state: NetState, servers: Iterable[ApiServer] = ()) -> tuple[ReachProbe, ...]:
    """Return what there is to ask: a default route of another table does not count."""
    routes = state.routes or NodeRoutes()
    gateways = [
        ReachProbe("gateway", row.next_hop_address, row.next_hop_interface or "")
        for row in (*(routes.running or ()), *(routes.config or ()))
        if _is_default(row) and row.next_hop_address
    ]
    dns = state.dns_resolver or NodeDns()
    servers_of = [(part and part.server) or () for part in (dns.config, dns.running)]
    resolvers = [ReachProbe("DNS", server) for rows in servers_of for server in rows]
    apis = [ReachProbe(_API, server.name, port=server.port) for server in servers]
    return tuple(dict.fromkeys((*apis, *gateways, *resolvers)))[:_MOST]


def answering(site: Site, probes: Iterable[ReachProbe]) -> frozenset[str]:
    """Return the groups of which at least one answers, asked twice."""
    waiting, groups = list(probes), set()
    for _ in range(_ROUNDS_BEFORE):
        groups |= _ask(site, waiting)
        waiting = [probe for probe in waiting if probe.group not in groups]
    return frozenset(groups)


def missing(
    site: Site,
    groups: frozenset[str],
    current: Callable[[], tuple[ReachProbe, ...]],
    deadline: Callable[[], float],
    say: Callable[[str], None],
) -> list[str]:
    """Return the groups that do not answer by then, as texts; asks again and again.

    `current` returns what there is to ask now, `deadline` the seconds that are left. `say`
    reports once what has not answered at first.
    """
    waiting = set(groups)
    probes: tuple[ReachProbe, ...] = ()
    rounds = 0
    while waiting:
        probes = tuple(probe for probe in current() if probe.group in waiting)
        waiting -= _ask(site, probes, min(deadline(), _LOOKUP_S))
        rounds += 1
        if waiting and deadline() <= 0:
            break
        if waiting and rounds == _ROUNDS_BEFORE:
            missing_ones = "; ".join(_words(group, probes) for group in sorted(waiting))
            say(f"   {missing_ones}; asking on for {deadline():.0f} s")
        time.sleep(_PAUSE_S if waiting else 0)
    return [_words(group, probes) for group in sorted(waiting)]


def _words(group: str, probes: Iterable[ReachProbe]) -> str:
    of_group = [str(probe) for probe in probes if probe.group == group]
    return f"no {group} answers ({', '.join(of_group) or 'there is none'}), which one did before"


def _is_default(route: NodeRoute) -> bool:
    return route.destination in _ANYWHERE and (route.table_id or MAIN_TABLE) == MAIN_TABLE


def _ask(site: Site, probes: Iterable[ReachProbe], lookup_s: float = _LOOKUP_S) -> set[str]:
    rows = list(probes)
    if not rows:
        return set()
    _doubt(site, rows)
    with ThreadPoolExecutor(len(rows)) as pool:
        answers = list(pool.map(partial(_answers, site, lookup_s), rows))
    reachable = _reachable(site)
    return {
        probe.group
        for probe, is_answered in zip(rows, answers, strict=True)
        if is_answered or (probe.kind == "gateway" and (probe.link, probe.address) in reachable)
    }


def _answers(site: Site, lookup_s: float, probe: ReachProbe) -> bool:
    """Return whether it answers within a second; what cannot be sent is not answered.

    A name may take `lookup_s` before that.
    """
    with suppress(OSError, SriovbondError):
        if probe.kind == _API:
            return bool(within(max(0.0, lookup_s) + _ANSWER_S, partial(_connect, site, probe)))
        return _resolve(site, probe) if probe.kind == "DNS" else _ping(site, probe)
    return False


def _connect(site: Site, probe: ReachProbe) -> bool:
    """Connect to a server, without a request. Raises OSError."""
    place = (probe.address, probe.port)
    site.node.run(lambda: socket.create_connection(place, _ANSWER_S)).close()
    return True


def _open(site: Site, family: int, kind: int, protocol: int) -> socket.socket:
    return site.node.run(lambda: socket.socket(family, kind | socket.SOCK_CLOEXEC, protocol))


def _ping(site: Site, probe: ReachProbe) -> bool:
    version = family_of(probe.address)
    family = socket.AF_INET6 if version == 6 else socket.AF_INET  # noqa: PLR2004 - IPv6
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    request, reply = _ECHO[version]
    mark = os.urandom(4)
    with _open(site, family, socket.SOCK_RAW, protocol) as packets:
        if family == socket.AF_INET6:
            scope = _scope(site, probe) if is_link_local(probe.address) else 0
            packets.sendto(_echo(request, mark), (probe.address, 0, 0, scope))
        else:
            packets.sendto(_echo(request, mark), (probe.address, 0))
        return _hears(packets, lambda data: _is_reply(data, version, reply, mark))


def _scope(site: Site, probe: ReachProbe) -> int:
    return site.link(probe.link).index


def _echo(type_: int, mark: bytes) -> bytes:
    """Return an echo request; the kernel writes the checksum of an ICMPv6 one."""
    packet = bytes([type_, 0, 0, 0]) + mark
    total = sum(struct.unpack("!4H", packet))
    total = (total >> 16) + (total & 0xFFFF)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return packet[:2] + struct.pack("!H", checksum) + packet[4:]


def _is_reply(data: bytes, version: int, reply: int, mark: bytes) -> bool:
    if version == 4 and len(data) >= _LEAST_IPV4:  # noqa: PLR2004 - with its IPv4 header
        data = data[(data[0] & 0xF) * 4 :]
    return data[:1] == bytes([reply]) and data[4:8] == mark


def _resolve(site: Site, probe: ReachProbe) -> bool:
    """Ask a server for the root's name servers: any answer of it will do."""
    info = socket.getaddrinfo(probe.address, _PORT, type=socket.SOCK_DGRAM)[0]
    mark = os.urandom(2)
    head = _DNS.pack(int.from_bytes(mark, "big"), _RECURSE, 1, 0, 0, 0)
    with _open(site, info[0], socket.SOCK_DGRAM, 0) as packets:
        packets.connect(info[4])
        packets.send(head + _QUESTION)
        return _hears(packets, lambda data: data[:2] == mark)


def _hears(packets: socket.socket, is_answer: Callable[[bytes], bool]) -> bool:
    deadline = time.monotonic() + _ANSWER_S
    while (left := deadline - time.monotonic()) > 0:
        if select.select([packets], [], [], left)[0] and is_answer(packets.recv(4096)):
            return True
    return False


def _doubt(site: Site, probes: Iterable[ReachProbe]) -> None:
    """Have the kernel ask gateways anew: that one was reachable before proves nothing now."""
    gateways = {probe.address for probe in probes if probe.kind == "gateway"}
    for row in neighbours.read_all(site.netlink):
        if row.address in gateways and row.state & _KNOWN:
            with suppress(SriovbondError):  # it may be gone by now
                neighbours.doubt(site.netlink, row)


def _reachable(site: Site) -> set[tuple[str, str]]:
    """Return the addresses that have answered ARP or neighbour discovery, each with its link."""
    names = {row.index: row.name for row in links.read_all(site.netlink, "list the links")}
    return {
        (names.get(row.index, ""), row.address)
        for row in neighbours.read_all(site.netlink)
        if row.state & NUD_REACHABLE
    }
