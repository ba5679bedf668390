"""What the kernel answers of a node, put together for tests: recorded bodies, or attributes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sriovbond.kernel import messages, netns
from sriovbond.kernel.messages import (
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_MTU,
    LinkMessage,
)
from sriovbond.survey.answers import Answers, PortVlans
from sriovbond.survey.scene import Scene, see
from tests.docs_tables import CHECKOUT

_RECORDED = CHECKOUT / "tests" / "data" / "survey" / "two-veths.json"
_ETHER = 1


def a_link(
    index: int,
    name: str,
    kind: str = "",
    data: bytes = b"",
    *more: bytes,
) -> LinkMessage:
    """Return what the kernel says of a link that is up."""
    info = messages.name(IFLA_INFO_KIND, kind) if kind else b""
    info += messages.attribute(IFLA_INFO_DATA, data) if data else b""
    return _link(index, name, info, *more)


def a_port(index: int, name: str, of: int, kind: str, data: bytes = b"") -> LinkMessage:
    """Return what the kernel says of a port of the link `of`, a bond or bridge."""
    info = messages.name(IFLA_INFO_SLAVE_KIND, kind) + messages.attribute(
        IFLA_INFO_SLAVE_DATA, data
    )
    return _link(index, name, info, messages.word(IFLA_MASTER, of))


def _link(index: int, name: str, info: bytes, *more: bytes) -> LinkMessage:
    parts = [
        messages.name(IFLA_IFNAME, name),
        messages.attribute(IFLA_ADDRESS, bytes((2, 0, 0, 0, 0, index))),
        messages.word(IFLA_MTU, 1500),
        *([messages.attribute(IFLA_LINKINFO, info)] if info else []),
        *more,
    ]
    body = bytearray(messages.link(index, *parts, flags=IFF_UP))
    body[2:4] = _ETHER.to_bytes(2, "little")  # ifi_type
    return messages.read_link(bytes(body))


@contextmanager
def a_scene(
    *links: LinkMessage,
    vlans: dict[int, tuple[PortVlans, ...]] | None = None,
    is_recorded: bool = False,
) -> Iterator[Scene]:
    """Return the scene of these links, with the recorded addresses, routes and rules if asked."""
    bodies: dict[str, Any] = {"addresses": [], "routes": [], "rules": []}
    if is_recorded:
        bodies = json.loads(_RECORDED.read_text(encoding="utf-8"))
    answers = Answers(
        links=links,
        vlans=vlans or {},
        addresses=tuple(messages.read_address(bytes.fromhex(row)) for row in bodies["addresses"]),
        routes=tuple(messages.read_route(bytes.fromhex(row)) for row in bodies["routes"]),
        rules=tuple(map(bytes.fromhex, bodies["rules"])),
    )
    with netns.own() as node:
        yield see(node, answers)
