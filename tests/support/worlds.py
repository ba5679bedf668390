"""The whole state of host and pod that an ADD may touch, for comparison before and after."""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyroute2.netlink import nlmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from sriovbond.kernel import attributes, netns
from sriovbond.kernel import netlink as nl
from sriovbond.kernel.netlink import Netlink, NetlinkRequest

World = dict[str, object]
Names = dict[int, str]
_CONF = {"IPv4": (2, 1), "IPv6": (10, 2)}  # AF_INET with IFLA_INET_CONF, AF_INET6 likewise
_HEADER = struct.Struct("=IHHII")
_IPV6 = " sysctls IPv6"
_DEVCONF_MTU6 = 3  # DEVCONF_MTU6 of linux/ipv6.h, from 0, counted from 1
_ATTRIBUTE = struct.Struct("=HH")
_IFLA_AF_SPEC = 26
# IFLA_ADDRESS, _IFNAME, _MTU, _MASTER, _LINKINFO, _IFALIAS of linux/if_link.h
_IFLA_READ = frozenset({1, 3, 4, 10, 18, 20})
_IFINFOMSG_BYTES = 16
_CARRIER = (" fe80", "ff00::", "table 255")
HAND_SET = "fe80::77:"
"""The prefix of link-local addresses that a test sets, and the kernel does not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer parsed by pyroute2 instead of our code, so that our omissions are detected."""

    message: Any
    body: bytes

    def attribute(self, *path: str) -> Any:  # noqa: ANN401 - what the kernel sent
        part = self.message
        for name in path:
            part = part.get_attr(name) if part is not None else None
        return part


def world(namespaces: Mapping[str, str | None], folders: Iterable[Path] = ()) -> World:
    """Return every link with its sysctls, every address and route, and every file.

    `namespaces` maps a name to a path, None for the namespace of this process.
    """
    facts: World = {}
    for word, path in namespaces.items():
        with netns.own() if path is None else netns.opened(path) as namespace:
            for key, value in _facts(namespace.netlink):
                facts[f"{word}: {key}"] = value
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for file in (Path(parent, name) for name in names):
                with suppress(FileNotFoundError):  # IPAM may be releasing a lease at this moment
                    if file.is_file() and not _is_memory(file):
                        facts[f"file: {file}"] = file.read_bytes()
    return facts


def _is_memory(file: Path) -> bool:
    """Return whether it is host-local's note, which is no lease."""
    return file.name == "lock" or file.name.startswith("last_reserved_ip")


def differences(before: World, after: World) -> list[str]:
    """Return what was added, removed or changed."""
    lines = [f"gone: {key} = {before[key]!r}" for key in before.keys() - after.keys()]
    lines += [f"new: {key} = {after[key]!r}" for key in after.keys() - before.keys()]
    for key in before.keys() & after.keys():
        if before[key] != after[key]:
            was, now = unlike(before[key], after[key])
            lines.append(f"changed: {key}: {was!r} -> {now!r}")
    return sorted(lines)


def unlike(was: object, now: object) -> tuple[object, object]:
    """Return two dicts without their common items."""
    if not (isinstance(was, dict) and isinstance(now, dict)):
        return was, now
    same = dict(was.items() & now.items())
    return (
        {key: value for key, value in was.items() if key not in same},
        {key: value for key, value in now.items() if key not in same},
    )


def _facts(netlink: Netlink) -> Iterable[tuple[str, object]]:
    names: Names = {}  # a link that moved may come back with another index
    for answer in _dump(netlink, ifinfmsg(), nl.RTM_GETLINK, _IFLA_READ):
        name = answer.attribute("IFLA_IFNAME")
        names[answer.message["index"]] = name
        yield (
            f"{name}",
            (
                answer.message["flags"] & 0x1,
                *(
                    answer.attribute(f"IFLA_{field}")
                    for field in ("ADDRESS", "MTU", "MASTER", "IFALIAS")
                ),
                answer.attribute("IFLA_LINKINFO", "IFLA_INFO_KIND"),
            ),
        )
        for word, (family, conf) in _CONF.items():
            yield f"{name} sysctls {word}", _conf(answer, family, conf)
    for answer in _dump(netlink, ifaddrmsg(), nl.RTM_GETADDR):
        yield _address(answer, names)
    for family in (2, 10):
        message = rtmsg()
        message["family"] = family
        for answer in _dump(netlink, message, nl.RTM_GETROUTE):
            yield _route(answer, names)


def _dump(
    netlink: Netlink, message: nlmsg, type_: int, read: frozenset[int] = frozenset()
) -> Iterator[Answer]:
    """Yield the answers; with `read` only those attributes are parsed, which is much faster."""
    message.reset()
    message.encode()
    request = NetlinkRequest(type_, "look at the world", bytes(message.data[_HEADER.size :]))
    for body in netlink.dump(request):
        brief = _shorten(body, read) if read else body
        header = _HEADER.pack(_HEADER.size + len(brief), type_, 0, 0, 0)
        decoded = type(message)(header + brief)
        decoded.decode()
        yield Answer(decoded, body)


def _shorten(body: bytes, read: frozenset[int]) -> bytes:
    """Return the answer about a link without the attributes that nobody reads."""
    kept = [
        _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), number)
        + payload.ljust(-(-len(payload) // 4) * 4, b"\0")
        for number, _, payload in attributes.walk(body[_IFINFOMSG_BYTES:])
        if number in read
    ]
    return body[:_IFINFOMSG_BYTES] + b"".join(kept)


def _conf(answer: Answer, family: int, conf: int) -> dict[int, int]:
    """Return a link's sysctls of one family by their number (IPV4_DEVCONF_*, DEVCONF_*)."""
    payload = answer.body[_IFINFOMSG_BYTES:]
    for number in (_IFLA_AF_SPEC, family, conf):
        payload = next((part for kind, _, part in attributes.walk(payload) if kind == number), b"")
    values = struct.unpack(f"={len(payload) // 4}i", payload)
    return {number: value for number, value in enumerate(values, 1) if value}


def _address(answer: Answer, names: Names) -> tuple[str, object]:
    message = answer.message
    text = answer.attribute("IFA_LOCAL") or answer.attribute("IFA_ADDRESS")
    # the state of DAD, and the link-local address of the link, are the kernel's
    scope = message["scope"]
    key = f"address {text}/{message['prefixlen']} scope {scope}"
    return f"{key} on {names.get(message['index'])}", "there"


def _route(answer: Answer, names: Names) -> tuple[str, object]:
    keys = ("RTA_TABLE", "RTA_DST", "RTA_GATEWAY", "RTA_PRIORITY", "RTA_PREFSRC")
    words = [f"{key[4:].lower()} {answer.attribute(key)}" for key in keys]
    words.append(f"dev {names.get(answer.attribute('RTA_OIF'))}")
    hops = answer.attribute("RTA_MULTIPATH") or ()
    ways = ((names.get(hop["oif"]), hop.get_attr("RTA_GATEWAY"), hop["hops"]) for hop in hops)
    words.append(f"ways {sorted(map(str, ways))}")
    fields = [f"{key} {answer.message[key]}" for key in ("dst_len", "proto", "scope", "type")]
    return f"route {' '.join([*words, *fields])}", "there"


def is_mtu_settled(facts: World) -> bool:
    """Return whether IPv6 has the MTU of each link that is up, as it has after a carrier."""
    return all(
        sysctls.get(_DEVCONF_MTU6) in {None, link[2]}
        for _, link, sysctls in _find_ipv6(facts)
        if link[0]
    )


def without_stale_mtu(facts: World) -> World:
    """Return the state without IPv6's MTU of links that are down, which comes with the next up.

    A bond that is deleted gives its members their MTU back without telling IPv6.
    """
    slim: World = {
        key: {number: value for number, value in sysctls.items() if number != _DEVCONF_MTU6}
        for key, link, sysctls in _find_ipv6(facts)
        if not link[0]
    }
    return facts | slim


def _find_ipv6(facts: World) -> Iterator[tuple[str, tuple[Any, ...], dict[int, int]]]:
    """Yield the key, the link's own facts and the sysctls, of each link that has IPv6."""
    for key, sysctls in facts.items():
        link = facts.get(key.removesuffix(_IPV6))
        if key.endswith(_IPV6) and isinstance(sysctls, dict) and isinstance(link, tuple):
            yield key, link, sysctls


def settled(facts: World) -> World:
    """Return the state without what the kernel adds at carrier and DAD, 1-3 s later."""
    return {
        key: value
        for key, value in facts.items()
        if f"address {HAND_SET}" in key or not any(part in key for part in _CARRIER)
    }


def any_of(facts: World, *words: str) -> dict[str, Any]:
    """Return the facts whose key contains all of the words."""
    return {key: value for key, value in facts.items() if all(word in key for word in words)}
